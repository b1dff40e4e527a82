# SPDX-License-Identifier: MIT
"""Triggers of a trace, like an oscilloscope's: only what surrounds an event travels.

A condition is tested on one variable of each record. When it comes true, a *capture* begins: up to
`pre` records before, the record itself, `post` records after. Then the trigger waits again (modes
normal and auto) or is done (single). Auto captures also when nothing happened for `timeout`
records. Records that are in no capture are left out.

A capture is whole, but for one that the end of the program cuts short: a new one begins only
while the buffer has room for all of it. Until then records are left out.
"""

from __future__ import annotations

import operator
from collections import deque
from enum import IntEnum

from serial_runtime.errors import TraceError
from serial_runtime.iec import IecType, layout, type_name, wire_size
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.trace_buffer import RECORD_OVERHEAD_BYTES, Run, TraceBuffer, tick_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from serial_runtime.board import Variable


class Mode(IntEnum):
    """What a trigger does after a capture; numbers as in rpc/board.erpc."""

    SINGLE = 1
    NORMAL = 2
    AUTO = 3


class Condition(IntEnum):
    """What a trigger waits for; numbers as in rpc/board.erpc."""

    RISING = 1  # at or above the value, after it was below
    FALLING = 2  # below the value, after it was at or above
    ABOVE = 3
    AT_LEAST = 4
    BELOW = 5
    AT_MOST = 6
    EQUAL = 7
    UNEQUAL = 8


_EDGES = (Condition.RISING, Condition.FALLING)
_TESTS: dict[int, Callable[[Any, Any], bool]] = {
    Condition.RISING: operator.ge,
    Condition.FALLING: operator.lt,
    Condition.ABOVE: operator.gt,
    Condition.AT_LEAST: operator.ge,
    Condition.BELOW: operator.lt,
    Condition.AT_MOST: operator.le,
    Condition.EQUAL: operator.eq,
    Condition.UNEQUAL: operator.ne,
}
_HEADER_BYTES = 8  # tick and length


class TriggerOrder(NamedTuple):
    """What a client asks for; names as in rpc/board.erpc."""

    mode: int
    position: int  # of the variable in the list
    condition: int
    value: bytes  # wire form
    pre: int
    post: int
    timeout: int  # records, mode auto


class Trigger:
    """Decides record by record what goes into a buffer."""

    def __init__(
        self, order: TriggerOrder, variables: Sequence[Variable], buffer: TraceBuffer
    ) -> None:
        """TraceError: no such condition, a value that does not fit, a capture that is too long."""
        if not Mode.SINGLE <= order.mode <= Mode.AUTO or order.condition not in _TESTS:
            raise TraceError(f"no trigger has mode {order.mode} and condition {order.condition}")
        if order.position >= len(variables):
            raise TraceError(
                f"the trigger's variable is number {order.position} of {len(variables)} traced ones"
            )
        self.done = False
        self._order = order
        self._buffer = buffer
        self._room_bytes = buffer.limit_bytes - _capture_bytes(order, variables, buffer)
        self._test = _TESTS[order.condition]
        self._edge = order.condition in _EDGES
        self._read = _reader(order, variables)
        self._value = self._read(bytes(_HEADER_BYTES) + order.value, _HEADER_BYTES)
        fixed, *self._gaps = _places(variables[: order.position])
        self._at = _HEADER_BYTES + fixed
        self._count = 0  # captures
        self._records: list[bytes] = []  # captured, not yet in the buffer
        self._left = 0  # records to come of the capture
        self._before: deque[tuple[bytes, int]] = deque()  # with the ticks left out before each
        self._left_out = 0  # since the last of them
        self._was_true = True  # an edge needs a record that is on the other side
        self._waited = 0  # records since it waits

    def restart(self) -> None:
        """The PLC starts again: what came before has nothing to do with what follows."""
        self.flush()
        self._forget()
        self._was_true = True
        self._left = self._waited = 0

    def leave_out(self) -> None:
        """A tick that decimation leaves out."""
        if self._left:
            self.flush()
            self._buffer.leave_out()
        else:
            self._left_out += 1

    def feed(self, record: bytes) -> None:
        """The next record."""
        if self._left:
            self._records.append(record)
            self._left -= 1
            if self._edge:
                self._was_true = self._is_true(record)
            if not self._left:
                self._end()
        elif self.done or self._buffer.bytes > self._room_bytes:
            self._skip(record)
        else:
            self._wait(record)

    def flush(self) -> None:
        """All records of a read were fed: those captured go to the buffer."""
        self._buffer.add(self._records)
        self._records = []

    # ---- inside ------------------------------------------------------------------------------

    def _wait(self, record: bytes) -> None:
        true = self._is_true(record)
        fires = true and not (self._edge and self._was_true)
        self._was_true = true
        self._waited += 1
        timed_out = self._order.mode == Mode.AUTO and self._waited > self._order.timeout
        self._before.append((record, self._left_out))
        self._left_out = 0
        if fires or timed_out:
            self._begin(tick_of(record), not fires)
        elif len(self._before) > self._order.pre:
            self._forget_oldest()

    def _begin(self, tick: int, timed_out: bool) -> None:
        first = tick_of(self._before[0][0])
        self._count += 1
        self._buffer.begin_run(Run(0, first, self._buffer.run.every, self._count, tick, timed_out))
        for record, left_out in self._before:
            self._buffer.leave_out(left_out)
            self._buffer.add([record])
        self._before.clear()
        self._left = self._order.post
        if not self._left:
            self._end()

    def _end(self) -> None:
        self.flush()
        self._waited = 0
        self.done = self._order.mode == Mode.SINGLE

    def _skip(self, record: bytes) -> None:
        self._forget()
        self._left_out += 1
        if self._edge:
            self._was_true = self._is_true(record)

    def _forget(self) -> None:
        while self._before:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """One more left out, counted where the next record will be."""
        _, left_out = self._before.popleft()
        if self._before:
            record, more = self._before[0]
            self._before[0] = (record, left_out + 1 + more)
        else:
            self._left_out += left_out + 1

    def _is_true(self, record: bytes) -> bool:
        at = self._at
        for gap in self._gaps:  # a STRING: one length byte, that many characters
            at += 1 + record[at] + gap
        return self._test(self._read(record, at), self._value)


def _reader(
    order: TriggerOrder, variables: Sequence[Variable]
) -> Callable[[bytes, int], tuple[Any, ...] | bytes]:
    """What makes a value at a place comparable; also checks the order's value."""
    variable = variables[order.position]
    kind, value = variable.type, order.value
    if kind == IecType.STRING:
        if order.condition not in (Condition.EQUAL, Condition.UNEQUAL):
            raise TraceError(
                f"{variable.path} is a STRING: a trigger can test it for equality only"
            )
        if not value or len(value) != 1 + value[0]:
            raise TraceError(f"the trigger's value is no STRING: {value.hex()}")
        return lambda record, at: record[at : at + 1 + record[at]]
    if len(value) != wire_size(kind):
        raise TraceError(
            f"the trigger's value has {len(value)} bytes, "
            f"a {type_name(kind)} like {variable.path} has {wire_size(kind)}"
        )
    return layout(kind).unpack_from


def _places(variables: Sequence[Variable]) -> list[int]:
    """Bytes before the first STRING, then those behind each STRING."""
    places = [0]
    for variable in variables:
        if variable.type == IecType.STRING:
            places.append(0)
        else:
            places[-1] += wire_size(variable.type)
    return places


def _capture_bytes(order: TriggerOrder, variables: Sequence[Variable], buffer: TraceBuffer) -> int:
    one = _HEADER_BYTES + RECORD_OVERHEAD_BYTES
    for variable in variables:
        one += wire_size(variable.type)
        one += variable.capacity if variable.type == IecType.STRING else 0
    size = one * (order.pre + 1 + order.post)
    if size > buffer.limit_bytes:
        raise TraceError(
            f"a capture of {order.pre} + 1 + {order.post} samples takes {size} bytes, the board "
            f"keeps {buffer.limit_bytes}: at most {buffer.limit_bytes // one} samples of these "
            "variables"
        )
    return size
