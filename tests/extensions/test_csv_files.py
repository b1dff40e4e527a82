# SPDX-License-Identifier: MIT
"""The CSV library: cells by number and by name, written, read again, and what is wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serial_runtime.extensions.csv_files import functions

Library = dict[str, Callable[..., str]]

RECIPES = "Title,Flour,Water\r\nBread,500,350\r\nPizza,1000,620\r\n"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.chdir(tmp_path)
    Path("recipes.csv").write_text(RECIPES, newline="")
    return functions("")


def test_cells_by_number_and_by_name(library: Library) -> None:
    assert library["CSVRdInt"]("recipes.csv", 0, 0) == "Title"
    assert library["CSVRdInt"]("recipes.csv", 2, 1) == "1000"
    assert library["CSVRdStr"]("recipes.csv", "Pizza", "Water") == "620"


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (("CSVRdInt", "none.csv", 0, 0), "#FILE_NOT_FOUND"),
        (("CSVRdStr", "none.csv", "a", "b"), "#FILE_NOT_FOUND"),
        (("CSVRdInt", "recipes.csv\0", 0, 0), "#FILE_NOT_FOUND"),
        (("CSVWrStr", "\0", "a", "b", 1), "#FILE_NOT_FOUND"),
        (("CSVWrInt", "none.csv", 0, 0, 1), "#FILE_NOT_FOUND"),
        (("CSVRdInt", "recipes.csv", 3, 0), "#ROW_NOT_FOUND"),
        (("CSVRdInt", "recipes.csv", -1, 0), "#ROW_NOT_FOUND"),
        (("CSVRdInt", "recipes.csv", 0, 3), "#COL_NOT_FOUND"),
        (("CSVRdInt", "recipes.csv", 0, -1), "#COL_NOT_FOUND"),
        (("CSVRdStr", "recipes.csv", "Cake", "Water"), "#ROW_NOT_FOUND"),
        (("CSVRdStr", "recipes.csv", "Title", "Water"), "#ROW_NOT_FOUND"),
        (("CSVRdStr", "recipes.csv", "Bread", "Salt"), "#COL_NOT_FOUND"),
        (("CSVRdStr", "recipes.csv", "Bread", "Title"), "#COL_NOT_FOUND"),
        (("CSVWrInt", "recipes.csv", 4, 0, "x"), "#ROW_NOT_FOUND"),
        (("CSVWrInt", "recipes.csv", 1, 3, "x"), "#COL_NOT_FOUND"),
        (("CSVWrStr", "recipes.csv", "", "Water", "x"), "#ROW_NOT_FOUND"),
        (("CSVWrStr", "recipes.csv", "Bread", "", "x"), "#COL_NOT_FOUND"),
        (("CSVRdInt", "quotes.csv", 0, 0), "#CSV_ERROR"),
        (("CSVRdInt", "latin.csv", 0, 0), "#CSV_ERROR"),
        (("CSVRdInt", "empty.csv", 0, 0), "#ROW_NOT_FOUND"),
        (("CSVRdStr", "empty.csv", "a", "b"), "#ROW_NOT_FOUND"),
        (("CSVRdInt", "folder", 0, 0), "#FILE_NOT_FOUND"),
        (("CSVRdInt", "long.csv", 0, 0), "#CSV_ERROR"),
    ],
)
def test_what_is_wrong_is_the_result(library: Library, call: tuple[object], result: str) -> None:
    Path("quotes.csv").write_text('a,b\n"c,d\n')
    Path("latin.csv").write_bytes(b"a,\xe9\n")
    Path("empty.csv").write_text("")
    Path("folder").mkdir()
    Path("long.csv").write_text("x" * 200_000)  # the csv module takes no such cell
    name, *arguments = call
    assert library[str(name)](*arguments) == result
    assert Path("recipes.csv").read_text() == RECIPES.replace("\r\n", "\n")


def test_every_later_read_sees_every_write(library: Library) -> None:
    for number in range(20):
        assert library["CSVWrInt"]("recipes.csv", 1, 2, number) == "OK"
        assert library["CSVRdStr"]("recipes.csv", "Bread", "Water") == str(number)
        assert library["CSVWrStr"]("recipes.csv", "Pizza", "Flour", number * 0.5) == "OK"
        assert library["CSVRdInt"]("recipes.csv", 2, 1) == str(number * 0.5)
        assert functions("")["CSVRdInt"]("recipes.csv", 2, 1) == str(number * 0.5)
    assert (
        Path("recipes.csv").read_bytes()
        == b"Title,Flour,Water\r\nBread,500,19\r\nPizza,9.5,620\r\n"
    )


def test_a_table_grows(library: Library) -> None:
    assert library["CSVWrInt"]("recipes.csv", 3, 0, "Cake") == "OK"
    assert library["CSVWrStr"]("recipes.csv", "Cake", "Sugar", 200) == "OK"
    assert library["CSVWrInt"]("recipes.csv", 0, 5, "Salt") == "OK"
    assert library["CSVWrStr"]("recipes.csv", "Rusk", "Salt", 3) == "OK"
    assert Path("recipes.csv").read_text().split() == [
        "Title,Flour,Water,Sugar,,Salt", "Bread,500,350", "Pizza,1000,620", "Cake,,,200",
        "Rusk,,,,,3",
    ]  # fmt: skip
    assert library["CSVWrStr"]("new.csv", "row", "column", "cell") == "OK"
    assert library["CSVRdStr"]("new.csv", "row", "column") == "cell"
    assert Path("new.csv").read_text() == ",column\nrow,cell\n"


def test_a_table_of_an_empty_row_grows(library: Library) -> None:
    Path("empty.csv").write_text("\n")
    assert library["CSVWrStr"]("empty.csv", "row", "column", "cell") == "OK"
    assert library["CSVRdStr"]("empty.csv", "row", "column") == "cell"


def test_other_peoples_changes_are_seen_after_a_reload(library: Library) -> None:
    assert library["CSVRdInt"]("recipes.csv", 1, 1) == "500"
    Path("recipes.csv").write_text("a;b\nc;d\n")
    assert library["CSVRdInt"]("recipes.csv", 1, 1) == "500"
    assert library["pyext_csv_reload"]() == "OK"
    assert library["CSVRdInt"]("recipes.csv", 1, 1) == "d"
    assert library["CSVWrInt"]("recipes.csv", 1, 1, "e;f") == "OK"
    assert Path("recipes.csv").read_text() == 'a;b\nc;"e;f"\n'


@pytest.mark.parametrize(
    "text", ["a;b,c;d\nd;e\n", "a\tb\nd\te\n", "a|b\nd|e\n", "a, b\nd, e\n", '"a;x","b"\nd,e\n']
)
def test_separators_are_found_out_and_kept(library: Library, text: str) -> None:
    Path("other.csv").write_text(text)
    assert library["CSVRdInt"]("other.csv", 1, 1) == "e"
    assert library["CSVWrInt"]("other.csv", 1, 1, "it's, \"so;") == "OK"
    assert functions("")["CSVRdInt"]("other.csv", 1, 1) == "it's, \"so;"
    assert functions("")["CSVRdInt"]("other.csv", 1, 0) == "d"


def test_a_write_that_fails_changes_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert library["CSVWrInt"]("recipes.csv", 1, 1, "x") == "#FILE_NOT_WRITTEN"
    assert library["CSVRdInt"]("recipes.csv", 1, 1) == "500"


def test_a_write_that_fails_leaves_nothing_behind(library: Library) -> None:
    assert library["CSVWrInt"]("recipes.csv", 1, 1, "\udcff") == "#FILE_NOT_WRITTEN"
    assert os.listdir() == ["recipes.csv"]


@pytest.mark.parametrize("name", ["a,b,c", "a;b;c;d", "a\tb|c,d;e", "a, b, c, d"])
@pytest.mark.parametrize("text", ["n;c\nr;1\n", "n,c\nr,1\n", "n| c\nr| 1\n"])
def test_separators_in_the_name_of_a_column(library: Library, text: str, name: str) -> None:
    Path("other.csv").write_text(text)
    assert library["CSVWrStr"]("other.csv", "r", name, "2") == "OK"
    for reload in (False, True):
        if reload:
            library["CSVReload"]()
        assert library["CSVRdStr"]("other.csv", "r", name) == "2"
        assert library["CSVRdStr"]("other.csv", "r", "c") == "1"


def test_readers_of_the_file_see_the_old_or_the_new_one(library: Library) -> None:
    end = threading.Event()
    lengths = set()

    def look() -> None:
        while not end.is_set():
            lengths.add(len(Path("recipes.csv").read_bytes()))

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(30):
        assert library["CSVWrInt"]("recipes.csv", 1, 1, 100 + number) == "OK"
    end.set()
    thread.join()
    assert lengths == {len(RECIPES)}


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = str(tmp_path_factory.mktemp("csv") / "cells.csv")
    Path(path).write_text("one,two\n")
    library = functions("")
    for number, row in enumerate(rows, 1):
        for column, text in enumerate(row):
            assert library["CSVWrInt"](path, number, column, text) == "OK"
    again = functions("")
    for number, row in enumerate(rows, 1):
        assert [again["CSVRdInt"](path, number, column) for column in (0, 1)] == row
