# SPDX-License-Identifier: MIT
"""A scan cycle and cyclictest at the same time: same CPU, priority and period.

On a shared machine two runs one after the other differ by several times on their own, so both run
concurrently, their releases half a period apart. The control is a cyclictest against a cyclictest
in the same arrangement: what it shows is the noise.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import percentile

PRIORITY = 80
CPU = max(os.sched_getaffinity(0))
BINS = 1000  # of 1 us, on both sides
# Until cyclictest has begun: it waits for a full second.
BEGIN_S = 1.5

# Runs the shim without a daemon around it. A line on stdin begins the measurement, whose figures
# are a line of JSON; the end of stdin ends it.
SHIM = """
import json, sys, time
from serial_runtime.board import Board, Options
board = Board(Options(priority=int(sys.argv[2]), cpu=int(sys.argv[3])))
board.load(sys.argv[1])
board.start()
print(json.dumps(board.real_time), flush=True)
sys.stdin.readline()
board.statistics(reset=True)
time.sleep(float(sys.argv[4]))
figures = board.statistics()
print(json.dumps([figures.wakeup.bins, figures.wakeup.overflow, figures.wakeup.max_ns / 1000,
    figures.overruns]), flush=True)
sys.stdin.readline()
board.stop()
"""


class Latencies(NamedTuple):
    """One run's wakeup latencies."""

    bins: tuple[int, ...]  # 1 us each
    overflow: int
    max_us: float
    overruns: int  # cycles not done at the next release; of cyclictest: not awake then

    @property
    def samples(self) -> int:
        return sum(self.bins) + self.overflow

    def percentile_us(self, fraction: float) -> float:
        return percentile(self.bins, self.overflow, fraction)


class Pair(NamedTuple):
    subject: Latencies
    reference: Latencies


def missing() -> str:
    """What this machine lacks for it; empty: nothing."""
    if shutil.which("cyclictest") is None:
        return "cyclictest is not installed (Debian: rt-tests)"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        return "no right to use SCHED_FIFO: run this as root"
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return ""


# The scan cycle's releases lie a quarter of a period off the full milliseconds (board/cycle.c);
# the reference's half a period from there.
def subject_us(period_us: int) -> int:
    return period_us // 4


def reference_us(period_us: int) -> int:
    return subject_us(period_us) + period_us // 2


class Cyclictest:
    """cyclictest with its releases at whole periods plus `offset_us`, started."""

    def __init__(self, period_us: int, offset_us: int, seconds: float, file: Path) -> None:
        self._period_us, self._file = period_us, file
        self._process = subprocess.Popen(
            ["cyclictest", "-q", "-m", "-t1", f"-p{PRIORITY}", f"-i{period_us}", f"-a{CPU}"]
            + [f"-D{math.ceil(seconds + BEGIN_S)}", f"-h{BINS}", f"--secaligned={offset_us}"]
            + [f"--histfile={file}"],
            stdout=subprocess.DEVNULL,
        )

    def result(self) -> Latencies:
        """When it has ended."""
        if self._process.wait() != 0:
            raise RuntimeError("cyclictest failed: it needs the right to use SCHED_FIFO")
        bins, overflow, max_us = [], 0, 0
        for line in self._file.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0].isdigit():
                bins.append(int(words[1]))
            elif line.startswith("# Histogram Overflows:"):
                overflow = int(words[-1])
            elif line.startswith("# Max Latencies:"):
                max_us = int(words[-1])
        return Latencies(tuple(bins), overflow, max_us, sum(bins[self._period_us :]) + overflow)


class ScanCycle:
    """The shim, running `image` in a process of its own."""

    def __init__(self, image: Path, seconds: float) -> None:
        command = [sys.executable, "-c", SHIM, str(image), str(PRIORITY), str(CPU), str(seconds)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> ScanCycle:
        if not self._answer():
            raise RuntimeError("the scan cycle has no SCHED_FIFO: run this as root")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the scan cycle's process ended too early")
        return json.loads(line)

    def measure(self) -> Latencies:
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        bins, overflow, max_us, overruns = self._answer()
        return Latencies(tuple(bins), overflow, max_us, overruns)


def run_pair(image: Path | None, period_us: int, seconds: float, folder: Path) -> Pair:
    """One run; the subject is a second cyclictest when there is no image."""
    at_us, files = reference_us(period_us), (folder / "reference", folder / "subject")
    if image is None:
        other = Cyclictest(period_us, at_us, seconds, files[0])
        twin = Cyclictest(period_us, subject_us(period_us), seconds, files[1])
        return Pair(twin.result(), other.result())
    # What the two do before they measure and afterwards is no load of the other's measurement.
    with ScanCycle(image, seconds) as cycle:
        other = Cyclictest(period_us, at_us, seconds, files[0])
        time.sleep(BEGIN_S)
        return Pair(cycle.measure(), other.result())
