# SPDX-License-Identifier: MIT
"""The client's link: transport, frame decoder and session put together, and opened again.

Any number of threads may call. There is no thread of its own: of those that wait for an answer one
drives the transport for all, until it has its own answer; then another one does. A link that closes
(unplugged, the board restarts) is opened again by the one that drives, for `reconnect_s`; what was
under way goes on from there.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError
from serial_runtime.protocol.client_session import ClientSession, Request
from serial_runtime.protocol.envelope import OVERHEAD
from serial_runtime.protocol.frame import FrameCounters, FrameDecoder, encode_frame
from serial_runtime.protocol.plain_session import PlainSession
from serial_runtime.protocol.timing import (
    FRAME_HEADER,
    IDLE_S,
    LINE_FRAME,
    LONGEST_FRAME,
    REPLY_S,
    Line,
)
from serial_runtime.rpc.call_rules import may_repeat, patience_s
from serial_runtime.rpc.line_rate import Call, LineRate
from serial_runtime.rpc.link_figures import LinkFigures, Message
from serial_runtime.rpc.probe import probe_call
from serial_runtime.transport import Transport
from serial_runtime.transport.base import is_rated

T = TypeVar("T")

_PROBE_MARGIN_S = 0.25  # before the first repetition on a line; TCP loses nothing, so it has time
_RELIABLE_MARGIN_S = 2.0
_RELIABLE_CHUNK = 16000
_CHUNK_ARGUMENTS = 8  # beside its data
_RECENT = 100  # messages kept for an error report
_RETRY_S = 0.05  # between attempts to open a link that is gone
_SILENT_S = 3.0  # without an answer, and the time of two frames: tell it
_STALE_S = 0.05  # a link unused for so long may have closed unnoticed


class Link:
    """Calls to one peer. Opening it finds out whether the peer is ours (`ours`). Any thread."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        timeout_s: float,
        reconnect_s: float,
        on_trouble: Callable[[str], object] = lambda text: None,
        bridged: bool = False,
        recent: deque[Message] | None = None,
        fast_baud: int = 0,
    ) -> None:
        """`timeout_s` is for each call, `reconnect_s` for the way back of a lost link.

        `on_trouble` is told, in words for the user, when a call has to wait for the link; it must
        not call the link. `bridged`: the calls are those of others, who are not at the line.
        `recent` keeps the last messages, also when the peer does not answer at all. `fast_baud`:
        run a serial line at this rate while it is used (0: never).
        """
        self.timeout_s = timeout_s
        self.reconnect_s = reconnect_s
        self.reconnects = 0
        self.recent: deque[Message] = deque(maxlen=_RECENT) if recent is None else recent
        self._open_transport = open_transport
        self._on_trouble = on_trouble
        self._troubled = False  # it was told
        self._asked_s = 0.0  # since when a call waits, or has heard nothing
        self._used_s = 0.0
        self._sent_bytes = self._received_bytes = 0
        self._counters = FrameCounters()
        self._lock = threading.RLock()  # protects all of the above, session and decoder
        self._changed = threading.Condition(self._lock)  # a request may be done
        self._closed = False
        self._driving = False  # a thread uses the transport
        self._followers = 0  # threads that wait for the one that drives
        self._rate = LineRate(fast_baud, self._rate_switched, on_trouble)
        self.transport = open_transport()
        self._rate.opened(self.transport)
        try:
            self._start_decoder()
            with self._lock:
                self.ours = self._probe(time.monotonic() + timeout_s)
            self._line = line = self._new_line()
            self._session: ClientSession | PlainSession = (
                ClientSession(line, bridged=bridged) if self.ours else PlainSession(line)
            )
        except BaseException:
            self.transport.close()
            raise

    @property
    def session(self) -> ClientSession | PlainSession:
        """What carries the calls; its `hello` holds the peer's limits."""
        return self._session

    @property
    def boot(self) -> int:
        """Counts sessions: blobs and trace tokens do not outlive one."""
        return self._session.sessions

    @property
    def heard_s(self) -> float:
        """When bytes arrived last, ``time.monotonic()``; 0.0: never."""
        return self._used_s

    @property
    def chunk(self) -> int:
        """Bytes of data for the next request of an upload.

        As many as keep this line full, short commands quick, and repetitions of what the line
        damages cheap; so it changes with what the line does.
        """
        if self.transport.reliable or not self._line.paced:
            return _RELIABLE_CHUNK
        overhead = OVERHEAD + FRAME_HEADER + _CHUNK_ARGUMENTS
        return self._line.chunk(overhead)

    @property
    def figures(self) -> LinkFigures:
        """How the link does."""
        with self._lock:
            line, session, counters = self._line, self._session, self._counters
            return LinkFigures(
                line.rtt_s,
                line.smoothed_s,
                line.wait_s,
                session.transmissions,
                session.retransmissions,
                counters.frames,
                counters.untrusted,
                counters.header_errors,
                counters.body_errors,
                counters.discarded_bytes,
                self._sent_bytes,
                self._received_bytes,
                self.reconnects,
                session.hello.window,
                self.chunk,
            )

    def close(self) -> None:
        """Say goodbye and close; idempotent. Threads that wait get LinkClosed."""
        try:
            with self._lock:
                self._closed = True
                bodies = self._session.bye()
            for body in bodies:
                self.transport.write(encode_frame(body))
            self._rate.leave()
        except LinkError:
            pass  # the board forgets the session by itself in time
        finally:
            self.transport.close()

    def submit(
        self,
        service: int,
        method: int,
        arguments: bytes,
        *,
        ordered: bool = False,
        bulk: bool = False,
    ) -> Request:
        """Begin a call; collect its outputs with `wait`. Several may be under way.

        `bulk` calls let all others go first; `ordered` ones execute in the order of their
        submission. Bytes move only while some thread waits.
        """
        with self._lock:
            now_s = time.monotonic()
            if self._session.idle:
                self._asked_s = now_s
                if now_s - self._used_s > _STALE_S and not self._driving:
                    self._look()
                if self._rate.active and self.ours and not self._driving:
                    self._on_the_line(self._rate.prepare)
                    now_s = time.monotonic()
            timeout_s = patience_s(service, method, self.timeout_s)
            if bulk:  # what is ahead of it takes its time, on a bad line several times that
                timeout_s += 3 * self._line.time_s(self._session.queued_bytes + len(arguments))
            request = self._session.submit(
                service,
                method,
                arguments,
                deadline_s=now_s + timeout_s,
                idempotent=may_repeat(service, method, ours=self.ours),
                ordered=ordered,
                bulk=bulk,
            )
            if self._driving:
                self.transport.interrupt()
            return request

    def wait(self, request: Request) -> bytes:
        """The outputs of a call, when they are there; or its exception."""
        with self._lock:
            try:
                while not request.done:
                    self._wait(request)
            finally:
                if not request.done:
                    self.drop([request])  # it must not be sent when its caller has gone
        return request.result()

    def call(self, service: int, method: int, arguments: bytes = b"") -> bytes:
        """Call and wait."""
        return self.wait(self.submit(service, method, arguments))

    def run_at(self, baud: int) -> None:
        """Agree with the board on a rate, until the link is closed or unused for some seconds.

        While no call is under way. Raises LinkTimeout when the line does not carry it (then it is
        at its first rate again), LinkClosed (likewise, once it is open again), CallRefused without
        a rate, and the board's reason to refuse it.
        """
        with self._lock:
            before = self.reconnects
            self._on_the_line(lambda call: self._rate.run_at(baud, call))
            if self.reconnects != before:
                raise LinkClosed(f"{self.transport.name}: was lost meanwhile; at its home rate now")

    def drop(self, requests: list[Request]) -> None:
        """Lose interest in calls; those under way may still execute."""
        with self._lock:
            for request in requests:
                if not request.done:
                    self._session.give_up(request, LinkTimeout("the call was given up"))

    def give_up(self) -> None:
        """End every call under way with LinkTimeout; those sent may still execute."""
        with self._lock:
            for request in self._session.waiting:
                self._session.give_up(request, LinkTimeout("the board is not heard any more"))
            self._changed.notify_all()
            if self._driving:
                self.transport.interrupt()

    def _wait(self, request: Request) -> None:
        """Drive the link a step further, or let another thread do it."""
        if self._driving:
            self._followers += 1
            self._changed.wait()
            self._followers -= 1
            return
        self._driving = True
        try:
            self._step(self._session, request)
        except LinkClosed as error:
            self._reopen(error)
        finally:
            self._end_of_drive()

    # What follows belongs to the thread that drives. It holds the lock, but while it waits.

    def _end_of_drive(self) -> None:
        self._driving = False
        if self._followers:
            self._changed.notify_all()

    def _step(self, session: ClientSession | PlainSession, request: Request) -> None:
        """Send what is due, then wait for bytes or for the next time to send."""
        bodies = session.send(time.monotonic())
        if bodies:
            self._write(bodies)
        if self._followers:
            self._changed.notify_all()  # a deadline may have passed
        if request.done:
            return
        wake_s, decoder = session.wake_s, self._decoder
        if decoder.deadline_s is not None:
            wake_s = min(wake_s, decoder.deadline_s)
        if not self._troubled:
            wake_s = min(wake_s, self._asked_s + self._silent_s)
        if self._rate.active:
            wake_s = min(wake_s, self._rate.lost_s)
        self._receive(session, None if wake_s == math.inf else max(0.0, wake_s - time.monotonic()))

    def _write(self, bodies: list[bytes]) -> None:
        now_s = time.monotonic()
        frames = []
        for body in bodies:
            self.recent.append(Message(now_s, ">", body, ""))
            frames.append(encode_frame(body))
        data = b"".join(frames)
        self._sent_bytes += len(data)
        self._lock.release()
        try:
            self.transport.write(data)
        except LinkTimeout:
            return  # the line is stuck; the session repeats until the deadline
        finally:
            self._lock.acquire()

    def _receive(self, session: ClientSession | PlainSession, timeout_s: float | None) -> None:
        decoder = self._decoder
        self._lock.release()  # as `_unlocked`, which costs more
        try:
            data = self.transport.read(timeout_s)
        finally:
            self._lock.acquire()
        now_s = time.monotonic()
        if data:
            self._received_bytes += len(data)
            self._used_s = self._asked_s = now_s
            session.heard(now_s)
            if self._troubled:
                self._troubled = False
                self._on_trouble("connected again")
        elif now_s - self._asked_s >= self._silent_s and not session.idle:
            self._trouble(f"no answer from {self.transport.name} yet; still waiting")
        try:
            frames = decoder.feed(data, now_s) if data else decoder.tick(now_s)
        except ProtocolError as error:
            raise LinkClosed(f"{self.transport.name}: {error}") from error
        if frames:
            self._rate.heard_s = now_s
        for frame in frames:
            self.recent.append(
                Message(now_s, "<", frame.body, "" if frame.trusted else "untrusted")
            )
            if frame.trusted:
                session.receive(frame.body, now_s)
            elif isinstance(session, ClientSession) and session.receive(frame.body, now_s):
                decoder.confirm(frame)
        if self._rate.active and now_s >= self._rate.lost_s and not session.idle:
            self._rate.go_home()

    def _look(self) -> None:
        """Notice that the link has closed before a call is trusted to it."""
        self._driving = True
        try:
            self._receive(self._session, 0.0)
        except LinkClosed as error:
            self._reopen(error)
        finally:
            self._end_of_drive()

    def _on_the_line(self, action: Callable[[Call], None]) -> None:
        """Do something with calls of the link's own."""
        self._driving = True
        try:
            action(self._call_within)
        except LinkClosed as error:
            self._reopen(error)
        finally:
            self._end_of_drive()

    def _call_within(self, service: int, method: int, arguments: bytes, within_s: float) -> bytes:
        session = self._session
        deadline_s = time.monotonic() + within_s
        request = session.submit(service, method, arguments, deadline_s=deadline_s, idempotent=True)
        try:
            while not request.done:
                self._step(session, request)
        finally:
            self.drop([request])  # nor must this one be sent to a link opened again
        return request.result()

    def _rate_switched(self) -> None:
        self._start_decoder()
        self._line.set_rate(self.transport.line_rate_Bps)

    def _trouble(self, text: str) -> None:
        """Tell it, once until the peer is heard again."""
        if not self._troubled:
            self._troubled = True
            self._on_trouble(text)

    def _reopen(self, cause: LinkClosed) -> None:
        """Open the link again and see that the peer is still of the same kind."""
        lost_s = time.monotonic()
        limit_s = lost_s + self.reconnect_s
        patience_s = 0.0 if self._session.opened else _SILENT_S  # it has announced its restart
        self.transport.close()
        if self._closed:
            raise cause
        while True:
            if time.monotonic() - lost_s >= patience_s:
                self._trouble(f"connection lost: {cause}; trying to reconnect")
            try:
                self.transport = self._unlocked(self._open_transport)
                if self._closed:
                    raise LinkClosed(f"{self.transport.name}: was closed meanwhile")
                self._rate.opened(self.transport)
                self._start_decoder()
                ours = self._probe(limit_s)
                break
            except LinkError as error:
                self.transport.close()
                if time.monotonic() >= limit_s or self._closed:
                    raise LinkClosed(f"{cause}; and not back: {error}") from error
                self._unlocked(lambda: time.sleep(_RETRY_S))
        if ours != self.ours:
            self.transport.close()
            raise LinkClosed(f"{self.transport.name}: another kind of peer has taken the place")
        self.reconnects += 1
        self._session.link_lost(time.monotonic() - lost_s)

    def _unlocked(self, wait: Callable[[], T]) -> T:
        self._lock.release()
        try:
            return wait()
        finally:
            self._lock.acquire()

    def _probe(self, limit_s: float) -> bool:
        """Whether the peer is ours."""
        self._asked_s = time.monotonic()
        session = PlainSession(self._new_line())
        request = session.submit(*probe_call(), deadline_s=limit_s, idempotent=True)
        try:
            while not request.done:
                self._step(session, request)
        except LinkClosed as error:
            if self.transport.kind != "tcp":
                raise
            raise LinkClosed(
                f"{error} before it answered (a TLS port has the URI ERPCS://host:port#ID, "
                "a Pyro port PYRO://host:port)"
            ) from error
        if isinstance(request.error, LinkTimeout):
            hint = ""
            if is_rated(self.transport):
                hint = " (if at another rate, :auto in the URI finds it)"
            raise LinkTimeout(
                f"{self.transport.name}: no answer; is a runtime running there?{hint}"
            )
        return request.result()[:1] == b"\1"

    def _start_decoder(self) -> None:
        rate_Bps = self.transport.line_rate_Bps
        longest = LONGEST_FRAME
        self._silent_s = _SILENT_S
        if not self.transport.reliable and rate_Bps:
            self._silent_s += 2 * LINE_FRAME / rate_Bps
            longest = min(LONGEST_FRAME, max(LINE_FRAME, int(rate_Bps * REPLY_S)))
        self._decoder = FrameDecoder(longest, IDLE_S, resync=not self.transport.reliable)
        self._decoder.counters = self._counters

    def _new_line(self) -> Line:
        rate_Bps = self.transport.line_rate_Bps
        if self.transport.reliable:
            return Line(rate_Bps, _RELIABLE_MARGIN_S, _RELIABLE_MARGIN_S)
        return Line(rate_Bps, _PROBE_MARGIN_S)
