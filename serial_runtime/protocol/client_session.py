# SPDX-License-Identifier: MIT
"""The client's half of a session, and its stand-in for stock servers. See ``session``.

Both are sans-IO: `send` returns the frame bodies to transmit now, `receive` takes those that
arrived, `wake_s` says when to call `send` again. Times are seconds of any monotonic clock. For
one thread.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from serial_runtime.errors import (
    CallUnsupported,
    LinkTimeout,
    OutcomeUnknown,
    ProtocolError,
    SerialRuntimeError,
)
from serial_runtime.protocol import envelope
from serial_runtime.protocol.refusal import decode_refusal

FOREVER_S = float("inf")
_FRAME_HEADER = 6
_REPLY_BYTES = 300  # what a reply is taken to be; a longer one is noticed by its arriving bytes
_MAX_WAIT_S = 4.0  # between repetitions
_LAST_NUMBER = 0xFFF00000
_AT_ONCE = 0.0  # as a time to repeat


def _random_u32() -> int:
    return random.SystemRandom().randrange(1, 1 << 32)


class Request:
    """A call under way. `done` once it is answered, refused or given up."""

    done = False
    outputs = b""
    error: SerialRuntimeError | None = None  # set when it failed
    transmissions = 0  # in the session below
    acknowledged = False  # the board has it
    session = 0
    boot_id = 0
    order = 0  # of the last transmission, among all
    due_s = 0.0  # when to repeat it

    def __init__(
        self,
        number: int,
        service: int,
        method: int,
        arguments: bytes,
        deadline_s: float,
        idempotent: bool,
        ordered: bool,
    ) -> None:
        self.number = number
        self.service = service
        self.method = method
        self.arguments = arguments
        self.deadline_s = deadline_s
        self.idempotent = idempotent
        self.ordered = ordered

    def result(self) -> bytes:
        """The outputs, or the exception; ProtocolError while it is under way."""
        if not self.done:
            raise ProtocolError("the call is still under way")
        if self.error is not None:
            raise self.error
        return self.outputs


class Line:
    """What repetition needs to know of a line.

    `rate_Bps` is None where frames take no time worth counting; `margin_s` is how long the other
    end may take to answer before it is asked again.
    """

    def __init__(self, rate_Bps: float | None, margin_s: float) -> None:
        self._rate_Bps = rate_Bps or FOREVER_S
        self._margin_s = margin_s
        self._free_s = 0.0  # when all that was written has left

    def sent(self, body: bytes, now_s: float) -> None:
        """A body was written."""
        frame_s = (len(body) + _FRAME_HEADER) / self._rate_Bps
        self._free_s = max(self._free_s, now_s) + frame_s

    def due_s(self, now_s: float, times: int) -> float:
        """When to repeat what was written last, after writing it so many times."""
        wait_s = _REPLY_BYTES / self._rate_Bps + self._margin_s
        doubled_s: float = wait_s * 2 ** min(times - 1, 10)
        return max(self._free_s, now_s) + min(doubled_s, max(wait_s, _MAX_WAIT_S))

    def reset(self) -> None:
        """The link was opened again: nothing is on its way."""
        self._free_s = 0.0

    @property
    def quiet_s(self) -> float:
        """A silence after which no reply is under way."""
        return self._margin_s / 2


class ClientSession:
    """Sends calls in envelopes, up to the board's window of them at a time."""

    def __init__(self, line: Line, draw: Callable[[], int] = _random_u32) -> None:
        self.hello = envelope.Hello(envelope.VERSION, 1, 0, 0)  # known once `opened`
        self.opened = False
        self.sessions = 0  # opened so far
        self.retransmissions = 0
        self._line = line
        self._draw = draw
        self._session = draw()
        self._boot_id = 0
        self._hello_due_s = 0.0
        self._hellos = 0
        self._next = 1
        self._orders = 0
        self._heard_s = 0.0
        self._strays = False  # whether a request may wait in a session that is no more
        self._open: dict[int, Request] = {}  # by number, which is also their order

    def submit(
        self,
        service: int,
        method: int,
        arguments: bytes,
        *,
        deadline_s: float = FOREVER_S,
        idempotent: bool = False,
        ordered: bool = False,
    ) -> Request:
        """Queue a call; `send` transmits it when the window has room."""
        if self._next > _LAST_NUMBER and not self._open:
            self._reopen()
            self._next = 1
        request = Request(self._next, service, method, arguments, deadline_s, idempotent, ordered)
        self._next += 1
        self._open[request.number] = request
        return request

    def give_up(self, request: Request, error: SerialRuntimeError) -> None:
        """End a call from this side. It may or may not be executed."""
        request.error = error
        self._settle(request)

    @property
    def waiting(self) -> list[Request]:
        """The calls under way, oldest first."""
        return list(self._open.values())

    @property
    def wake_s(self) -> float:
        """When `send` has something to do though nothing arrives."""
        wake_s = FOREVER_S
        for request in self._open.values():
            wake_s = min(wake_s, request.deadline_s)
            if request.transmissions:
                wake_s = min(wake_s, self._due_s(request))
        if self._open and not self.opened:
            wake_s = min(wake_s, self._hello_due_s)
        return wake_s

    def send(self, now_s: float) -> list[bytes]:
        """The bodies to transmit now."""
        for request in list(self._open.values()):
            if now_s >= request.deadline_s:
                self.give_up(request, _timeout(request.transmissions))
            elif self._strays and self._is_elsewhere(request) and now_s >= self._due_s(request):
                self._lost_with_its_session(request)
        if not self._open:
            return []
        if not self.opened:
            return [self._say_hello(now_s)] if now_s >= self._hello_due_s else []
        bodies: list[bytes] = []
        count = size = 0
        for request in self._open.values():
            if request.transmissions:
                count += 1
                size += len(request.arguments) + envelope.OVERHEAD
        oldest = next(iter(self._open))
        for request in self._open.values():
            if request.transmissions:
                if now_s >= self._due_s(request) and not self._is_elsewhere(request):
                    bodies.append(self._transmit(request, now_s))
                continue
            size += len(request.arguments) + envelope.OVERHEAD
            if count == 0 or (
                count < self.hello.window
                and size <= self.hello.window_bytes
                and request.number - oldest < self.hello.window
            ):
                count += 1
                bodies.append(self._transmit(request, now_s))
        return bodies

    def receive(self, body: bytes, now_s: float) -> bool:
        """Take a frame body; True if it is surely of this session (see Trust in ``session``)."""
        try:
            reply = envelope.decode(body)
        except ProtocolError:
            return False
        if reply.word != envelope.REPLY:
            return False
        if reply.service == envelope.SERVICE and reply.method == envelope.HELLO:
            return self._hello(reply)
        request = self._open.get(reply.number)
        if request is None or not request.transmissions or reply.session != request.session:
            return reply.session == self._session
        if reply.status in (envelope.UNKNOWN_SESSION, envelope.OTHER_BOOT):
            self._refused_session(request)
            return True
        if reply.boot_id != request.boot_id:
            return False
        self._answered(request, reply, now_s)
        for other in self._open.values():
            if other.transmissions and other.order < request.order and not other.acknowledged:
                other.due_s = _AT_ONCE  # a line is a queue: this one or its reply is lost
        return True

    def heard(self, now_s: float) -> None:
        """Bytes have arrived, whatever they are."""
        self._heard_s = now_s

    def link_lost(self, outage_s: float) -> None:
        """The link was closed and is open again: what was under way goes again."""
        self._line.reset()
        self._heard_s = 0.0
        self._hello_due_s = 0.0
        for request in self._open.values():
            request.deadline_s += outage_s
            request.acknowledged = False
            request.due_s = _AT_ONCE

    def bye(self) -> list[bytes]:
        """The body that closes the session, if it is open; nothing more may be sent."""
        if not self.opened:
            return []
        self.opened = False
        word, service, method = envelope.ONEWAY, envelope.SERVICE, envelope.BYE
        return [envelope.encode(word, self._next, self._session, self._boot_id, service, method, 0)]

    def _transmit(self, request: Request, now_s: float) -> bytes:
        if request.transmissions:
            self.retransmissions += 1
        request.session, request.boot_id = self._session, self._boot_id
        request.transmissions += 1
        self._orders += 1
        request.order = self._orders
        flags = min(request.number - next(iter(self._open)), envelope.BACK)
        body = envelope.encode(
            envelope.CALL,
            request.number,
            request.session,
            request.boot_id,
            request.service,
            request.method,
            flags | (envelope.ORDERED if request.ordered else 0),
            request.arguments,
        )
        self._line.sent(body, now_s)
        request.due_s = self._line.due_s(now_s, request.transmissions)
        return body

    def _due_s(self, request: Request) -> float:
        """When to repeat; not while bytes arrive, as the reply may be among them."""
        if request.due_s == _AT_ONCE:
            return _AT_ONCE
        return max(request.due_s, self._heard_s + self._line.quiet_s)

    def _is_elsewhere(self, request: Request) -> bool:
        """Whether it was transmitted in a session that is no more."""
        here = request.session == self._session and request.boot_id == self._boot_id
        return request.transmissions > 0 and not here

    def _answered(self, request: Request, reply: envelope.Envelope, now_s: float) -> None:
        if reply.status in (envelope.IN_PROGRESS, envelope.BUSY):
            request.acknowledged = reply.status == envelope.IN_PROGRESS
            request.due_s = self._line.due_s(now_s, request.transmissions + 1)
            return
        if reply.status & ~envelope.RESTARTS == envelope.DONE:
            request.outputs = reply.payload
            if reply.status & envelope.RESTARTS:
                self._reopen()
        elif reply.status == envelope.REFUSED:
            request.error = decode_refusal(reply.payload)
        elif reply.status == envelope.UNSUPPORTED:
            what = f"method {request.method} of service {request.service}"
            request.error = CallUnsupported(f"the board's runtime is older: it has no {what}")
        else:
            request.error = ProtocolError(f"a reply with the unknown status {reply.status}")
        self._settle(request)

    def _refused_session(self, request: Request) -> None:
        """The board has restarted or forgotten the session; this transmission did nothing."""
        if not self._is_elsewhere(request):
            self._reopen()
        self._lost_with_its_session(request, sure=request.transmissions == 1)

    def _lost_with_its_session(self, request: Request, sure: bool = False) -> None:
        """Begin anew; `sure`: it was not executed."""
        if sure or request.idempotent:
            request.transmissions = 0
            request.acknowledged = False
        else:
            text = "the board has restarted; the call may or may not have been executed before"
            self.give_up(request, OutcomeUnknown(text))

    def _settle(self, request: Request) -> None:
        request.done = True
        del self._open[request.number]

    def _reopen(self) -> None:
        self.opened = False
        self._strays = True
        self._session = self._draw()
        self._boot_id = 0
        self._hello_due_s = _AT_ONCE
        self._hellos = 0

    def _say_hello(self, now_s: float) -> bytes:
        word, service, method = envelope.CALL, envelope.SERVICE, envelope.HELLO
        arguments = envelope.encode_hello_call()
        body = envelope.encode(word, 0, self._session, 0, service, method, 0, arguments)
        self._hellos += 1
        self._line.sent(body, now_s)
        self._hello_due_s = self._line.due_s(now_s, self._hellos)
        return body

    def _hello(self, reply: envelope.Envelope) -> bool:
        if reply.session != self._session:
            return False
        if self.opened:
            return True
        if reply.status == envelope.DONE:
            self.hello = envelope.decode_hello_reply(reply.payload)
            self._boot_id = reply.boot_id
            self.opened = True
            self.sessions += 1
        elif reply.status == envelope.REFUSED:
            for request in self.waiting:
                self.give_up(request, decode_refusal(reply.payload))
        return True


def _timeout(transmissions: int) -> LinkTimeout:
    if transmissions:
        return LinkTimeout("no answer; the call may or may not have been executed")
    return LinkTimeout("no answer from the board; the call was not executed")
