# SPDX-License-Identifier: MIT
"""Wakeup latency of the scan cycle against cyclictest, idle and under a stress load."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options as command
from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.side_by_side import Pair, missing, run_pair
from serial_runtime.latency.load import KINDS, Load

LOADS = ("idle", "stress")
# As `serial-runtime latency` has it, and of each kind as many as there are processors.
STRESS = [*KINDS, *[kind for kind in KINDS if kind != "cpu"] * ((os.cpu_count() or 1) - 1)]
PERIODS_US = {"1ms": 1000, "250us": 250}
FRACTIONS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
TARGET = 1.05


def ratios(pairs: Sequence[Pair], fraction: float) -> list[float]:
    """Subject to reference, without the runs in which both lie beyond the histograms."""
    found = [p.subject.percentile_us(fraction) / p.reference.percentile_us(fraction) for p in pairs]
    return [ratio for ratio in found if not math.isnan(ratio)]


def show_pairs(name: str, pairs: Sequence[Pair], target: float | str) -> None:
    """The percentiles of several runs: ratios, and what they are ratios of."""
    for label, fraction in FRACTIONS.items():
        known = ratios(pairs, fraction)
        if len(known) < len(pairs):
            show(f"{label}: runs beyond 1 ms on both sides", str(len(pairs) - len(known)))
        if known:
            show_ratio(f"{label}: {name}", known, target)
    for side, label in (("subject", name.split(" / ")[0]), ("reference", "cyclictest beside it")):
        runs = [getattr(pair, side) for pair in pairs]
        medians = [
            f"{label} {statistics.median(run.percentile_us(fraction) for run in runs):.1f}"
            for label, fraction in FRACTIONS.items()
        ]
        longest = [run.max_us for run in runs]
        medians.append(f"max {statistics.median(longest):.0f}, of all runs {max(longest):.0f}")
        show(f"  {label}, medians, us", ", ".join(medians))


def run(options: Sequence[str] = ()) -> None:
    wanted = command.parse("latency", options, runs=20, seconds=8.0)
    print(f"Wakeup latency against cyclictest, {wanted.runs} runs of {wanted.seconds:g} s each")
    if missing():
        show("skipped", missing())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for load in LOADS:
            periods = {p: us for p, us in PERIODS_US.items() if wanted.wants(load, p)}
            images = {p: build("empty", folder, us) for p, us in periods.items()}
            subjects: dict[str, list[Pair]] = {p: [] for p in periods}
            controls: dict[str, list[Pair]] = {p: [] for p in periods}
            with Load(STRESS) if periods and load == "stress" else contextlib.nullcontext():
                for _ in range(wanted.runs):  # interleaved, so that all see the same hour
                    for p, us in periods.items():
                        subjects[p].append(run_pair(images[p], us, wanted.seconds, folder))
                        controls[p].append(run_pair(None, us, wanted.seconds, folder))
            for p in periods:
                print(f" {p}, {load}")
                show_pairs("scan cycle / cyclictest", subjects[p], TARGET)
                show_pairs("cyclictest / cyclictest (control)", controls[p], "")
