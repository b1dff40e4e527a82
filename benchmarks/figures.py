# SPDX-License-Identifier: MIT
"""Percentiles of histograms, medians with a bootstrap interval, and how results are printed."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence


def percentile(bins: Sequence[int], overflow: int, fraction: float) -> float:
    """The sample of that rank, as a number of bins.

    By interpolation in the bin that holds it: ratios of figures of a few bins would jump
    otherwise. Both sides of a ratio are read this way. A rank beyond the last bin gives infinity:
    the run does not say, and a ratio of medians survives some of those.
    """
    total = sum(bins) + overflow
    if total == 0:
        raise ValueError("an empty histogram has no percentiles")
    rank, seen = fraction * total, 0
    for index, count in enumerate(bins):
        if count and seen + count >= rank:
            return index + (rank - seen) / count
        seen += count
    return float("inf")


def bootstrap_interval(values: Sequence[float], rounds: int = 4000) -> tuple[float, float]:
    """95 % interval of the median, by resampling with a fixed seed."""
    source = random.Random(1)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(rounds)
    )
    return medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


def verdict(reached: float, limit: float) -> str:
    """A target as it is printed, with whether it is met."""
    return f"<= {limit:g}: {'holds' if reached <= limit else 'MISSED'}"


def show_ratio(name: str, ratios: Sequence[float], target: str | float = "") -> None:
    """One line: the median of the ratios, its interval, how many runs.

    A number as target holds when the interval's lower end meets it: there the runs do not
    contradict it.
    """
    low, high = bootstrap_interval(ratios)
    if isinstance(target, float):
        target = verdict(low, target)
    goal = f"   target {target}" if target else ""
    print(
        f"  {name:<44} {statistics.median(ratios):7.3f}  [{low:.3f} .. {high:.3f}]"
        f"  n={len(ratios)}{goal}",
        flush=True,
    )


def show_median(name: str, values_ns: Sequence[float], limit_ns: float) -> None:
    """One line: the median of several runs, in nanoseconds, with its interval."""
    low, high = bootstrap_interval(values_ns)
    median = statistics.median(values_ns)
    text = f"{median:.0f} ns  [{low:.0f} .. {high:.0f}]  n={len(values_ns)}"
    show(name, text, f"{verdict(median, limit_ns)}")


def show(name: str, value: str, target: str = "") -> None:
    """One line that is not a ratio of many runs."""
    goal = f"   target {target}" if target else ""
    print(f"  {name:<44} {value}{goal}", flush=True)
