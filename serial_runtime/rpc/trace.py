# SPDX-License-Identifier: MIT
"""The client's side of a trace: every tick's values, polled in batches.

The board keeps a batch until the cursor of the next request acknowledges it, so neither a lost
reply nor a link that was unplugged for a while loses samples, as long as the board's buffer holds
them; what it had to drop is counted in `lost` and shows as a gap in the ticks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from erpc import Reference

from serial_runtime.errors import ProtocolError, SerialRuntimeError
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.board.common import TraceBatch

_RECORD = Struct("<II")
_MOST_BYTES = 65000


class Snapshot(NamedTuple):
    """Values of one cycle in wire form, back to back in the order asked."""

    tick: int
    values: bytes


class Trace:
    """An endless iterator of Snapshot; a context manager that ends the trace on the board.

    `lost` counts ticks the board could not keep, `plc` is the status of the PLC at the last poll.
    Raises TraceError when another client traces, or the program is replaced.
    """

    def __init__(
        self, board: BoardServiceClient, table: int, indices: Sequence[int], poll_s: float
    ) -> None:
        """Begin to trace. `poll_s` is the time between polls while nothing is left behind."""
        self.lost = 0
        self.plc = 0
        self._board = board
        self._poll_s = poll_s
        self._polled_s = 0.0
        self._cursor = 0
        self._more = True
        self._closed = False
        token = Reference()
        board.OpenTrace(table, list(indices), token)
        self._token: int = token.value

    def __iter__(self) -> Iterator[Snapshot]:
        while not self._closed:
            yield from self.poll()

    @property
    def more(self) -> bool:
        """Whether the last poll left samples behind: poll again at once."""
        return self._more

    def poll(self) -> list[Snapshot]:
        """Wait until the next poll is due, and return its samples; maybe none."""
        if not self._more:
            time.sleep(max(0.0, self._polled_s + self._poll_s - time.monotonic()))
        self._polled_s = time.monotonic()
        reference = Reference()
        self._board.ReadTrace(self._token, self._cursor, _MOST_BYTES, reference)
        batch: TraceBatch = reference.value
        self._cursor, self._more = batch.next_cursor, batch.more
        self.lost, self.plc = batch.lost, batch.plc
        return _split(batch.samples)

    def close(self) -> None:
        """End the trace on the board; idempotent."""
        if not self._closed:
            self._closed = True
            self._board.CloseTrace(self._token)

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.close()
        except SerialRuntimeError:
            if kind is None:
                raise  # else the first error is the one to tell


def _split(samples: bytes) -> list[Snapshot]:
    found: list[Snapshot] = []
    at = 0
    while at < len(samples):
        if at + _RECORD.size > len(samples):
            raise ProtocolError("a trace batch is cut")
        tick, length = _RECORD.unpack_from(samples, at)
        at += _RECORD.size
        if at + length > len(samples):
            raise ProtocolError("a trace batch is cut")
        found.append(Snapshot(tick, samples[at : at + length]))
        at += length
    return found
