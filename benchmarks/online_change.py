# SPDX-License-Identifier: MIT
"""100 online changes of a program of 100 variables at 1 ms: deadlines missed, beside none changed.

Missed are the periods that the cycle skipped and the cycles that were not done at the next release,
by its own counters. The reference is the same program for the same time, unchanged, right after.
Both miss what the kernel wakes too late; the longest cycle, from waking to done, tells what the
switches add to that.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import options as command
from benchmarks.figures import show
from benchmarks.programs import build
from benchmarks.side_by_side import CPU, PRIORITY
from serial_runtime import board_change
from serial_runtime.board import Board, Image, Options, Statistics
from serial_runtime.board_change import Phase
from serial_runtime.errors import StateError

CHANGES = 100
VARIABLES = 100
APART_S = 0.02
POLL_S = 0.001
LIMIT_S = 10.0


def change(board: Board, path: str) -> tuple[Image, int]:
    """One change, kept; the new program, and what copying took, nanoseconds."""
    new = board_change.open_change(path)
    board_change.rehearse_change([(row.index, row.index) for row in new.variables], 1)
    until(Phase.READY)
    copy_ns = board_change.change_state().copy_ns
    board_change.make_change({})
    while board_change.change_state().cycles_left:
        time.sleep(POLL_S)
    board_change.keep_change()
    return new, copy_ns


def until(phase: Phase) -> None:
    end_s = time.monotonic() + LIMIT_S
    while board_change.change_state().phase is not phase:
        if time.monotonic() > end_s:
            raise StateError(f"the change did not become {phase.name.lower()}")
        time.sleep(POLL_S)


def missed(found: Statistics) -> int:
    return found.skipped + found.overruns


class Run(NamedTuple):
    made: int  # changes
    missed: int
    missed_without: int
    longest_ns: int
    longest_without_ns: int
    copy_ns: float


def one_run(board: Board, paths: Iterator[str]) -> Run:
    board.load(next(paths))
    board.start()
    time.sleep(APART_S)
    made, copies = 0, []
    begin_anew(board)
    begin_s = time.monotonic()
    for _ in range(CHANGES):
        try:
            copies.append(change(board, next(paths))[1])
            made += 1
        except StateError:  # no cycle left the time: nothing was changed
            board_change.drop_change()
        time.sleep(APART_S)
    seconds, changed = time.monotonic() - begin_s, board.statistics()
    begin_anew(board)
    time.sleep(seconds)
    unchanged = board.statistics()
    board.stop()
    return Run(
        made,
        missed(changed),
        missed(unchanged),
        changed.execution.max_ns,
        unchanged.execution.max_ns,
        statistics.mean(copies or [0]),
    )


def begin_anew(board: Board) -> None:
    board.statistics(reset=True)
    time.sleep(APART_S)  # the next cycle does it


def run(options: Sequence[str] = ()) -> None:
    wanted = command.parse("online_change", options, runs=5, seconds=1.0)
    print(f"{CHANGES} online changes of {VARIABLES} variables at 1 ms, {wanted.runs} runs")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name))
        # A path of its own: a process takes each image file once.
        paths = (shutil.copy(image, f"{image}.{number}") for number in itertools.count())
        board = Board(Options(priority=PRIORITY, cpu=CPU))
        runs = [one_run(board, paths) for _ in range(wanted.runs)]
        show("schedule", board.scheduling)
        board.close()
    show("changes made", " ".join(str(one.made) for one in runs))
    show("missed deadlines: with changes", " ".join(str(one.missed) for one in runs), "0")
    show("missed deadlines: without", " ".join(str(one.missed_without) for one in runs))
    show("longest cycle, us: with changes", " ".join(f"{one.longest_ns / 1e3:.0f}" for one in runs))
    show("longest cycle, us: without", " ".join(f"{o.longest_without_ns / 1e3:.0f}" for o in runs))
    show("copy of all values", f"{statistics.median(one.copy_ns for one in runs) / 1000:.1f} us")
