# SPDX-License-Identifier: MIT
"""Triggers: which records make a capture, and that every other tick is counted."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime import iec
from serial_runtime.board import Variable
from serial_runtime.errors import TraceError
from serial_runtime.iec import IecType
from serial_runtime.plc.trace_buffer import TraceBuffer, tick_of
from serial_runtime.plc.trigger import Condition, Mode, Trigger, TriggerOrder

BIG = 1 << 20
SECOND = 1_000_000_000


def variable(kind: IecType, capacity: int = 0) -> Variable:
    return Variable(0, "V", kind, 0, "", 0, capacity)


class Scope:
    """A trigger on one DINT, fed with the values of consecutive ticks."""

    def __init__(
        self,
        condition: Condition,
        value: int,
        *,
        mode: Mode = Mode.NORMAL,
        pre: int = 0,
        post: int = 0,
        timeout: int = 0,
        limit_bytes: int = BIG,
    ) -> None:
        order = TriggerOrder(mode, 0, condition, struct.pack("<i", value), pre, post, timeout)
        self.buffer = TraceBuffer(limit_bytes)
        self.trigger = Trigger(order, [variable(IecType.DINT)], self.buffer)
        self.tick = 0

    def feed(self, *values: int) -> None:
        for value in values:
            self.trigger.feed(struct.pack("<IIi", self.tick, 4, value))
            self.tick += 1
        self.trigger.flush()

    def captures(self) -> list[tuple[int, bool, list[int]]]:
        """Trigger tick, whether it timed out, ticks; all that is in the buffer, removed."""
        found = []
        while self.buffer.records:
            run, count = self.buffer.first_run()
            assert run.capture > 0
            cursor, _ = self.buffer.give(count)
            ticks = [tick_of(record) for record in list(self.buffer.records)[:count]]
            found.append((run.trigger_tick, run.timed_out, ticks))
            self.buffer.acknowledge(cursor)
        return found


def test_an_edge_fires_when_the_value_is_passed() -> None:
    scope = Scope(Condition.RISING, 5)
    scope.feed(9, 9, 4, 5, 6, 4, 4, 7, 5, 5)  # the first 9 passes nothing
    assert scope.captures() == [(3, False, [3]), (7, False, [7])]
    scope = Scope(Condition.FALLING, 5)
    scope.feed(1, 1, 5, 4, 9, 5, 0, 0)
    assert scope.captures() == [(3, False, [3]), (6, False, [6])]


@pytest.mark.parametrize(
    ("condition", "ticks"),
    [
        (Condition.ABOVE, [2]),
        (Condition.AT_LEAST, [1, 2]),
        (Condition.BELOW, [0]),
        (Condition.AT_MOST, [0, 1]),
        (Condition.EQUAL, [1]),
        (Condition.UNEQUAL, [0, 2]),
    ],
)
def test_a_level_fires_while_it_holds(condition: Condition, ticks: list[int]) -> None:
    scope = Scope(condition, -1)
    scope.feed(-2, -1, 0)
    assert [capture[0] for capture in scope.captures()] == ticks


def test_a_capture_has_what_was_before_and_after() -> None:
    scope = Scope(Condition.EQUAL, 1, pre=3, post=2)
    scope.feed(0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0)
    # The second has only one record before it: the others belong to the first.
    assert scope.captures() == [
        (5, False, [2, 3, 4, 5, 6, 7]),
        (9, False, [8, 9, 10, 11]),
    ]


def test_single_is_done_after_one() -> None:
    scope = Scope(Condition.EQUAL, 1, mode=Mode.SINGLE, pre=1, post=1)
    scope.feed(0, 1)
    assert not scope.trigger.done
    scope.feed(0)
    assert scope.trigger.done
    scope.feed(0, 1, 0)
    assert scope.captures() == [(1, False, [0, 1, 2])]


def test_auto_captures_without_an_event_after_a_while() -> None:
    scope = Scope(Condition.EQUAL, 1, mode=Mode.AUTO, pre=1, post=1, timeout=4)
    scope.feed(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    assert scope.captures() == [
        (4, True, [3, 4, 5]),
        (7, False, [6, 7, 8]),
        (13, True, [12, 13, 14]),
    ]


def test_the_end_of_the_program_cuts_a_capture_and_what_was_before_is_forgotten() -> None:
    scope = Scope(Condition.EQUAL, 1, pre=2, post=3)
    scope.feed(0, 0, 1, 0)
    scope.trigger.restart()
    scope.tick = 0
    scope.feed(0, 1, 0, 0, 0, 0)
    assert scope.captures() == [(2, False, [0, 1, 2, 3]), (1, False, [0, 1, 2, 3, 4])]


def test_a_capture_begins_only_when_it_fits() -> None:
    record = 12 + 56
    scope = Scope(Condition.ABOVE, 0, pre=1, post=1, limit_bytes=3 * record)
    scope.feed(0, 1, 1, 1, 1, 1, 1)
    assert scope.buffer.bytes <= 3 * record
    assert scope.captures() == [(1, False, [0, 1, 2])]
    scope.feed(0, 1, 1)
    assert scope.captures() == [(8, False, [7, 8, 9])]
    with pytest.raises(TraceError, match=r"1 \+ 1 \+ 2 samples takes 272 bytes.*at most 3 samples"):
        Scope(Condition.ABOVE, 0, pre=1, post=2, limit_bytes=3 * record)
    with pytest.raises(TraceError, match="at most"):
        Scope(Condition.ABOVE, 0, pre=2**32 - 1, post=2**32 - 1)


def fires(kind: IecType, condition: Condition, value: bytes, *samples: bytes) -> list[int]:
    """Which of the samples, values of one variable, are captured."""
    buffer = TraceBuffer(BIG)
    order = TriggerOrder(Mode.NORMAL, 0, condition, value, 0, 0, 0)
    trigger = Trigger(order, [variable(kind, 20)], buffer)
    for tick, sample in enumerate(samples):
        trigger.feed(struct.pack("<II", tick, len(sample)) + sample)
    return [tick_of(record) for record in buffer.records]


@pytest.mark.parametrize(
    ("kind", "low", "value", "high"),
    [
        (IecType.BOOL, False, True, True),
        (IecType.SINT, -128, -3, 127),
        (IecType.INT, -300, -299, 300),
        (IecType.DINT, -(2**31), 0, 2**31 - 1),
        (IecType.LINT, -(2**63), -1, 2**63 - 1),
        (IecType.USINT, 1, 128, 255),
        (IecType.UINT, 255, 256, 65535),
        (IecType.UDINT, 255, 2**31, 2**32 - 1),
        (IecType.ULINT, 2**32 - 1, 2**63, 2**64 - 1),
        (IecType.BYTE, 1, 128, 255),
        (IecType.WORD, 255, 256, 65535),
        (IecType.DWORD, 255, 2**31, 2**32 - 1),
        (IecType.LWORD, 255, 2**63, 2**64 - 1),
        (IecType.REAL, -1e30, -0.5, 1e-30),
        (IecType.LREAL, -1e300, 0.0, 1e300),
        (IecType.TIME, -2 * SECOND, -SECOND + 1, -SECOND + 2),
        (IecType.DATE, 0, 86400 * SECOND, 86400 * SECOND * 2),
        (IecType.TOD, 255 * SECOND, 256 * SECOND, 256 * SECOND + 1),
        (IecType.DT, -5, 5, 6),
    ],
)
def test_values_are_compared_by_their_type(
    kind: IecType, low: float, value: float, high: float
) -> None:
    packed = [iec.pack(kind, each) for each in (low, value, high)]
    assert fires(kind, Condition.AT_LEAST, packed[1], *packed) == [1, 2]
    assert fires(kind, Condition.BELOW, packed[1], *packed) == [0]
    assert fires(kind, Condition.RISING, packed[1], *packed, packed[0], packed[2]) == [1, 4]
    assert fires(kind, Condition.FALLING, packed[1], *packed, packed[0]) == [3]
    assert 1 in fires(kind, Condition.EQUAL, packed[1], *packed)


def test_nan_is_neither_above_nor_below() -> None:
    nan, one = iec.pack(IecType.REAL, math.nan), iec.pack(IecType.REAL, 1.0)
    for condition in (Condition.ABOVE, Condition.AT_LEAST, Condition.BELOW, Condition.AT_MOST):
        assert fires(IecType.REAL, condition, one, nan) == []


def test_strings_are_compared_for_equality() -> None:
    texts = [iec.pack(IecType.STRING, text) for text in ("", "RUN", "RUNS", "RUN")]
    assert fires(IecType.STRING, Condition.EQUAL, texts[1], *texts) == [1, 3]
    assert fires(IecType.STRING, Condition.UNEQUAL, texts[1], *texts) == [0, 2]
    with pytest.raises(TraceError, match="equality only"):
        fires(IecType.STRING, Condition.ABOVE, texts[1])


@given(st.lists(st.tuples(st.binary(max_size=9), st.booleans()), max_size=20))
def test_a_variable_behind_strings_is_found(rows: list[tuple[bytes, bool]]) -> None:
    kinds = [IecType.INT, IecType.STRING, IecType.TIME, IecType.STRING, IecType.BOOL]
    buffer = TraceBuffer(BIG)
    order = TriggerOrder(Mode.NORMAL, 4, Condition.EQUAL, b"\1", 0, 0, 0)
    trigger = Trigger(order, [variable(kind, 20) for kind in kinds], buffer)
    for tick, (text, on) in enumerate(rows):
        string = bytes([len(text)]) + text
        values = b"\1\1" + string + bytes(16) + string[:1] + text + bytes([on])
        trigger.feed(struct.pack("<II", tick, len(values)) + values)
    trigger.flush()
    assert [tick_of(record) for record in buffer.records] == [
        tick for tick, (_, on) in enumerate(rows) if on
    ]


@pytest.mark.parametrize(
    ("order", "match"),
    [
        (TriggerOrder(0, 0, 1, b"\0\0", 0, 0, 0), "mode 0"),
        (TriggerOrder(4, 0, 1, b"\0\0", 0, 0, 0), "mode 4"),
        (TriggerOrder(1, 0, 0, b"\0\0", 0, 0, 0), "condition 0"),
        (TriggerOrder(1, 0, 9, b"\0\0", 0, 0, 0), "condition 9"),
        (TriggerOrder(1, 2, 1, b"\0\0", 0, 0, 0), "number 2 of 2"),
        (TriggerOrder(1, 0, 1, b"\0", 0, 0, 0), "1 bytes, a INT like V has 2"),
        (TriggerOrder(1, 1, 7, b"", 0, 0, 0), "no STRING"),
        (TriggerOrder(1, 1, 7, b"\5abc", 0, 0, 0), "no STRING"),
    ],
)
def test_an_impossible_trigger_is_refused(order: TriggerOrder, match: str) -> None:
    variables: Sequence[Variable] = [variable(IecType.INT), variable(IecType.STRING, 9)]
    with pytest.raises(TraceError, match=match):
        Trigger(order, variables, TraceBuffer(BIG))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60),
    st.sampled_from(Condition),
    st.sampled_from(Mode),
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6)),
    st.integers(8, 30),
)
def test_each_tick_is_captured_or_counted(
    feeds: list[tuple[int, bool]],
    condition: Condition,
    mode: Mode,
    sizes: tuple[int, int, int],
    room: int,
) -> None:
    pre, post, timeout = sizes
    scope = Scope(
        condition, 2, mode=mode, pre=pre, post=post, timeout=timeout, limit_bytes=(room + 1) * 68
    )
    delivered = 0
    for value, fetched in feeds:
        if value == 3 and fetched:  # decimation leaves this tick out
            scope.trigger.leave_out()
            scope.tick += 1
        else:
            scope.feed(value)
        assert scope.buffer.bytes <= scope.buffer.limit_bytes
        if not fetched:
            continue
        run, count = scope.buffer.first_run()
        if not count:
            continue
        cursor, left_out = scope.buffer.give(count)
        last = tick_of(scope.buffer.records[count - 1])
        delivered += count
        assert delivered + left_out == last + 1
        assert run.capture > 0
        scope.buffer.acknowledge(cursor)
