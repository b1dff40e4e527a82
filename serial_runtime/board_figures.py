# SPDX-License-Identifier: MIT
"""Figures of times that the C side keeps, as the types of ``board_types``."""

from __future__ import annotations

from serial_runtime.board_native import ffi
from serial_runtime.board_types import (
    Distribution,
    MaximumCause,
    MaximumRecord,
    RecordedCycle,
    Statistics,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def statistics_of(figures: Any, period_ns: int) -> Statistics:
    """Of a ``struct stats_figures``."""
    return Statistics(
        ticks=figures.ticks,
        overruns=figures.overruns,
        skipped=figures.skipped,
        period_ns=period_ns,
        wakeup=_distribution(figures.wakeup),
        execution=_distribution(figures.execution),
        shim=_distribution(figures.shim),
        jitter=_distribution(figures.jitter),
        load_ppm=figures.load_ppm,
    )


def _distribution(figures: Any) -> Distribution:
    return Distribution(
        count=figures.count,
        min_ns=figures.min_ns,
        avg_ns=figures.avg_ns,
        p99_ns=figures.p99_ns,
        p999_ns=figures.p999_ns,
        max_ns=figures.max_ns,
        overflow=figures.overflow,
        bins=tuple(ffi.unpack(figures.bins, figures.used_bins)),
        bin_ns=figures.bin_ns,
        p50_ns=figures.p50_ns,
        last_ns=figures.last_ns,
        p9999_ns=figures.p9999_ns,
    )


def record_of(native: Any) -> MaximumRecord:
    """Of a ``struct recorder_record``."""
    cycles = ffi.unpack(native.cycles, native.count)
    return MaximumRecord(
        native.owner,
        MaximumCause(native.cause),
        native.value_ns,
        native.before_ns,
        native.position,
        tuple(
            RecordedCycle(c.tick, c.wakeup_ns, c.execution_ns, c.jitter_ns, c.task) for c in cycles
        ),
    )
