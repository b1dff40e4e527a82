# SPDX-License-Identifier: MIT
"""The shim's own work in a cycle: nothing traced, and 100 variables traced."""

from __future__ import annotations

import statistics
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import show
from benchmarks.programs import build
from serial_runtime.board import Board, Options

SECONDS = 5.0


def median_ns(bins: Sequence[int], bin_ns: int) -> int:
    """Upper edge of the bin that holds the median."""
    rank, seen = sum(bins) / 2, 0
    for index, count in enumerate(bins):
        seen += count
        if seen >= rank:
            return (index + 1) * bin_ns
    raise ValueError("an empty histogram has no median")


def one_run(board: Board, indices: Sequence[int]) -> int:
    """Median of the shim's own time per cycle while `indices` are traced, nanoseconds."""
    board.start()
    generation = board.set_trace(indices)
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            board.read_trace(generation, 1 << 20, 0.05)

    drainer = threading.Thread(target=drain)
    drainer.start()
    board.statistics(reset=True)
    done.wait(SECONDS)
    shim = board.statistics().shim
    done.set()
    drainer.join()
    board.stop()
    return median_ns(shim.bins, shim.bin_ns)


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 5
    print(f"The shim's own work per 1 ms cycle, median of {runs} runs of {SECONDS:.0f} s")
    with tempfile.TemporaryDirectory() as folder:
        board = Board(Options(priority=80, cpu=1))
        board.load(str(build("hundred", Path(folder))))
        empty = [one_run(board, []) for _ in range(runs)]
        traced = [one_run(board, range(100)) for _ in range(runs)]
        board.close()
    show("nothing traced", f"{statistics.median(empty):.0f} ns")
    show("100 DINT traced", f"{statistics.median(traced):.0f} ns", "<= 2000 ns")
