# SPDX-License-Identifier: MIT
"""Retain variables on the board: read at the end of a cycle, given back after init."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beremiz_object
import pytest

import serial_runtime
from serial_runtime.board import Board
from serial_runtime.errors import ProgramFault, StateError
from serial_runtime.iec import IecType, unpack_all

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[..., None]

CYCLES, COUNT, ON, SPAN, TEXT, CRASH_AT, SEEN, TICK = range(8)
KEPT = (IecType.UDINT, IecType.BOOL, IecType.TIME, IecType.STRING, IecType.UDINT)
ID = "0123456789abcdef0123456789abcdef"
SCRIPT = Path(__file__).resolve().parent / "scripts" / "retain.py"


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


def read(board: Board, index: int) -> int:
    return int.from_bytes(board.read([index])[1], "little")


def taken(board: Board) -> tuple[int, list[Any]]:
    found = board.take_retained()
    assert found is not None
    return found[0], unpack_all(KEPT, found[1])


def run(board: Board, until: Until, retained: dict[int, bytes], cycles: int = 3) -> None:
    board.start(retained)
    until(lambda: read(board, CYCLES) >= cycles)


def test_values_are_of_the_end_of_one_cycle(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    assert board.retained() == [COUNT, ON, SPAN, TEXT, TICK]
    with pytest.raises(StateError, match="no program is running"):
        board.ask_retained()
    assert board.take_retained() is None
    run(board, until, {})
    assert board.take_retained() is None
    board.ask_retained()
    until(board.take_retained)
    tick, values = taken(board)
    assert values[1:] == [True, -1_000_000, "abc", tick]
    assert 1100 < values[0] <= 1101 + tick
    assert taken(board) == (tick, values)


def test_a_stop_leaves_the_values_of_the_last_cycle(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    run(board, until, {})
    board.ask_retained()  # not taken: the stop asks anew
    board.stop()
    tick, values = taken(board)
    assert values[4] == tick
    assert values[0] == 1100 + read(board, CYCLES)
    assert read(board, COUNT) == 7  # fini ran after it
    board.load(image("basic"))
    assert board.take_retained() is None
    assert board.retained() == []


def test_values_come_back_after_init_and_before_the_first_cycle(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    run(board, until, {COUNT: u32(500), CYCLES: u32(900), TEXT: b"\2xy"})
    assert read(board, SEEN) == 500
    assert read(board, CYCLES) < 900  # no retain variable
    board.stop()
    run(board, until, {})
    assert read(board, SEEN) == 1100  # a cold start
    board.stop()


def test_a_forced_variable_keeps_the_forced_value(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    board.set_forces({COUNT: u32(33)})
    run(board, until, {COUNT: u32(500)})
    assert read(board, SEEN) == 33
    board.stop()
    assert taken(board)[1][0] == 33


def test_a_value_that_does_not_fit_is_told_and_left_out(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    run(board, until, {COUNT: b"\1", TEXT: b"\6abcdef", 99: b"\0"})
    assert read(board, SEEN) == 1100
    assert "does not fit" in board.drain_log()[0].text


def check(tick: int, data: str) -> None:
    """They are of a cycle that ended well: the one that fails sets COUNT to 0."""
    values = unpack_all(KEPT, bytes.fromhex(data))
    assert values[0] > 1100
    assert values[4] == tick


@pytest.mark.parametrize("when", ["cycle", "fini"])
def test_values_of_a_faulted_cycle_are_never_taken(image: ImageMaker, when: str) -> None:
    path = image("retain", *["CRASH_IN_FINI"] * (when == "fini"))
    root = Path(serial_runtime.__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), path, when],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    said = json.loads(done.stdout)
    assert said["state"] == "FAULTED"
    if said["after"] is not None:  # the last request came in time, or not
        check(*said["after"])
    if when == "cycle":
        check(*said["before"])
    else:
        assert said["after"] is not None


def test_an_object_says_in_its_init_what_it_keeps(
    new_board: BoardMaker, tmp_path: Path, until: Until
) -> None:
    path = tmp_path / "plc.so"
    path.write_bytes(beremiz_object.content())
    board = new_board()
    board.load(str(path), ID)
    assert board.retained() == []
    board.start()
    assert board.retained() == [beremiz_object.KEPT]
    board.stop()
    found = board.take_retained()
    assert found is not None
    assert found[1] == u32(11)
    board.drain_log()
    board.start({beremiz_object.KEPT: u32(77), beremiz_object.GLOBAL: u32(1)[:2]})
    board.stop()
    found = board.take_retained()
    assert found is not None
    assert found[1] == u32(77)
    assert "no retained values" not in [record.text for record in board.drain_log()]


def test_an_object_with_a_cycle_of_its_own_has_none(new_board: BoardMaker, tmp_path: Path) -> None:
    path = tmp_path / "plc.so"
    path.write_bytes(beremiz_object.content())
    board = new_board(own_cycle=True)
    board.load(str(path), ID)
    board.start()
    assert board.retained() == []
    with pytest.raises(Exception, match="own cycle"):
        board.ask_retained()
    board.stop()
    assert board.take_retained() is None


def test_values_of_an_earlier_run_are_not_taken_for_those_of_this_one(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("retain"))
    run(board, until, {})
    board.stop()
    assert board.take_retained() is not None
    board.set_forces({CRASH_AT: struct.pack("<i", -1)})
    with pytest.raises(ProgramFault, match="returned 5"):
        board.start({COUNT: u32(4)})
    assert board.take_retained() is None
    board.set_forces({})
    run(board, until, {})
    assert board.take_retained() is None


def test_a_task_with_a_thread_keeps_whole_sets(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    scans, runs, runs_not, seen, has_seen = range(5)
    board = new_board()
    board.load(image("retain_tasks"))
    assert board.retained() == [scans, runs, runs_not]

    def is_whole() -> tuple[int, ...]:
        found = board.take_retained()
        assert found is not None
        kept = struct.unpack("<III", found[1])
        assert kept[1] == ~kept[2] & 0xFFFFFFFF
        return kept

    board.start()
    until(lambda: read(board, has_seen))
    for _ in range(20):
        board.ask_retained()
        until(board.take_retained)
        is_whole()
    board.stop()
    _, last, last_not = is_whole()
    assert last > 100
    board.start({runs: u32(last), runs_not: u32(last_not)})
    board.ask_retained()
    until(board.take_retained)
    assert is_whole()[1] >= last
    until(lambda: read(board, has_seen))
    assert read(board, seen) == last
