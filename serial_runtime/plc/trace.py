# SPDX-License-Identifier: MIT
"""Trace samples between the shim's ring and the clients.

One trace list at a time; whoever sets a list gets a new token and ends the one before. A thread
moves records from the ring to a bounded buffer. It lives only while there is work: it ends when
the PLC does not run and the ring is empty, or when nobody fetched samples for a while; the next
fetch starts it again. Nothing is suspended meanwhile: the ring fills, drops and counts.

Two ways to fetch. `take` (service 1) consumes. `read` (service 2) repeats until the cursor
acknowledges, so a lost reply loses nothing. Both only touch the buffer and return at once; the
trace thread is the only one that waits, inside `Board.read_trace`.

A record stays as the ring had it (u32 tick, u32 length, values), one bytes object each: split
once, joined or cut again without looking at the values.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from itertools import islice
from struct import Struct
from typing import NamedTuple

from serial_runtime.board import BoardState
from serial_runtime.errors import TraceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.board import Board

_LENGTH = Struct("<I")
_MASK = 0xFFFFFFFF
_READ_BYTES = 1 << 18
_WAIT_S = 0.05  # one wait in the shim: bounds how long `quiesce` takes
_GATHER_S = 0.01  # after a read: so that it is 100 small batches a second and not 1000
_IDLE_SERVICE_1_S = 3.0  # interop: "dies when nobody consumed traces for 3 s"
_IDLE_SERVICE_2_S = 30.0  # an unplugged line; samples wait for the cursor
_RECORD_OVERHEAD_BYTES = 48  # of a small bytes object and its place in the deque


class Batch(NamedTuple):
    """What `Trace.read` returns; names as in rpc/board.erpc."""

    next_cursor: int
    lost: int
    samples: bytes
    more: bool


class Trace:
    """The trace buffer, its thread and its tokens.

    `open`, `close`, `restarted` and `quiesce` belong to the worker thread; `take`, `read` and
    the properties may be called from any thread.
    """

    def __init__(
        self,
        board: Board,
        buffer_bytes: int,
        *,
        first_token: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._buffer_bytes = buffer_bytes
        self._clock = clock
        # Stock clients number from 1 too: a token of an earlier process must not fit.
        self._next_token = (
            int.from_bytes(os.urandom(4), "little") % ((1 << 30) - 1) + 1
            if first_token is None
            else first_token
        )
        self._lock = threading.Lock()  # protects all below; held for microseconds
        self._token = 0  # 0: no list
        self._keeps = False  # opened by service 2
        self._generation = 0
        self._count = 0
        self._records: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._oldest = 0  # cursor of _records[0]
        self._overwritten = 0  # records dropped from the full buffer
        self._given = 0  # how many of _records service 2 has handed out
        self._unsure = 0  # records overwritten after they were handed out: arrived or not?
        self._unsure_from = 0  # cursor of the first of them
        self._ring_drops_before = 0
        self._ring_may_hold = False
        self._fetched_s = 0.0
        self._thread: threading.Thread | None = None
        self._quit = threading.Event()

    # ---- the worker's side -------------------------------------------------------------------

    def open(self, generation: int, count: int, *, keep: bool) -> int:
        """A new list was set in the shim: forget the old samples and return a new token."""
        with self._lock:
            self._clear()
            self._token = self._next_token
            self._next_token = self._next_token + 1 if self._next_token < 0x7FFFFFFF else 1
            self._keeps = keep
            self._generation = generation
            self._count = count
            self._ring_drops_before = self._board.trace_dropped()
            self._ring_may_hold = True
            self._fetched_s = self._clock()
            self._ensure_thread()
            return self._token

    def close(self) -> None:
        """No list any more: the token becomes invalid."""
        with self._lock:
            self._clear()

    def restarted(self) -> None:
        """The PLC starts: there will be samples, though there were none to come before."""
        with self._lock:
            self._ring_may_hold = True

    def quiesce(self) -> None:
        """Return when the trace thread has ended: the board may be unloaded or closed.

        Until the next fetch, that is; so the caller closes the list first.
        """
        self._quit.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        self._quit.clear()

    @property
    def token(self) -> int:
        """The valid token, 0 for none."""
        return self._token

    @property
    def count(self) -> int:
        """Variables in the list."""
        return self._count

    @property
    def running(self) -> bool:
        """True while the trace thread lives."""
        return self._thread is not None

    @property
    def lost(self) -> int:
        """Samples lost since the list was set: dropped by the full ring, or overwritten here.

        Both places count for themselves. A gap in the tick numbers alone is no loss: a cycle that
        takes too long skips ticks, which have no sample and are counted by the statistics.
        """
        with self._lock:
            return self._lost()

    # ---- the clients' side -------------------------------------------------------------------

    def take(self, token: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Consume samples (tick, values), oldest first, service 1. TraceError: stale token.

        The sum of values and 8 bytes for each stays within `max_bytes`, but for one sample that
        is alone longer.
        """
        with self._lock:
            self._fetch(token, keeps=False)
            return [
                (int.from_bytes(record[:4], "little"), record[8:])
                for record in self._pop(self._fitting(max_bytes))
            ]

    def read(self, token: int, cursor: int, max_bytes: int) -> Batch:
        """Samples from `cursor` on, service 2; those before it are acknowledged and dropped.

        The first cursor is 0. TraceError: stale token, impossible cursor, or a sample that is
        longer than `max_bytes`.
        """
        with self._lock:
            self._fetch(token, keeps=True)
            acknowledged = (cursor - self._oldest) & _MASK
            if acknowledged > len(self._records):
                if (self._oldest - cursor) & _MASK > 1 << 31:
                    raise TraceError(f"trace cursor {cursor} was never given out")
                acknowledged = 0  # overwritten meanwhile; counted as lost
            self._settle(cursor)
            self._pop(acknowledged)
            count = self._fitting(max_bytes)
            samples = b"".join(islice(self._records, count))
            if len(samples) > max_bytes:
                raise TraceError(
                    f"one sample has {len(samples)} bytes, a reply on this line at most "
                    f"{max_bytes}: trace fewer variables"
                )
            self._given = max(self._given, count)
            return Batch(
                (self._oldest + count) & _MASK, self._lost(), samples, count < len(self._records)
            )

    # ---- with the lock held ------------------------------------------------------------------

    def _clear(self) -> None:
        self._token = 0
        self._count = 0
        self._records.clear()
        self._buffered_bytes = 0
        self._oldest = 0
        self._overwritten = 0
        self._given = 0
        self._unsure = 0
        self._ring_may_hold = False

    def _lost(self) -> int:
        dropped = 0
        if self._token:
            count = self._board.trace_dropped()
            if count < self._ring_drops_before:  # the cycle took the new list over
                self._ring_drops_before = 0
            dropped = count - self._ring_drops_before
        return dropped + self._overwritten

    def _settle(self, cursor: int) -> None:
        """The client has all before `cursor`: what of that was overwritten is not lost."""
        if self._unsure:
            arrived = (cursor - self._unsure_from) & _MASK
            if arrived < 1 << 31:
                self._overwritten -= min(arrived, self._unsure)
            self._unsure = 0

    def _fetch(self, token: int, *, keeps: bool) -> None:
        if token == 0 or token != self._token or keeps != self._keeps:
            raise TraceError(
                "this trace was ended by another one, by a new program or a restart: open it again"
            )
        self._fetched_s = self._clock()
        self._ensure_thread()

    def _fitting(self, max_bytes: int) -> int:
        """How many of the oldest records fit; at least one if there is one."""
        size = 0
        count = 0
        for record in self._records:
            size += len(record)
            if size > max_bytes and count:
                break
            count += 1
        return count

    def _pop(self, count: int) -> list[bytes]:
        popped = [self._records.popleft() for _ in range(count)]
        self._buffered_bytes -= sum(map(len, popped)) + count * _RECORD_OVERHEAD_BYTES
        self._oldest = (self._oldest + count) & _MASK
        self._given = max(0, self._given - count)
        return popped

    def _ensure_thread(self) -> None:
        if self._thread is not None or self._quit.is_set():
            return
        if self._board.state == BoardState.RUNNING:
            self._ring_may_hold = True
        if self._ring_may_hold:
            self._thread = threading.Thread(target=self._run, name="trace", daemon=True)
            self._thread.start()

    # ---- the trace thread --------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._step():
                # Gathering wastes nothing: what comes meanwhile waits in the ring.
                self._quit.wait(_GATHER_S)
        finally:
            with self._lock:  # after an error; `_end` has done it otherwise
                if self._thread is threading.current_thread():
                    self._thread = None

    def _step(self) -> bool:
        """Move one batch; False when the thread shall end."""
        with self._lock:
            generation = self._generation
        # Before the read: samples of a PLC that stops now are still fetched by it.
        running = self._board.state == BoardState.RUNNING
        data = self._board.read_trace(generation, _READ_BYTES, _WAIT_S)
        with self._lock:
            if self._token == 0:
                return self._end()
            if generation == self._generation:
                if data:
                    self._store(data)
                elif not running:
                    self._ring_may_hold = False
                    return self._end()
            limit_s = _IDLE_SERVICE_2_S if self._keeps else _IDLE_SERVICE_1_S
            if self._quit.is_set() or self._clock() - self._fetched_s > limit_s:
                return self._end()
            return True

    def _end(self) -> bool:
        # Under the lock, together with the decision: a fetch after it starts a new thread.
        self._thread = None
        return False

    def _store(self, data: bytes) -> None:
        records = self._records
        position = 0
        end = len(data)
        while position < end:
            following = position + 8 + _LENGTH.unpack_from(data, position + 4)[0]
            records.append(data[position:following])
            position = following
            self._buffered_bytes += len(records[-1]) + _RECORD_OVERHEAD_BYTES
        while self._buffered_bytes > self._buffer_bytes and len(records) > 1:
            if self._given:
                self._given -= 1
                if not self._unsure:
                    self._unsure_from = self._oldest
                self._unsure += 1
            self._buffered_bytes -= len(records.popleft()) + _RECORD_OVERHEAD_BYTES
            self._oldest = (self._oldest + 1) & _MASK
            self._overwritten += 1
