# SPDX-License-Identifier: MIT
"""The pace, without a clock; `serial-runtime line --prove` says how exact a machine keeps it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.line.pace import Pace


def test_a_byte_takes_ten_bit_times() -> None:
    line = Pace(10_000.0)
    line.put(b"abcde", 5.0)
    assert [line.due(5.0 + ms / 1000) for ms in (0, 0.9, 1.1, 2.1, 4.9, 5.1, 100)] == [
        0, 0, 1, 2, 4, 5, 5
    ]  # fmt: skip
    assert line.next_s() == pytest.approx(5.001)


def test_an_idle_line_starts_anew_and_a_busy_one_goes_on() -> None:
    line = Pace(10_000.0)
    line.put(b"ab", 1.0)
    line.take(line.due(1.0021))
    line.put(b"cd", 7.0)
    assert line.next_s() == pytest.approx(7.001)
    line.put(b"ef", 7.0015)
    assert line.due(7.0041) == 4


@given(
    st.sampled_from([960.0, 11520.0, 92160.0, 300000.0]),
    st.lists(st.floats(0.00001, 0.02), min_size=5, max_size=60),
)
def test_the_rate_is_exact_however_late_the_cable_wakes(rate: float, naps: list[float]) -> None:
    line = Pace(10 * rate)
    now_s, delivered, start_s = 100.0, 0, 100.0
    for nap in naps:
        room = line.room - len(line.queue) + line.due(now_s)
        if room > 0:
            line.put(bytes(room), now_s)
        due = line.due(now_s)
        line.take(due)
        delivered += due
        now_s += nap
    carried = (now_s - naps[-1] - start_s) * rate
    assert carried - 1.01 <= delivered <= carried + 0.01


def test_a_full_end_stops_the_line() -> None:
    line = Pace(10_000.0)
    line.put(b"abcdef", 1.0)
    line.take(2)
    line.hold(1.0041)
    assert line.due(1.0045) == 0
    assert line.due(1.0052) == 1


def test_a_stall_keeps_what_waits() -> None:
    line = Pace(10_000.0)
    line.put(b"abcd", 1.0)
    line.take(line.due(1.0011))
    line.hold(2.0)
    assert line.due(1.9) == 0
    line.put(b"ef", 1.5)
    assert [line.due(2.0 + ms / 1000) for ms in (0.9, 1.1, 5.1)] == [0, 1, 5]


def test_another_rate_from_now_on() -> None:
    line = Pace(None)
    line.put(b"abcd", 1.0)
    assert line.due(1.0) == 4
    line.set_baud(10_000.0, 1.0)
    assert [line.due(1.0 + ms / 1000) for ms in (0, 1.1, 4.1)] == [0, 1, 4]
    assert line.take(1) == b"a"
    assert line.passed_s() == pytest.approx(1.001)
