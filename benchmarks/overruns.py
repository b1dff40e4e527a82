# SPDX-License-Identifier: MIT
"""At 20 kHz: how many cycles are not done at the next release, against cyclictest's latencies."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options as command
from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.side_by_side import Latencies, Pair, missing, run_pair

PERIOD_US = 50
TARGET = 1.0


def share(latencies: Latencies) -> float:
    return latencies.overruns / latencies.samples


def ratio(pair: Pair) -> float:
    """Where nobody is late, nobody is later."""
    mine, other = share(pair.subject), share(pair.reference)
    if other == 0:
        return 1.0 if mine == 0 else float("inf")
    return mine / other


def show_shares(name: str, pairs: Sequence[Pair], target: float | str) -> None:
    show_ratio(f"late: {name}", [ratio(pair) for pair in pairs], target)
    subject = statistics.median(share(pair.subject) for pair in pairs)
    reference = statistics.median(share(pair.reference) for pair in pairs)
    show("  medians of the shares", f"{subject:.4%}, beside it {reference:.4%}")


def run(options: Sequence[str] = ()) -> None:
    wanted = command.parse("overruns", options, runs=20, seconds=8.0)
    print(f"Late at {PERIOD_US} us, {wanted.runs} runs of {wanted.seconds:g} s each")
    if missing():
        show("skipped", missing())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = build("empty", folder, PERIOD_US)
        subjects, controls = [], []
        for _ in range(wanted.runs):  # interleaved, so that both see the same hour
            subjects.append(run_pair(image, PERIOD_US, wanted.seconds, folder))
            controls.append(run_pair(None, PERIOD_US, wanted.seconds, folder))
    show_shares("scan cycle / cyclictest", subjects, TARGET)
    show_shares("cyclictest / cyclictest (control)", controls, "")
