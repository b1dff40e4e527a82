# SPDX-License-Identifier: MIT
"""How a distribution of times is shown as text."""

from __future__ import annotations

from collections.abc import Sequence

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.board_types import Distribution
    from serial_runtime.rpc.board import common

    Figures = Distribution | common.Timing

BINS = 1000  # of a whole histogram; what is longer is counted as overflow
_BAR = 40  # characters
_COLUMNS = {
    "last": "last_ns",
    "min": "min_ns",
    "average": "avg_ns",
    "p50": "p50_ns",
    "p99": "p99_ns",
    "p99.9": "p999_ns",
    "p99.99": "p9999_ns",
    "max": "max_ns",
}
_LABEL, _CELL = 15, 8  # characters; a line fits a terminal of 80


class Timing(NamedTuple):
    """One distribution and its histogram, up to the last bin that is not 0."""

    label: str
    figures: Figures
    bins: Sequence[int] = ()


def table(timings: Sequence[Timing]) -> list[str]:
    """A heading, and a line for each, in microseconds."""
    lines = [f"{'us':{_LABEL}}" + "".join(f"{name:>{_CELL}}" for name in _COLUMNS)]
    for label, figures, _ in timings:
        cells = (f"{getattr(figures, name) / 1000:{_CELL}.1f}" for name in _COLUMNS.values())
        lines.append(f"{label:{_LABEL}}" + "".join(cells))
    return lines


def histogram(title: str, bins: Sequence[int], bin_ns: int, overflow: int) -> list[str]:
    """Bars over ranges that double: 0 to 1, 1 to 2, 2 to 4, ... microseconds."""
    sums: dict[int, int] = {}
    for number, count in enumerate(bins):
        edge = max((number * bin_ns // 1000).bit_length(), 0)
        sums[edge] = sums.get(edge, 0) + count
    filled = [edge for edge, count in sums.items() if count]
    rows = [
        (f"{(1 << edge) // 2:>5} to {1 << edge} us", sums.get(edge, 0))
        for edge in range(min(filled, default=0), max(filled, default=-1) + 1)
    ]
    if overflow:
        rows.append((f"{'above':>5} {BINS * bin_ns // 1000} us", overflow))
    if not rows:
        return [title, "  nothing was counted"]
    most = max(count for _, count in rows)
    width = max(len(label) for label, _ in rows)
    bars = (
        f"  {label:{width}} {count:>8}  {'#' * -(-_BAR * count // most)}".rstrip()
        for label, count in rows
    )
    return [title, *bars]
