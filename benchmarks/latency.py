# SPDX-License-Identifier: MIT
"""Wakeup latency of the scan cycle against cyclictest, measured at the same time.

On a shared machine two runs one after the other differ by several times on their own, so both
run concurrently: same CPU, priority and period, their releases half a period apart. The control
is a cyclictest against a cyclictest in the same arrangement: what it shows is the noise.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import percentile_us, show, show_ratio
from benchmarks.programs import build

PERIOD_US = 1000
PRIORITY = 80
CPU = 1
BINS = 1000
# The scan cycle's releases lie a quarter of a period off the full milliseconds (board/cycle.c);
# the reference's half a period from there.
SUBJECT_US = PERIOD_US // 4
REFERENCE_US = SUBJECT_US + PERIOD_US // 2
FRACTIONS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

# Runs the shim without a daemon around it: an empty 1 ms task, statistics as JSON on stdout.
SHIM = """
import json, sys, time
from serial_runtime.board import Board, Options
board = Board(Options(priority=int(sys.argv[2]), cpu=int(sys.argv[3])))
board.load(sys.argv[1])
board.start()
print("started", board.real_time, board.scheduling, file=sys.stderr, flush=True)
board.statistics(reset=True)
time.sleep(float(sys.argv[4]))
figures = board.statistics()
board.stop()
print(json.dumps({"bins": figures.wakeup.bins, "overflow": figures.wakeup.overflow,
    "max": figures.wakeup.max_ns / 1000}))
"""


def start_cyclictest(seconds: float, offset_us: int, out: Path) -> subprocess.Popen[bytes]:
    """cyclictest with its releases at whole periods plus `offset_us`."""
    return subprocess.Popen(
        ["cyclictest", "-q", "-m", "-t1", f"-p{PRIORITY}", f"-i{PERIOD_US}", f"-a{CPU}"]
        + [f"-D{seconds:.0f}", f"-h{BINS}", f"--secaligned={offset_us}", f"--histfile={out}"],
        stdout=subprocess.DEVNULL,
    )


def read_cyclictest(path: Path) -> tuple[list[int], int]:
    """1 us bins and the number of samples beyond them, from a cyclictest histogram file."""
    bins, overflow = [], 0
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 2 and words[0].isdigit():
            bins.append(int(words[1]))
        elif line.startswith("# Histogram Overflows:"):
            overflow = int(words[-1])
    return bins, overflow


def start_shim(image: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SHIM, str(image), str(PRIORITY), str(CPU), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def one_run(image: Path | None, seconds: float, folder: Path) -> dict[str, float]:
    """Ratios of the percentiles, subject to reference; the subject is a second cyclictest when
    there is no image."""
    reference = start_cyclictest(seconds, REFERENCE_US, folder / "reference")
    if image is None:
        subject = start_cyclictest(seconds, SUBJECT_US, folder / "subject")
        subject.wait()
        bins, overflow = read_cyclictest(folder / "subject")
    else:
        shim = start_shim(image, seconds)
        answer, _ = shim.communicate()
        figures = json.loads(answer)
        bins, overflow = figures["bins"], figures["overflow"]
    reference.wait()
    other, other_overflow = read_cyclictest(folder / "reference")
    return {
        name: percentile_us(bins, overflow, fraction)
        / percentile_us(other, other_overflow, fraction)
        for name, fraction in FRACTIONS.items()
    }


def run(options: Sequence[str] = ()) -> None:
    runs, seconds = (int(options[0]) if options else 20), 8.0
    if shutil.which("cyclictest") is None:
        show("wakeup latency", "skipped: cyclictest is not installed (Debian: rt-tests)")
        return
    print(f"Wakeup latency at {PERIOD_US} us against cyclictest, {runs} runs of {seconds:.0f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = build("empty", folder)
        subject, control = [], []
        for _ in range(runs):  # interleaved, so that both see the same hour
            subject.append(one_run(image, seconds, folder))
            control.append(one_run(None, seconds, folder))
    for key in FRACTIONS:
        # Where both lie beyond the histograms the run says nothing.
        lost = [r for r in (*subject, *control) if math.isnan(r[key])]
        if lost:
            show(f"{key}: runs beyond 1 ms on both sides, left out", str(len(lost)))
        goal = "interval's lower end <= 1.1" if key == "p99.9" else ""
        show_ratio(
            f"{key}: scan cycle / cyclictest", [r[key] for r in subject if r not in lost], goal
        )
        show_ratio(
            f"{key}: cyclictest / cyclictest (control)", [r[key] for r in control if r not in lost]
        )
