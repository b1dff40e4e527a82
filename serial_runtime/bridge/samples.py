# SPDX-License-Identifier: MIT
"""A client's samples, cut from those of the union of all lists, and kept until it fetches them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice
from struct import Struct
from typing import NamedTuple

from serial_runtime.errors import ProtocolError, TraceError
from serial_runtime.iec import IecType, wire_size

_RECORD = Struct("<II")
_RECORD_OVERHEAD_BYTES = 120  # of a tuple, a small bytes object and their place in the deque
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


class Batch(NamedTuple):
    """Samples for one fetch by cursor; names as in ``rpc/board.erpc``."""

    plc: int
    next_cursor: int
    lost: int
    samples: bytes
    more: bool


class Subscription:
    """One client's list and its samples. Not for several threads at a time: see ``traces``.

    The buffer is bounded in bytes; the oldest samples make room, and are counted in `lost`.
    """

    def __init__(
        self, token: int, owner: Hashable, indices: Sequence[int], buffer_bytes: int, keeps: bool
    ) -> None:
        """`keeps`: fetched with `read`, by cursor; else with `take`."""
        self.token = token
        self.owner = owner
        self.indices = tuple(indices)
        self.cut: Cut = lambda values: values
        self.keeps = keeps
        self.lost = 0
        self.fetched_s = 0.0
        self._buffer_bytes = buffer_bytes
        self._used_bytes = 0
        self._samples: deque[tuple[int, bytes]] = deque()
        self._oldest = 0  # cursor of _samples[0]

    def add(self, tick: int, values: bytes) -> None:
        """A sample of the union."""
        mine = self.cut(values)
        self._samples.append((tick, mine))
        self._used_bytes += len(mine) + _RECORD_OVERHEAD_BYTES
        while self._used_bytes > self._buffer_bytes and len(self._samples) > 1:
            self._drop(1)
            self.lost += 1

    def take(self, max_bytes: int) -> list[tuple[int, bytes]]:
        """Samples (tick, values), oldest first, consumed; the least is one, if there is one."""
        return self._drop(self._fitting(max_bytes))

    def read(self, cursor: int, max_bytes: int, plc: int) -> Batch:
        """Samples from `cursor` on; those before are dropped. TraceError: impossible cursor."""
        acknowledged = (cursor - self._oldest) & _MASK
        if acknowledged > len(self._samples):
            if (self._oldest - cursor) & _MASK > 1 << 31:
                raise TraceError(f"trace cursor {cursor} was never given out")
            acknowledged = 0  # dropped meanwhile, and counted
        self._drop(acknowledged)
        count = self._fitting(max_bytes)
        parts: list[bytes] = []
        for tick, values in islice(self._samples, count):
            parts += (_RECORD.pack(tick, len(values)), values)
        samples = b"".join(parts)
        if len(samples) > max_bytes:
            raise TraceError(
                f"one sample has {len(samples)} bytes, a reply at most {max_bytes}: trace fewer "
                "variables"
            )
        more = count < len(self._samples)
        return Batch(plc, (self._oldest + count) & _MASK, self.lost, samples, more)

    def _fitting(self, max_bytes: int) -> int:
        size = count = 0
        for _, values in self._samples:
            size += len(values) + _RECORD.size
            if size > max_bytes and count:
                break
            count += 1
        return count

    def _drop(self, count: int) -> list[tuple[int, bytes]]:
        dropped = [self._samples.popleft() for _ in range(count)]
        self._used_bytes -= sum(len(v) + _RECORD_OVERHEAD_BYTES for _, v in dropped)
        self._oldest = (self._oldest + count) & _MASK
        return dropped
