# SPDX-License-Identifier: MIT
"""Percentiles of histograms, medians with a bootstrap interval, and how results are printed."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence


def percentile_us(bins: Sequence[int], overflow: int, fraction: float) -> float:
    """Upper edge, in microseconds, of the 1 us bin that holds the sample of that rank.

    Both sides of a latency ratio are read this way. A rank beyond the last bin gives infinity:
    the run does not say, and a ratio of medians survives some of those.
    """
    total = sum(bins) + overflow
    if total == 0:
        raise ValueError("an empty histogram has no percentiles")
    rank, seen = fraction * total, 0
    for index, count in enumerate(bins):
        seen += count
        if seen >= rank:
            return float(index + 1)
    return float("inf")


def bootstrap_interval(values: Sequence[float], rounds: int = 4000) -> tuple[float, float]:
    """95 % interval of the median, by resampling with a fixed seed."""
    source = random.Random(1)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(rounds)
    )
    return medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


def show_ratio(name: str, ratios: Sequence[float], target: str = "") -> None:
    """One line: the median of the ratios, its interval, how many runs."""
    low, high = bootstrap_interval(ratios)
    goal = f"   target {target}" if target else ""
    print(
        f"  {name:<44} {statistics.median(ratios):7.3f}  [{low:.3f} .. {high:.3f}]"
        f"  n={len(ratios)}{goal}",
        flush=True,
    )


def show(name: str, value: str, target: str = "") -> None:
    """One line that is not a ratio of many runs."""
    goal = f"   target {target}" if target else ""
    print(f"  {name:<44} {value}{goal}", flush=True)
