# SPDX-License-Identifier: MIT
"""A client's samples, cut from those of the union of all lists, and kept until it fetches them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice
from struct import Struct

from serial_runtime.errors import ProtocolError, TraceError
from serial_runtime.iec import IecType, wire_size
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.answers import TraceBatch
from serial_runtime.plc.trace_coding import RAW

_RECORD = Struct("<II")
_RECORD_OVERHEAD_BYTES = 250  # of two tuples, a small bytes object and their place in the deque
_MASK = 0xFFFFFFFF

Cut = Callable[[bytes], bytes]


def cutter(union: Sequence[int], types: Mapping[int, int], wanted: Sequence[int]) -> Cut:
    """What makes a sample of `wanted` from one of `union`; both are lists of indices.

    Values lie back to back, and only a STRING has no fixed size, so without one a cut is a few
    slices whose places are known beforehand.
    """
    if list(union) == list(wanted):
        return lambda values: values
    if any(types[index] == IecType.STRING for index in union):
        return _walking_cutter(union, types, wanted)
    places: dict[int, tuple[int, int]] = {}
    at = 0
    for index in union:
        places[index] = (at, at + wire_size(types[index]))
        at = places[index][1]
    runs: list[tuple[int, int]] = []
    for begin, end in (places[index] for index in wanted):
        if runs and runs[-1][1] == begin:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((begin, end))
    length = at
    slices = [slice(*run) for run in runs]

    def cut(values: bytes) -> bytes:
        if len(values) != length:
            raise ProtocolError(f"a sample has {len(values)} bytes, {length} were expected")
        return b"".join([values[one] for one in slices])

    return cut


def _walking_cutter(union: Sequence[int], types: Mapping[int, int], wanted: Sequence[int]) -> Cut:
    sizes = [(index, wire_size(types[index]), types[index] == IecType.STRING) for index in union]

    def cut(values: bytes) -> bytes:
        parts: dict[int, bytes] = {}
        at = 0
        for index, size, is_string in sizes:
            end = at + size
            if end > len(values):
                raise ProtocolError(f"a sample is cut at {len(values)} bytes")
            if is_string:
                end += values[at]
            parts[index] = values[at:end]
            at = end
        return b"".join([parts[index] for index in wanted])

    return cut


class Mark(NamedTuple):
    """What the stream says of the samples of one of its batches: they share one."""

    every: int  # they are those of the ticks that it divides,
    since: int  # from this one on
    decimated: int  # ticks left out so far


NO_MARK = Mark(1, 0, 0)


class _Sample(NamedTuple):
    tick: int
    values: bytes
    mark: Mark


class Subscription:
    """One client's list and its samples. Not for several threads at a time: see ``traces``.

    The buffer is bounded in bytes; the oldest samples make room, and are counted in `lost`.
    """

    def __init__(
        self,
        token: int,
        owner: Hashable,
        indices: Sequence[int],
        buffer_bytes: int,
        *,
        keeps: bool,
        every: int = 1,
        decimated: int = 0,
    ) -> None:
        """`keeps`: fetched with `read`, by cursor; else with `take`. Wants the ticks that `every`
        divides. `decimated`: the stream's count at its beginning."""
        self.token = token
        self.owner = owner
        self.indices = tuple(indices)
        self.cut: Cut = lambda values: values
        self.keeps = keeps
        self.lost = 0
        self.fetched_s = 0.0
        self._every = every
        self._left_out = -decimated  # by the stream, before; and here, on purpose
        self._buffer_bytes = buffer_bytes
        self._used_bytes = 0
        self._samples: deque[_Sample] = deque()
        self._oldest = 0  # cursor of _samples[0]
        self._last = NO_MARK._replace(decimated=decimated)

    def add(self, tick: int, values: bytes, mark: Mark = NO_MARK) -> None:
        """A sample of the union."""
        if tick % self._every:
            self._left_out += 1
            return
        mine = self.cut(values)
        mark = mark._replace(decimated=mark.decimated + self._left_out)
        self._samples.append(_Sample(tick, mine, mark))
        self._used_bytes += len(mine) + _RECORD_OVERHEAD_BYTES
        while self._used_bytes > self._buffer_bytes and len(self._samples) > 1:
            self._drop(1)
            self.lost += 1

    def take(self, max_bytes: int) -> list[tuple[int, bytes]]:
        """Samples (tick, values), oldest first, consumed; the least is one, if there is one."""
        count = self._fitting(max_bytes, len(self._samples))
        return [(one.tick, one.values) for one in self._drop(count)]

    def read(self, cursor: int, max_bytes: int, longest_bytes: int = 0) -> TraceBatch:
        """Samples from `cursor` on; those before are dropped. TraceError: impossible cursor."""
        acknowledged = (cursor - self._oldest) & _MASK
        if acknowledged > len(self._samples):
            if (self._oldest - cursor) & _MASK > 1 << 31:
                raise TraceError(f"trace cursor {cursor} was never given out")
            acknowledged = 0  # dropped meanwhile, and counted
        self._drop(acknowledged)
        count = self._fitting(max_bytes, self._alike())
        parts: list[bytes] = []
        for tick, values, mark in islice(self._samples, count):
            parts += (_RECORD.pack(tick, len(values)), values)
            self._last = mark
        samples = b"".join(parts)
        if len(samples) > max(max_bytes, longest_bytes):
            raise TraceError(
                f"one sample has {len(samples)} bytes, a reply at most {max_bytes}: trace fewer "
                "variables"
            )
        return TraceBatch(
            next_cursor=(self._oldest + count) & _MASK,
            more=count < len(self._samples),
            done=False,
            lost=self.lost,
            decimated=self._last.decimated,
            every=math.lcm(self._last.every, self._every),
            since=self._last.since,
            capture=0,
            trigger_tick=0,
            timed_out=False,
            coding=RAW,
            records=count,
            samples=samples,
        )

    def _alike(self) -> int:
        """How many samples, from the oldest on, have the same factor."""
        first = None
        for count, (_, _, mark) in enumerate(self._samples):
            if first is None:
                first = mark
            elif mark.every != first.every or mark.since != first.since:
                return count
        return len(self._samples)

    def _fitting(self, max_bytes: int, most: int) -> int:
        size = count = 0
        for one in islice(self._samples, most):
            size += len(one.values) + _RECORD.size
            if size > max_bytes and count:
                break
            count += 1
        return count

    def _drop(self, count: int) -> list[_Sample]:
        dropped = [self._samples.popleft() for _ in range(count)]
        self._used_bytes -= sum(len(one.values) + _RECORD_OVERHEAD_BYTES for one in dropped)
        self._oldest = (self._oldest + count) & _MASK
        return dropped
