# SPDX-License-Identifier: MIT
"""How late this machine wakes a thread like that of the scan cycle; it needs no program."""

from __future__ import annotations

import errno
import time

from serial_runtime.board_figures import statistics_of
from serial_runtime.board_native import TEXT_BYTES, Why, ffi, lib, text_of
from serial_runtime.board_types import Statistics
from serial_runtime.errors import BoardError
from serial_runtime.named_tuple import NamedTuple


class LatencyOptions(NamedTuple):
    """How the thread runs; the defaults are those of a profile's ``[rt]``."""

    period_ns: int = 1_000_000
    priority: int = 80
    cpu: int = -1
    cpu_latency_us: int = 0


class LatencyMeter:
    """A periodic thread that does nothing, and its figures; one at a time, for one thread.

    :class:`BoardError` when it cannot be started. What it was not given, ``real_time`` and the rest
    tell; it measures all the same.
    """

    def __init__(self, options: LatencyOptions) -> None:
        native = ffi.new("struct latency_options *", options._asdict())
        actual = ffi.new("struct latency_actual *")
        why = Why()
        pointer = ffi.new("struct latency **")
        result = lib.latency_start(pointer, native, actual, why.buffer, TEXT_BYTES)
        if result != 0:
            raise BoardError(-result, why.text())
        self._latency = pointer[0]
        self.backend = text_of(lib.board_backend())
        self.real_time = bool(actual.real_time)
        self.cpu = int(actual.cpu)
        self.memory_locked = bool(actual.memory_locked)
        self.idle_states_held = bool(actual.idle_states_held)

    def reset(self) -> None:
        """Begin anew."""
        lib.latency_reset(self._latency)

    def read(self) -> Statistics:
        """Figures since the start or the last reset; ``execution`` is that of the measurement."""
        figures = ffi.new("struct stats_figures *")
        while lib.latency_read(self._latency, figures) == -errno.EAGAIN:
            time.sleep(0.001)
        return statistics_of(figures, figures.interval_ns)

    def close(self) -> None:
        """End the thread. Idempotent."""
        latency, self._latency = self._latency, ffi.NULL
        lib.latency_stop(latency)
