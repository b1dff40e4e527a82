# SPDX-License-Identifier: MIT
"""Traces of many clients over one stream.

A board has one trace list, so the stream carries the union of the clients' lists, and each
client's samples are cut from it in the order of its own list. One thread reads the stream while
somebody fetches; clients fetch from their buffers and never wait for the line.

A list that the union covers already changes nothing on the line. When the union grows the trace
is opened anew: what the board holds is fetched before, so only the ticks between that and the new
list's beginning are missing, as many as pass during two calls; they are counted as lost. A union
that could shrink does so when it is opened anew for another reason, or when more than half of it is
wanted by nobody.

A client's token ends with its next list, its connection, or a change of the program. After a
restart of the board with the same program the stream goes on. A stock board tells no types, so
there nothing can be cut: its one list belongs to whoever set it last, as ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence

from serial_runtime.bridge.samples import Mark, Subscription, cutter
from serial_runtime.bridge.shared_client import SharedClient
from serial_runtime.bridge.stock_trace import Orders, StockTrace
from serial_runtime.errors import (
    CallRefused,
    LinkError,
    ProtocolError,
    SerialRuntimeError,
    TraceError,
)
from serial_runtime.plc.answers import TraceBatch
from serial_runtime.rpc.board.common import TraceTrigger
from serial_runtime.rpc.client import Trace
from serial_runtime.rpc.stub_api import Reference

_BUFFER_BYTES = 2 << 20  # of one client
_POLL_S = 0.1
_POLL_BYTES, _SHARE = 160, 0.1  # of an empty poll, and of the line for those
_UNFETCHED_S = 5.0  # nobody wants samples now: they wait on the board
_DRAIN_READS = 10  # before a new list; a line that is too slow for the trace never gets it empty
_RETRY_S = 0.3
_GOES_ON = "this trace was ended by another list, a new program or its connection: open it again"


class Traces:
    """The stream and the clients' subscriptions. Any thread may call any method."""

    def __init__(
        self,
        line: SharedClient,
        say: Callable[[str], object],
        saw: Callable[[int], object],
    ) -> None:
        """`say` is told, in words, what befalls the stream, `saw` the PLC's status."""
        self._line = line
        self._say = say
        self._saw = saw
        self._next_token = int.from_bytes(os.urandom(4), "little") % ((1 << 30) - 1) + 1
        # Protects the subscriptions; held for microseconds.
        self._changed = threading.Condition()
        self._subscriptions: dict[int, Subscription] = {}
        self._closing = False
        # Held while the stream is read or opened, so for as long as a call; taken before _changed.
        self._stream = threading.Lock()
        self._trace: Trace | StockTrace | None = None
        self._union: tuple[int, ...] = ()
        self._types: dict[int, int] = {}
        self._table = 0
        self._boot = 0
        self._last_tick: int | None = None  # of the samples so far
        self._lived_through: list[Subscription] = []  # of those that see a gap when it is reopened
        self._lost = 0  # what the board has said of the present trace
        self._decimated_before = self._decimated = 0  # of the traces before, and of all
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # ---- the clients' side -------------------------------------------------------------------

    def check(self, table: int, indices: Sequence[int]) -> None:
        """See that these variables exist. VariableError, TableChanged, LinkError."""
        with self._stream:
            self._learn_types(table, indices)

    def subscribe(
        self,
        owner: Hashable,
        table: int,
        indices: Sequence[int],
        *,
        keeps: bool = False,
        every: int = 1,
    ) -> int:
        """Trace these variables for `owner`, in place of what it traced; returns a token.

        `every`: only the ticks that it divides.
        Raises VariableError, TraceError, TableChanged, LinkError; then nothing is changed.
        """
        with self._stream:
            self._learn_types(table, indices)
            one = self._new(owner, indices, keeps, every)
            with self._changed:
                others = [s for s in self._subscriptions.values() if s.owner != owner]
            wanted = _union([*others, one])
            if self._trace is None or not set(indices) <= set(self._union):
                self._open(table, wanted, [*others, one])
            self._install(one)
            return one.token

    def subscribe_stock(self, owner: Hashable, orders: Orders) -> int:
        """Set a stock board's list, forces included; returns a token or a negative code."""
        with self._stream:
            trace = self._line.call(lambda client: StockTrace(client, orders))
            if trace.token <= 0:
                return trace.token
            one = self._new(owner, [index for index, _ in orders])
            with self._changed:
                self._subscriptions.clear()
            self._trace, self._union, self._boot = trace, one.indices, self._line.boot
            self._install(one)
            return one.token

    def unsubscribe(self, owner: Hashable) -> None:
        """This owner traces no more; the others go on."""
        with self._changed:
            self._forget(owner)
            self._changed.notify_all()

    def take(self, token: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Samples (tick, values) that were not taken yet. TraceError: stale token."""
        with self._changed:
            return self._fetch(token, keeps=False).take(max_bytes)

    def read(self, token: int, cursor: int, max_bytes: int, longest_bytes: int) -> TraceBatch:
        """Samples from `cursor` on. TraceError."""
        with self._changed:
            return self._fetch(token, keeps=True).read(cursor, max_bytes, longest_bytes)

    def end(self, token: int) -> None:
        """End one trace. TraceError when it has ended already."""
        with self._changed:
            if self._subscriptions.pop(token, None) is None:
                raise TraceError("this trace has ended already")
            self._changed.notify_all()

    def program_loaded(self, table: int) -> None:
        """A program was loaded: lists of another one end, those of the same go on at once."""
        with self._stream:
            if table != self._table:
                with self._changed:
                    self._subscriptions.clear()
            elif not isinstance(self._trace, StockTrace):
                self._trace = None
                with contextlib.suppress(LinkError):  # the thread opens it then
                    self._restore(TraceError(_GOES_ON))

    @property
    def count(self) -> int:
        """Clients that trace."""
        return len(self._subscriptions)

    # ---- with _changed held ------------------------------------------------------------------

    def _new(
        self, owner: Hashable, indices: Sequence[int], keeps: bool = False, every: int = 1
    ) -> Subscription:
        token = self._next_token
        self._next_token = token + 1 if token < 0x7FFFFFFF else 1
        one = Subscription(
            token,
            owner,
            indices,
            _BUFFER_BYTES,
            keeps=keeps,
            every=every,
            decimated=self._decimated,
        )
        one.fetched_s = time.monotonic()
        return one

    def _install(self, one: Subscription) -> None:
        if isinstance(self._trace, Trace):
            one.cut = cutter(self._union, self._types, one.indices)
        with self._changed:
            self._forget(one.owner)
            self._subscriptions[one.token] = one
            self._changed.notify_all()

    def _forget(self, owner: Hashable) -> None:
        for token in [s.token for s in self._subscriptions.values() if s.owner == owner]:
            del self._subscriptions[token]

    def _fetch(self, token: int, *, keeps: bool) -> Subscription:
        one = self._subscriptions.get(token)
        if one is None or one.keeps != keeps:
            raise TraceError(_GOES_ON)
        was_idle = not self._wanted()
        one.fetched_s = time.monotonic()
        if was_idle:
            self._changed.notify_all()
        return one

    def _wanted(self) -> bool:
        since_s = time.monotonic() - _UNFETCHED_S
        return any(one.fetched_s > since_s for one in self._subscriptions.values())

    # ---- with _stream held -------------------------------------------------------------------

    def _learn_types(self, table: int, indices: Sequence[int]) -> None:
        types = self._types if table == self._table else {}
        unknown = [index for index in dict.fromkeys(indices) if index not in types]
        if unknown:
            reference = Reference()
            self._line.call(lambda client: client.board.GetTypes(table, unknown, reference))
            if len(reference.value) != len(unknown):
                raise ProtocolError(
                    f"the board told {len(reference.value)} types of {len(unknown)} variables"
                )
            types = {**types, **dict(zip(unknown, reference.value, strict=True))}
        if table != self._table:  # another program: whoever traced the one before must ask anew
            with self._changed:
                self._subscriptions.clear()
            self._trace, self._union = None, ()
        self._table, self._types = table, types

    def _open(
        self, table: int, wanted: tuple[int, ...], subscriptions: Sequence[Subscription]
    ) -> None:
        """Open the stream for the union `wanted`; the one before goes on when that is refused."""
        if self._trace is not None:
            self._drain()
        before = self._union
        try:
            kinds = [self._types[index] for index in wanted]
            trace = self._line.call(
                lambda client: Trace(client.board, table, wanted, kinds, 0.0, 0, TraceTrigger())
            )
        except LinkError:
            self._trace = None  # whether it was opened nobody knows: the thread opens it again
            raise
        self._trace, self._union = trace, wanted
        self._boot, self._lost, self._decimated_before = self._line.boot, 0, self._decimated
        with self._changed:
            self._lived_through = list(self._subscriptions.values())
            if wanted != before:
                for one in subscriptions:
                    one.cut = cutter(wanted, self._types, one.indices)

    def _drain(self) -> None:
        """What the board holds for the present list, as far as it is still to be had."""
        try:
            for _ in range(_DRAIN_READS):
                if not self._read():
                    return
        except SerialRuntimeError:
            return  # it has ended, or the line is gone: what follows will tell

    def _read(self) -> bool:
        """Pass one batch on; whether more is waiting. Whatever ReadTrace raises."""
        trace = self._trace
        if trace is None:
            raise TraceError(_GOES_ON)
        samples = self._line.call(lambda _: trace.poll())
        self._saw(trace.plc)
        with self._changed:
            if samples:
                gap = samples[0].tick - self._last_tick - 1 if self._last_tick is not None else 0
                for one in self._lived_through:
                    one.lost += max(0, gap)  # after a restart ticks begin anew
                self._lived_through = []
                self._last_tick = samples[-1].tick
            lost, self._lost = trace.lost - self._lost, trace.lost
            self._decimated = self._decimated_before + trace.decimated
            mark = Mark(trace.decimation, trace.since, self._decimated)
            for one in self._subscriptions.values():
                one.lost += lost
                for tick, values in samples:
                    one.add(tick, values, mark)
        return trace.more

    def _restore(self, cause: SerialRuntimeError) -> None:
        """The trace has ended on the board. Open it again if that was a restart, else end it."""
        trace, self._trace = self._trace, None
        with self._changed:
            subscriptions = list(self._subscriptions.values())
        if not subscriptions:
            return
        restarted = trace is None or self._boot != self._line.boot
        try:
            if restarted and not isinstance(trace, StockTrace) and self._is_loaded():
                self._open(self._table, _union(subscriptions), subscriptions)
                return
        except LinkError:
            raise
        except SerialRuntimeError as error:
            cause = error
        self._say(f"the bridge's traces have ended: {cause}")
        with self._changed:
            self._subscriptions.clear()

    def _is_loaded(self) -> bool:
        """Whether the program of the present lists is the one on the board."""
        found = Reference()
        self._line.call(lambda client: client.board.GetProgram(found))
        return bool(found.value.loaded and found.value.table == self._table)

    def _turn(self) -> bool:
        """Read once; whether to read again at once. LinkError."""
        with self._stream:
            with self._changed:
                if not self._subscriptions:
                    self._end()
                    return False
            try:
                if self._trace is None:
                    self._restore(TraceError(_GOES_ON))
                    return False
                more = self._read()
                self._shrink()
                return more
            except LinkError:
                raise
            except SerialRuntimeError as error:
                self._restore(error)
                return False

    def _shrink(self) -> None:
        if isinstance(self._trace, Trace):
            with self._changed:
                subscriptions = list(self._subscriptions.values())
            wanted = _union(subscriptions)
            if subscriptions and 2 * len(wanted) < len(self._union):
                self._open(self._table, wanted, subscriptions)

    def _end(self) -> None:
        trace, self._trace, self._union = self._trace, None, ()
        if trace is not None:
            with contextlib.suppress(CallRefused, TraceError):  # it has ended already
                self._line.call(lambda _: trace.close())

    # ---- the stream's thread -----------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closing and not self._wanted() and not self._abandoned():
                    self._changed.wait(1.0 if self._subscriptions else None)
                if self._closing:
                    return
            pause_s = 0.0
            try:
                if not self._turn():
                    pause_s = self._pause_s()
            except LinkError:
                pause_s = _RETRY_S  # the mirror tells it
            except SerialRuntimeError as error:
                pause_s = _RETRY_S
                self._say(f"a fault of the traces: {error}")
            if pause_s:
                with self._changed:
                    if not self._closing:
                        self._changed.wait(pause_s)

    def _abandoned(self) -> bool:
        return self._trace is not None and not self._subscriptions

    def _pause_s(self) -> float:
        rate_Bps = self._line.line_rate_Bps
        return max(_POLL_S, _POLL_BYTES / rate_Bps / _SHARE if rate_Bps else 0.0)


def _union(subscriptions: Sequence[Subscription]) -> tuple[int, ...]:
    """The lists one after the other, each variable once: the samples of a lone client need no cut
    then."""
    return tuple(dict.fromkeys(index for one in subscriptions for index in one.indices))
