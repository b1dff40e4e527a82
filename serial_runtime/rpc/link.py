# SPDX-License-Identifier: MIT
"""The client's link: transport, frame decoder and session put together, and opened again.

No thread: a call drives the transport until it is answered. A link that closes (unplugged, the
board restarts) is opened again by the call that notices, for `reconnect_s`; what was under way
goes on from there. For one thread.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from erpc.client import RequestContext

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError
from serial_runtime.protocol.client_session import ClientSession, Line, Request
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.plain_session import PlainSession
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.transport import Transport

PROBE = "serial-runtime/2?nonce="
_PROBE_MARGIN_S = 0.25  # between repetitions on a line; TCP loses nothing, so it has time
_RELIABLE_MARGIN_S = 2.0
_LONGEST_FRAME, _LINE_FRAME = 65535, 4200
_REPLY_S = 0.3  # the longest reply of a board on a line
_IDLE_S = 0.1
# 2000 bytes keep 97 % of a line for data and take 174 ms at 115200 baud.
_SLOW_BPS, _SLOW_CHUNK = 25_000.0, 2000
_CHUNK, _LONG_CHUNK = 4000, 16000
_RETRY_S = 0.05  # between attempts to open a link that is gone
_SILENT_S = 3.0  # without an answer, and the time of two frames: tell it
_STALE_S = 0.05  # a link unused for so long may have closed unnoticed

# Methods whose call may execute twice: of our board, by service, and of a stock one.
_NOT_TWICE = frozenset(
    {
        (Ide.SERVICE_ID, Ide.NEWPLC_ID),
        (Ide.SERVICE_ID, Ide.REPAIRPLC_ID),
        (Ide.SERVICE_ID, Ide.RESETLOGCOUNT_ID),
        (Ide.SERVICE_ID, Ide.STARTPLC_ID),
        (Ide.SERVICE_ID, Ide.STOPPLC_ID),
    }
)
_NOT_TWICE_STOCK = _NOT_TWICE | {
    (Ide.SERVICE_ID, Ide.APPENDCHUNKTOBLOB_ID),
    (Ide.SERVICE_ID, Ide.GETTRACEVARIABLES_ID),
}
# These wait for disk, a trial load, or a program's init.
_SLOW = (Ide.NEWPLC_ID, Ide.REPAIRPLC_ID, Ide.STARTPLC_ID, Ide.STOPPLC_ID)
_SLOW_S = 60.0


class Figures(NamedTuple):
    """How the link has done so far; see `Link.figures`."""

    rtt_s: float
    rto_s: float
    transmissions: int
    retransmissions: int
    frames: int
    untrusted_frames: int
    header_errors: int
    body_errors: int
    discarded_bytes: int
    sent_bytes: int
    received_bytes: int
    reconnects: int
    window: int
    chunk: int


class Link:
    """Calls to one peer. Opening it finds out whether the peer is ours (`ours`)."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        timeout_s: float,
        reconnect_s: float,
        on_trouble: Callable[[str], object] = lambda text: None,
    ) -> None:
        """`timeout_s` is for each call, `reconnect_s` for the way back of a lost link.

        `on_trouble` is told, in words for the user, when a call has to wait for the link.
        """
        self.timeout_s = timeout_s
        self.reconnect_s = reconnect_s
        self.reconnects = 0
        self._open_transport = open_transport
        self._on_trouble = on_trouble
        self._troubled = False  # it was told
        self._asked_s = 0.0  # since when a call waits, or has heard nothing
        self._used_s = 0.0
        self.transport = open_transport()
        try:
            self._start_decoder()
            self._session: ClientSession | PlainSession = PlainSession(self._line())
            self.ours = self._probe(time.monotonic() + timeout_s)
            if self.ours:
                self._session = ClientSession(self._line())
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
    def chunk(self) -> int:
        """Size of an upload's chunks that keeps this line full and short commands quick."""
        rate_Bps = self.transport.line_rate_Bps
        if self.transport.reliable or rate_Bps is None:
            return _LONG_CHUNK
        return _SLOW_CHUNK if rate_Bps < _SLOW_BPS else _CHUNK

    def figures(self) -> Figures:
        """Figures so far."""
        c = self._decoder.counters
        again = getattr(self._session, "retransmissions", 0)
        return Figures(0.0, 0.0, 0, again, c.frames, c.untrusted, c.header_errors, c.body_errors,
                       c.discarded_bytes, 0, 0, self.reconnects, 1, self.chunk)  # fmt: skip

    def close(self) -> None:
        """Say goodbye and close; idempotent."""
        try:
            for body in self._session.bye():
                self.transport.write(encode_frame(body))
        except LinkError:
            pass  # the board forgets the session by itself in time
        finally:
            self.transport.close()

    def submit(
        self, service: int, method: int, arguments: bytes, *, ordered: bool = False
    ) -> Request:
        """Begin a call; collect its outputs with `wait`. Several may be under way."""
        now_s = time.monotonic()
        if not self._session.waiting:
            self._asked_s = now_s
            if now_s - self._used_s > _STALE_S:
                self._look()
        timeout_s = self.timeout_s
        if service == Ide.SERVICE_ID and method in _SLOW:
            timeout_s = max(timeout_s, _SLOW_S)
        not_twice = _NOT_TWICE if self.ours else _NOT_TWICE_STOCK
        return self._session.submit(
            service,
            method,
            arguments,
            deadline_s=now_s + timeout_s,
            idempotent=(service, method) not in not_twice,
            ordered=ordered,
        )

    def wait(self, request: Request) -> bytes:
        """The outputs of a call, when they are there; or its exception."""
        while not request.done:
            try:
                self._step(request)
            except LinkClosed as error:
                self._reopen(error)
        return request.result()

    def call(self, service: int, method: int, arguments: bytes = b"") -> bytes:
        """Call and wait."""
        return self.wait(self.submit(service, method, arguments))

    def drop(self, requests: list[Request]) -> None:
        """Lose interest in calls; those under way may still execute."""
        for request in requests:
            if not request.done:
                self._session.give_up(request, LinkTimeout("the call was given up"))

    def _step(self, request: Request) -> None:
        """Send what is due, then wait for bytes or for the next time to send."""
        session, decoder = self._session, self._decoder
        bodies = session.send(time.monotonic())
        if bodies:
            try:
                self.transport.write(b"".join([encode_frame(body) for body in bodies]))
            except LinkTimeout:
                return  # the line is stuck; the session repeats until the deadline
        if request.done:
            return
        wake_s = session.wake_s
        if decoder.deadline_s is not None:
            wake_s = min(wake_s, decoder.deadline_s)
        if not self._troubled:
            wake_s = min(wake_s, self._asked_s + self._silent_s)
        self._receive(None if wake_s == math.inf else max(0.0, wake_s - time.monotonic()))

    def _receive(self, timeout_s: float | None) -> None:
        session, decoder = self._session, self._decoder
        data = self.transport.read(timeout_s)
        now_s = time.monotonic()
        if data:
            self._used_s = self._asked_s = now_s
            session.heard(now_s)
            if self._troubled:
                self._troubled = False
                self._on_trouble("connected again")
        elif now_s - self._asked_s >= self._silent_s:
            self._trouble(f"no answer from {self.transport.name} yet; still waiting")
        try:
            frames = decoder.feed(data, now_s) if data else decoder.tick(now_s)
        except ProtocolError as error:
            raise LinkClosed(f"{self.transport.name}: {error}") from error
        for frame in frames:
            if frame.trusted:
                session.receive(frame.body, now_s)
            elif isinstance(session, ClientSession) and session.receive(frame.body, now_s):
                decoder.confirm(frame)

    def _look(self) -> None:
        """Notice that the link has closed before a call is trusted to it."""
        try:
            self._receive(0.0)
        except LinkClosed as error:
            self._reopen(error)

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
        while True:
            if time.monotonic() - lost_s >= patience_s:
                self._trouble(f"connection lost: {cause}; trying to reconnect")
            try:
                self.transport = self._open_transport()
                self._start_decoder()
                ours = self._probe(limit_s)
                break
            except LinkError as error:
                self.transport.close()
                if time.monotonic() >= limit_s:
                    raise LinkClosed(f"{cause}; and not back: {error}") from error
                time.sleep(_RETRY_S)
        if ours != self.ours:
            self.transport.close()
            raise LinkClosed(f"{self.transport.name}: another kind of peer has taken the place")
        self.reconnects += 1
        self._session.link_lost(time.monotonic() - lost_s)

    def _probe(self, limit_s: float) -> bool:
        """Whether the peer is ours. Any stock server says, harmlessly, that it is not."""
        self._asked_s = time.monotonic()
        digest = (PROBE + secrets.token_hex(8)).encode()
        session, kept = PlainSession(self._line()), getattr(self, "_session", None)
        self._session = session
        try:
            arguments = len(digest).to_bytes(4, "little") + digest
            request = session.submit(
                Ide.SERVICE_ID, Ide.MATCHMD5_ID, arguments, deadline_s=limit_s, idempotent=True
            )
            while not request.done:
                self._step(request)
            if isinstance(request.error, LinkTimeout):
                raise LinkTimeout(f"{self.transport.name}: no answer; is a runtime running there?")
            return request.result()[:1] == b"\1"
        finally:
            if kept is not None:
                self._session = kept

    def _start_decoder(self) -> None:
        rate_Bps = self.transport.line_rate_Bps
        longest = _LONGEST_FRAME
        self._silent_s = _SILENT_S
        if not self.transport.reliable and rate_Bps:
            self._silent_s += 2 * _LINE_FRAME / rate_Bps
            longest = min(_LONGEST_FRAME, max(_LINE_FRAME, int(rate_Bps * _REPLY_S)))
        self._decoder = FrameDecoder(longest, _IDLE_S, resync=not self.transport.reliable)

    def _line(self) -> Line:
        reliable = self.transport.reliable
        margin_s = _RELIABLE_MARGIN_S if reliable else _PROBE_MARGIN_S
        return Line(self.transport.line_rate_Bps, margin_s)


class StubManager:
    """Gives a Link the API of ``erpc.client.ClientManager`` that generated stubs use."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def create_request(self, isOneway: bool = False) -> RequestContext:
        """The context of one call, to be filled by the stub."""
        codec = Codec()
        return RequestContext(0, codec.buffer, codec, isOneway)

    def perform_request(self, request: RequestContext) -> None:
        """Call; the codec then holds the outputs."""
        message = request.codec.buffer
        request.codec.buffer = self._link.call(message[2], message[1], bytes(message[8:]))
