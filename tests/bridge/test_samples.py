# SPDX-License-Identifier: MIT
"""Samples cut from those of the union, and the clients' buffers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.bridge.samples import Mark, Subscription, cutter
from serial_runtime.errors import ProtocolError, TraceError
from serial_runtime.iec import IecType, wire_size

KINDS = st.lists(st.sampled_from(list(IecType)), min_size=1, max_size=6)


def value_of(index: int, kind: IecType) -> bytes:
    if kind == IecType.STRING:
        return bytes([index]) + bytes([index]) * index
    return bytes([index]) * wire_size(kind)


@given(KINDS, st.data())
def test_a_cut_has_the_values_of_its_list_in_its_order(
    kinds: list[IecType], data: st.DataObject
) -> None:
    types = dict(enumerate(kinds))
    union = data.draw(st.permutations(list(types)))
    wanted = data.draw(st.lists(st.sampled_from(union), min_size=1))
    sample = b"".join(value_of(index, types[index]) for index in union)
    expected = b"".join(value_of(index, types[index]) for index in wanted)
    assert cutter(union, types, wanted)(sample) == expected


@pytest.mark.parametrize("kind", [IecType.DINT, IecType.STRING])
def test_a_sample_of_another_length(kind: IecType) -> None:
    cut = cutter([0, 1], {0: kind, 1: IecType.DINT}, [1])
    with pytest.raises(ProtocolError, match="sample"):
        cut(b"\5abc")


OVERHEAD = 250


def subscription(buffer_bytes: int = 2000, every: int = 1) -> Subscription:
    return Subscription(7, "owner", [1], buffer_bytes, keeps=True, every=every, decimated=10)


def test_the_buffer_is_bounded_and_counts() -> None:
    one = subscription(buffer_bytes=3 * (4 + OVERHEAD))
    for tick in range(5):
        one.add(tick, b"1234")
    assert one.lost == 2
    assert [tick for tick, _ in one.take(65000)] == [2, 3, 4]
    one.add(9, b"x" * 5000)
    assert one.take(100) == [(9, b"x" * 5000)], "one that is longer than all is given alone"


def test_a_cursor_acknowledges() -> None:
    one = subscription()
    for tick in range(4):
        one.add(tick, b"ab")
    first = one.read(0, 20)
    assert first.samples == b"\0\0\0\0\2\0\0\0ab\1\0\0\0\2\0\0\0ab"
    assert (first.more, first.records) == (True, 2)
    assert one.read(0, 20) == first, "the reply was lost"
    second = one.read(first.next_cursor, 65000)
    assert (len(second.samples), second.more, second.next_cursor) == (20, False, 4)
    assert one.read(4, 65000).samples == b""
    with pytest.raises(TraceError, match="never given out"):
        one.read(5, 65000)
    one.add(4, b"long")
    assert one.read(4, 5, 12).records == 1
    with pytest.raises(TraceError, match="trace fewer"):
        one.read(4, 5, 11)


def test_a_cursor_whose_samples_made_room() -> None:
    one = subscription(buffer_bytes=2 * (2 + OVERHEAD))
    for tick in range(5):
        one.add(tick, b"ab")
    batch = one.read(1, 65000)
    assert (batch.next_cursor, batch.lost, batch.records) == (5, 3, 2)


def test_decimation_on_the_board_and_here() -> None:
    one = subscription(every=3)
    for tick in range(6):
        one.add(tick, b"ab", Mark(1, 0, 10))
    for tick in range(8, 20, 4):
        one.add(tick, b"ab", Mark(4, 6, 15))
    first = one.read(0, 65000)
    assert (first.records, first.every, first.since, first.more) == (2, 3, 0, True)
    second = one.read(first.next_cursor, 65000)
    assert (second.records, second.every, second.since, second.more) == (1, 12, 6, False)
    # Of the 13 ticks from 0 to 12 three were samples; the board told of 5 left out by then.
    assert second.decimated == 5 + 5
