# SPDX-License-Identifier: MIT
"""Trace samples between the shim's ring and the clients.

One trace list at a time; whoever sets a list gets a new token and ends the one before. A thread
moves records from the ring to a bounded buffer. It lives only while there is work: it ends when
the PLC does not run and the ring is empty, when nobody fetched samples for a while (the next
fetch starts it again), or when a single trigger is done. Nothing is suspended meanwhile: the ring
fills, drops and counts.

Two ways to fetch. `take` (service 1) consumes, and gets every tick. `read` (service 2) repeats
until the cursor acknowledges, so a lost reply loses nothing; its batches are packed
(trace_coding.py), and on the way into the buffer records may be decimated (trace_pace.py) or wait
for a trigger (trigger.py). Both return at once; the trace thread is the only one that waits,
inside `Board.read_trace`.

Every tick that had a record is delivered, left out on purpose, or lost, and counted as such.
"""

from __future__ import annotations

import os
import threading
import time
from itertools import islice
from struct import Struct

from serial_runtime.board import BoardState
from serial_runtime.errors import TraceError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.answers import TraceBatch
from serial_runtime.plc.trace_buffer import (
    BATCH_BYTES,
    FIRST_RUN,
    RECORD_OVERHEAD_BYTES,
    TraceBuffer,
    tick_of,
)
from serial_runtime.plc.trace_pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serial_runtime.board import Board, Variable
    from serial_runtime.plc.trace_coding import TraceCoding
    from serial_runtime.plc.trigger import Trigger, TriggerOrder

_LENGTH = Struct("<I")
_MASK = 0xFFFFFFFF
_READ_BYTES = 1 << 18
_WAIT_S = 0.05  # one wait in the shim: bounds how long `quiesce` takes
# After a read, so that it is 40 small batches a second and not 1000; less while the ring is small
# for what comes.
_GATHER_S, _GATHER_LEAST_S = 0.025, 0.01
_IDLE_SERVICE_1_S = 3.0  # as the peer's, when nobody fetches
_IDLE_SERVICE_2_S = 30.0  # an unplugged line; samples wait for the cursor


class TraceOptions(NamedTuple):
    """How service 2 traces; names as in rpc/board.erpc."""

    compressors: int = 0  # bits of those the client has: `1 << trace_coding.ZSTD`
    every: int = 0  # ticks that N divides; 1: all; 0: all, or fewer when the line is too slow
    trigger: TriggerOrder | None = None


ALL_TICKS = TraceOptions(every=1)


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
        self._clock = clock
        # Stock clients number from 1 too: a token of an earlier process must not fit.
        self._next_token = (
            int.from_bytes(os.urandom(4), "little") % ((1 << 30) - 1) + 1
            if first_token is None
            else first_token
        )
        self._lock = threading.Lock()  # protects all below; held while a batch is packed: < 10 ms
        self._token = 0  # 0: no list
        self._keeps = False  # opened by service 2
        self._generation = 0
        self._count = 0
        self._buffer = TraceBuffer(buffer_bytes)
        self._every = 1  # ticks that it divides are kept
        self._pace: Pace | None = None  # who changes it; None: nobody
        self._trigger: Trigger | None = None
        self._coding: TraceCoding | None = None  # loaded with the first trace
        self._ring_drops_before = 0
        self._ring_lost = 0
        self._ring_may_hold = False
        self._fetched_s = 0.0
        self._gather_s = _GATHER_LEAST_S  # the trace thread's own
        self._thread: threading.Thread | None = None
        self._quit = threading.Event()

    # ---- the worker's side -------------------------------------------------------------------

    def prepare(self, variables: Sequence[Variable], options: TraceOptions) -> Trigger | None:
        """The trigger for `open`; TraceError when these options are not possible."""
        if options.every >= 1 << 31:
            raise TraceError(f"every {options.every} ticks: at most {(1 << 31) - 1} are possible")
        if options.trigger is None:
            return None
        from serial_runtime.plc.trigger import Trigger

        return Trigger(options.trigger, variables, self._buffer)

    def open(
        self,
        generation: int,
        count: int,
        *,
        keep: bool,
        kinds: Sequence[int] = (),
        options: TraceOptions = ALL_TICKS,
        trigger: Trigger | None = None,
    ) -> int:
        """A new list was set in the shim: forget the old samples and return a new token."""
        from serial_runtime.plc.trace_coding import TraceCoding

        with self._lock:
            self._clear()
            self._token = self._next_token
            self._next_token = self._next_token + 1 if self._next_token < 0x7FFFFFFF else 1
            self._keeps = keep
            self._generation = generation
            self._count = count
            self._coding = TraceCoding(kinds, options.compressors)
            self._every = options.every or 1
            self._buffer.reset(self._every)
            self._trigger = trigger
            self._fetched_s = self._clock()
            # Captures that find no room wait instead.
            self._pace = Pace(self._fetched_s) if not (options.every or trigger) else None
            self._ring_drops_before = self._board.trace_dropped()
            self._ring_may_hold = True
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
            if self._pace is not None:
                self._pace.forget()
            if self._trigger is not None:
                self._trigger.restart()

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
            buffer = self._buffer
            records = buffer.take(buffer.fitting(len(buffer.records), max_bytes))
            return [(tick_of(record), record[8:]) for record in records]

    def read(self, token: int, cursor: int, max_bytes: int, longest_bytes: int = 0) -> TraceBatch:
        """Samples from `cursor` on, service 2; those before it are acknowledged and dropped.

        The first cursor is 0. `max_bytes` bounds the samples, but for one that is alone longer:
        `longest_bytes`. TraceError: stale token, impossible cursor, a longer sample.
        """
        with self._lock:
            self._fetch(token, keeps=True)
            buffer = self._buffer
            buffer.acknowledge(cursor)
            self._keep_up()
            run, most = buffer.first_run()
            coding, count, samples = 0, 0, b""
            if most and self._coding is not None:
                most_bytes = BATCH_BYTES
                if self._pace is not None:  # what was handed out cannot be decimated any more
                    most_bytes = min(most_bytes, buffer.limit_bytes // 2)
                most = buffer.fitting(most, most_bytes, RECORD_OVERHEAD_BYTES)
                records = list(islice(buffer.records, most))
                coding, count, samples = self._coding.pack(records, buffer.before, max_bytes)
                longest_bytes = max(max_bytes, longest_bytes)
                if len(samples) > longest_bytes:
                    raise TraceError(
                        f"one sample has {len(samples)} bytes, a reply on this line at most "
                        f"{longest_bytes}: trace fewer variables"
                    )
            next_cursor, left_out = buffer.give(count)
            more = count < len(buffer.records)
            if self._pace is not None and self._pace.fetched(self._clock(), not more):
                self._every = self._pace.every
                since = (buffer.newest_tick + 1) & _MASK
                buffer.begin_run(FIRST_RUN._replace(since=since, every=self._every))
            done = self._trigger is not None and self._trigger.done and not more
            return TraceBatch(
                next_cursor, more, done, self._lost(), left_out,
                run.every, run.since, run.capture, run.trigger_tick, run.timed_out,
                coding, count, samples,
            )  # fmt: skip

    # ---- with the lock held ------------------------------------------------------------------

    def _clear(self) -> None:
        self._token = 0
        self._count = 0
        self._buffer.reset()
        self._pace = None
        self._trigger = None
        self._every = 1
        self._ring_lost = 0
        self._ring_may_hold = False

    def _lost(self) -> int:
        if self._token and not self._done():  # then the ring is full, and nobody wants it
            count = self._board.trace_dropped()
            if count < self._ring_drops_before:  # the cycle took the new list over
                self._ring_drops_before = 0
            self._ring_lost = count - self._ring_drops_before
        return self._ring_lost + self._buffer.overwritten

    def _done(self) -> bool:
        return self._trigger is not None and self._trigger.done

    def _fetch(self, token: int, *, keeps: bool) -> None:
        if token == 0 or token != self._token or keeps != self._keeps:
            raise TraceError(
                "this trace was ended by another one, by a new program or a restart: open it again"
            )
        self._fetched_s = self._clock()
        self._ensure_thread()

    def _keep_up(self) -> None:
        """Decimate, if the client falls behind."""
        buffer = self._buffer
        if self._pace is not None and self._pace.fetching(
            self._fetched_s, buffer.newest_tick, buffer.waiting_tick()
        ):
            self._every = self._pace.every
            buffer.thin(self._every)

    def _ensure_thread(self) -> None:
        if self._thread is not None or self._quit.is_set() or self._done():
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
                self._quit.wait(self._gather_s)
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
        roomy = len(data) <= self._board.trace_ring_bytes // 16
        self._gather_s = _GATHER_S if roomy else _GATHER_LEAST_S
        with self._lock:
            if self._token == 0:
                return self._end()
            if generation == self._generation:
                if data:
                    self._lost()  # while it counts
                    self._store(data)
                elif not running:
                    self._ring_may_hold = False
                    return self._end()
            if self._done():
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
        records = []
        position = 0
        end = len(data)
        while position < end:
            following = position + 8 + _LENGTH.unpack_from(data, position + 4)[0]
            records.append(data[position:following])
            position = following
        buffer = self._buffer
        buffer.newest_tick = tick_of(records[-1])
        if self._trigger is not None:
            self._capture(self._trigger, records)
        elif self._every == 1:
            buffer.add(records)
        else:
            self._decimate(records)
        if self._pace is not None:
            while buffer.bytes > buffer.limit_bytes * 3 // 4 and self._pace.rise(self._clock()):
                self._every = self._pace.every
                buffer.thin(self._every)
        buffer.overwrite()

    def _decimate(self, records: list[bytes]) -> None:
        for record in records:
            if tick_of(record) % self._every:
                self._buffer.leave_out()
            else:
                self._buffer.add([record])

    def _capture(self, trigger: Trigger, records: list[bytes]) -> None:
        for record in records:
            if self._every > 1 and tick_of(record) % self._every:
                trigger.leave_out()
            else:
                trigger.feed(record)
        trigger.flush()
