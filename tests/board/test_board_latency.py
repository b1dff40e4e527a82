# SPDX-License-Identifier: MIT
"""The thread that only measures how late it is woken."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from serial_runtime.board_latency import LatencyMeter, LatencyOptions
from serial_runtime.errors import BoardError

Until = Callable[[Callable[[], object]], None]


def test_it_counts_every_wake_up(until: Until) -> None:
    meter = LatencyMeter(LatencyOptions(period_ns=500_000))
    until(lambda: meter.read().ticks >= 100)
    figures = meter.read()
    assert figures.period_ns == 500_000
    assert figures.wakeup.count == sum(figures.wakeup.bins) + figures.wakeup.overflow
    assert figures.jitter.count == figures.ticks - 1
    assert 0 < figures.wakeup.p50_ns <= figures.wakeup.max_ns
    assert figures.shim.count == 0
    meter.reset()
    until(lambda: meter.read().ticks < figures.ticks)
    meter.close()
    meter.close()


def test_its_thread_ends_though_its_period_is_long() -> None:
    meter = LatencyMeter(LatencyOptions(period_ns=1_000_000_000, priority=0))
    assert not meter.real_time
    done = threading.Thread(target=meter.close)
    done.start()
    done.join(60)
    assert not done.is_alive()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (LatencyOptions(priority=99), "the priority must be 0 to 98"),
        (LatencyOptions(period_ns=9_999), "the period must be at least 10 us"),
    ],
)
def test_impossible_options(options: LatencyOptions, sentence: str) -> None:
    with pytest.raises(BoardError, match=sentence):
        LatencyMeter(options)


def test_a_cpu_that_does_not_exist_is_told() -> None:
    meter = LatencyMeter(LatencyOptions(cpu=1023))
    assert meter.cpu == -1
    meter.close()
