# SPDX-License-Identifier: MIT
"""The shim's own work in a cycle: nothing to do, variables traced, variables traced and forced.

It is what the cycle reports of itself: running to done, without the program's part. After a
millisecond of sleep the caches hold what others left there, so this is the cost as it is met.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import options as command
from benchmarks.figures import percentile, show_median
from benchmarks.programs import build
from benchmarks.side_by_side import CPU, PRIORITY
from serial_runtime.board import Board, Options


class Case(NamedTuple):
    name: str
    image: str
    traced: int
    forced: int
    target_ns: int


CASES = (
    Case("empty", "empty", 0, 0, 500),
    Case("100-traced", "hundred", 100, 0, 1000),
    Case("1000-traced-100-forced", "thousand", 1000, 100, 5000),
)


def one_run(board: Board, case: Case, seconds: float) -> float:
    """Median of the shim's own time per cycle, nanoseconds."""
    apart = case.traced // case.forced if case.forced else 0
    board.set_forces({index * apart: bytes(4) for index in range(case.forced)})
    board.start()
    generation = board.set_trace(range(case.traced))
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            board.read_trace(generation, 1 << 20, 0.05)

    drainer = threading.Thread(target=drain)
    drainer.start()
    board.statistics(reset=True)
    done.wait(seconds)
    shim = board.statistics().shim
    done.set()
    drainer.join()
    board.stop()
    return percentile(shim.bins, shim.overflow, 0.5) * shim.bin_ns


def run(options: Sequence[str] = ()) -> None:
    wanted = command.parse("work", options, runs=9, seconds=3.0)
    cases = [case for case in CASES if wanted.wants(case.name)]
    print(f"The shim's own work per 1 ms cycle, {wanted.runs} runs of {wanted.seconds:g} s each")
    found: dict[Case, list[float]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as name:
        images = {case: build(case.image, Path(name)) for case in cases}
        board = Board(Options(priority=PRIORITY, cpu=CPU))
        for turn in range(wanted.runs):  # interleaved, so that all see the same hour
            for case in cases:
                # A path of its own: a process takes each image file once.
                board.load(shutil.copy(images[case], f"{images[case]}.{turn}"))
                found[case].append(one_run(board, case, wanted.seconds))
        board.close()
    for case, medians in found.items():
        show_median(case.name, medians, case.target_ns)
