# SPDX-License-Identifier: MIT
"""CSV files for PLC programs: the functions that the IDE's CSV blocks call, and their like.

A cell is named by two integers, counted from 0 over the whole file, or by the name of its row
(in the first column) and of its column (in the first row). One table serves both, so that what
one function wrote any other reads. Results are texts: the cell, ``OK``, or what is wrong.

A file is read once; every write replaces the file whole, by a rename, so that a power cut leaves
the old content or the new one. A file that somebody else changes is read again after a reload.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import threading
from collections.abc import Callable
from typing import Literal

FILE_NOT_FOUND = "#FILE_NOT_FOUND"
CSV_ERROR = "#CSV_ERROR"
ROW_NOT_FOUND = "#ROW_NOT_FOUND"
COL_NOT_FOUND = "#COL_NOT_FOUND"
FILE_NOT_WRITTEN = "#FILE_NOT_WRITTEN"
OK = "OK"

_SEPARATORS = ",;\t|"


class _Problem(Exception):
    """What a function returns instead of a cell."""


class Table:
    """One file in memory."""

    def __init__(self, path: str, create: bool = False) -> None:
        """Read it; one that is to be created may be missing. _Problem."""
        self._path = path
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                text = file.read()
        except OSError as error:
            if not (create and isinstance(error, FileNotFoundError)):
                raise _Problem(FILE_NOT_FOUND) from None
            text = ""
        except UnicodeDecodeError:
            raise _Problem(CSV_ERROR) from None
        except ValueError:  # no name that a file can have
            raise _Problem(FILE_NOT_FOUND) from None
        try:
            self._dialect = _dialect(text)
            self._rows = list(csv.reader(io.StringIO(text, newline=""), self._dialect, strict=True))
        except csv.Error:
            raise _Problem(CSV_ERROR) from None

    def row(self, name: str) -> int:
        """The number of a row; _Problem."""
        for number, row in enumerate(self._rows[1:], 1):
            if row and row[0] == name:
                return number
        raise _Problem(ROW_NOT_FOUND)

    def column(self, name: str) -> int:
        """The number of a column; _Problem."""
        try:
            return self._rows[0].index(name, 1)
        except (IndexError, ValueError):
            raise _Problem(COL_NOT_FOUND) from None

    def read(self, row: int, column: int) -> str:
        """A cell; _Problem."""
        if not 0 <= row < len(self._rows):
            raise _Problem(ROW_NOT_FOUND)
        if not 0 <= column < len(self._rows[row]):
            raise _Problem(COL_NOT_FOUND)
        return self._rows[row][column]

    def write(self, row: int, column: int, text: str) -> None:
        """Change a cell, of the file too; the row behind the last one is a new one. _Problem.

        Only the first row may become longer than the first row is.
        """
        if not 0 <= row <= len(self._rows):
            raise _Problem(ROW_NOT_FOUND)
        if column < 0 or (row > 0 and column >= max(map(len, (self._rows[0], *self._rows[row:])))):
            raise _Problem(COL_NOT_FOUND)
        self._replace({(row, column): text})

    def write_named(self, row_name: str, column_name: str, text: str) -> None:
        """Change a cell, of the file too; a row or column there is not becomes the last one."""
        if not row_name:
            raise _Problem(ROW_NOT_FOUND)
        if not column_name:
            raise _Problem(COL_NOT_FOUND)
        cells = {}
        try:
            row = self.row(row_name)
        except _Problem:
            row = max(len(self._rows), 1)
            cells[row, 0] = row_name
        try:
            column = self.column(column_name)
        except _Problem:
            column = max((1, *map(len, self._rows)))  # the first holds the names of rows
            cells[0, column] = column_name
        self._replace({**cells, (row, column): text})

    def _replace(self, cells: dict[tuple[int, int], str]) -> None:
        """Write the file with these cells changed; what is in memory follows. _Problem."""
        rows = list(self._rows)
        for (row, column), text in cells.items():
            rows += [[] for _ in range(row + 1 - len(rows))]
            rows[row] = rows[row] + [""] * (column + 1 - len(rows[row]))
            rows[row][column] = text
        path = os.path.realpath(self._path)
        try:
            with open(f"{path}.new", "w", encoding="utf-8", newline="") as file:
                csv.writer(file, self._dialect, quoting=_quoting(rows)).writerows(rows)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.new", path)
        except (OSError, UnicodeEncodeError, csv.Error):
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.new")
            raise _Problem(FILE_NOT_WRITTEN) from None
        self._rows = rows


def _dialect(text: str) -> type[csv.Dialect]:
    """By the first row alone, which is the same before and after a write of any other one."""

    def columns(separator: str) -> int:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        try:
            return len(next(rows, ()))
        except csv.Error:  # another one stands behind the quotes
            return 0

    separator = max(_SEPARATORS, key=columns)
    first_line = text.partition("\n")[0]
    spaced = 0 < first_line.count(separator) == first_line.count(f"{separator} ")

    class Dialect(csv.excel):
        delimiter = separator
        skipinitialspace = spaced
        lineterminator = "\r\n" if "\r\n" in text else "\n"

    return Dialect


def _quoting(rows: list[list[str]]) -> Literal[0, 1]:
    """All cells, where the writer does not know by itself what a reader would take for layout."""
    odd = any("\r" in cell or cell.startswith(" ") for row in rows for cell in row)
    several = any(separator in cell for cell in rows[0] for separator in _SEPARATORS)
    return csv.QUOTE_ALL if odd or several else csv.QUOTE_MINIMAL


class CsvFiles:
    """All files of a program. Any thread."""

    def __init__(self, folder: str) -> None:
        """`folder`: where relative names begin."""
        self._folder = folder
        self._lock = threading.Lock()  # protects the tables, and each file against two writers
        self._tables: dict[str, Table] = {}

    def read_by_number(self, file_name: str, row: int, column: int) -> str:
        """The cell, or what is wrong."""
        return self._do(file_name, lambda table: table.read(row, column))

    def read_by_name(self, file_name: str, row: str, column: str) -> str:
        """The cell, or what is wrong."""
        return self._do(file_name, lambda table: table.read(table.row(row), table.column(column)))

    def write_by_number(self, file_name: str, row: int, column: int, content: object) -> str:
        """OK, or what is wrong; it is in the file then. The row behind the last one is new."""
        return self._do(file_name, lambda table: table.write(row, column, str(content)))

    def write_by_name(self, file_name: str, row: str, column: str, content: object) -> str:
        """OK, or what is wrong; it is in the file then. Makes row, column and file if need be."""
        return self._do(
            file_name, lambda table: table.write_named(row, column, str(content)), create=True
        )

    def reload(self) -> str:
        """Read every file anew when it is used next."""
        with self._lock:
            self._tables.clear()
        return OK

    def _do(
        self, file_name: str, action: Callable[[Table], str | None], *, create: bool = False
    ) -> str:
        path = os.path.normpath(os.path.join(self._folder, file_name))
        with self._lock:
            try:
                table = self._tables.get(path) or Table(path, create)
                cell = action(table)
                self._tables[path] = table
                return OK if cell is None else cell
            except _Problem as problem:
                return str(problem)


def functions(folder: str) -> dict[str, Callable[..., str]]:
    """A fresh library, under the names that programs know; see CsvFiles for `folder`."""
    files = CsvFiles(folder)
    return {
        "CSVRdInt": files.read_by_number,
        "CSVRdStr": files.read_by_name,
        "CSVWrInt": files.write_by_number,
        "CSVWrStr": files.write_by_name,
        "CSVReload": files.reload,
        "pyext_csv_reload": files.reload,
    }
