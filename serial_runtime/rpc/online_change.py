# SPDX-License-Identifier: MIT
"""An online change as a client has it: prepared, looked at, then made or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from serial_runtime.errors import ProtocolError
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.board.common import ChangeFile, ChangeOrder, ChangeReport, ChangeRow
from serial_runtime.rpc.stub_api import Reference


class Fate(IntEnum):
    """What becomes of a variable, or what else a row tells; see rpc/board.erpc."""

    KEPT = 1
    CONVERTED = 2
    RESET = 3
    NEW = 4
    DROPPED = 5
    MOVED = 6
    UNFORCED = 7
    TASK = 8
    OUTSIDE = 9


class OnlineChange:
    """One change. ``Client.prepare_change`` makes it."""

    def __init__(self, board: BoardServiceClient, probation: int, strict: bool) -> None:
        self.report = ChangeReport()
        self.rows: list[ChangeRow] = []
        self._board = board
        self._probation = probation
        self._strict = strict

    def prepare(self, md5: str, program: bytes, extra: Sequence[tuple[str, bytes]]) -> None:
        """Have the board open these uploads beside the program that runs."""
        files = [ChangeFile(name, blob) for name, blob in extra]
        report = Reference()
        self._board.PrepareChange(
            ChangeOrder(md5, program, files, self._probation, self._strict), report
        )
        self.report = report.value

    def fetch_rows(self) -> None:
        """What the change would do, row by row."""
        self.rows = []
        while len(self.rows) < self.report.rows:
            rows = Reference()
            self._board.GetChangeRows(self.report.number, len(self.rows), rows)
            if not rows.value:
                raise ProtocolError("the board sent an empty part of its report")
            self.rows += rows.value

    def names(self, *fates: Fate) -> list[str]:
        """Of the rows that tell one of these."""
        return [row.name for row in self.rows if row.fate in fates]

    def make(self) -> None:
        """Run the new program. StateError, ProgramFault: the old one runs on."""
        self._board.MakeChange(self.report.number)

    def drop(self) -> None:
        """Forget it."""
        self._board.DropChange(self.report.number)
