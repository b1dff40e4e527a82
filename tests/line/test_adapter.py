# SPDX-License-Identifier: MIT
"""The USB adapter: full packets at once, the rest when its free-running timer ends."""

from __future__ import annotations

import pytest

from serial_runtime.line.adapter import PACKET_BYTES, Adapter


@pytest.fixture
def adapter() -> Adapter:
    adapter = Adapter()
    adapter.timer_s = 0.016
    adapter.pass_on(b"", 1.0)
    return adapter


def test_without_a_timer_there_is_no_adapter() -> None:
    assert Adapter().pass_on(b"abc", 1.0) == b"abc"


def test_full_packets_pass_and_the_rest_waits(adapter: Adapter) -> None:
    data = bytes(range(150))
    assert adapter.pass_on(data, 1.001) == data[: 2 * PACKET_BYTES]
    assert adapter.next_s() == pytest.approx(1.017)
    assert adapter.pass_on(b"", 1.0169) == b""
    assert adapter.pass_on(b"", 1.0171) == data[2 * PACKET_BYTES :]
    assert adapter.held == b""


def test_bytes_collect_to_a_packet(adapter: Adapter) -> None:
    assert adapter.pass_on(bytes(40), 1.0005) == b""
    assert adapter.pass_on(bytes(40), 1.0006) == bytes(PACKET_BYTES)
    assert len(adapter.held) == 80 - PACKET_BYTES


def test_the_timer_runs_on_an_idle_line(adapter: Adapter) -> None:
    """A short answer waits for the end of the period it falls into, not for a whole one."""
    began_s = adapter.next_s()
    at_s = began_s + 10 * 0.016 + 0.012
    assert adapter.pass_on(b"answer", at_s) == b""
    assert adapter.next_s() == pytest.approx(at_s + 0.004)
    assert adapter.pass_on(b"", at_s + 0.0041) == b"answer"


def test_what_came_after_the_end_of_a_period_waits_for_the_next(adapter: Adapter) -> None:
    first_s = adapter.next_s()
    assert adapter.pass_on(b"early", first_s - 0.001) == b""
    assert adapter.pass_on(b"late", first_s + 0.001) == b"early"
    assert adapter.pass_on(b"", first_s + 0.0161) == b"late"


def test_unplugged_from_the_adapter(adapter: Adapter) -> None:
    adapter.pass_on(b"held", 1.001)
    adapter.timer_s = 0.0
    assert adapter.pass_on(b" and more", 1.002) == b"held and more"
