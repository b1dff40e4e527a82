# SPDX-License-Identifier: MIT
"""The client's half of a session. See ``session``.

Sans-IO: `send` returns the frame bodies to transmit now, `receive` takes those that arrived,
`wake_s` says when to call `send` again. Times are seconds of any monotonic clock. For one thread.

*Short before bulk.* A call is queued as it is submitted and gets its number when it is first
transmitted; so a short command overtakes the chunks of an upload that are not on the line yet.
And few are: a bulk call is transmitted when the line is about to run dry, not before, and only
while the bytes under way are not more than the line holds and one chunk. It leaves a part of the
window to short commands.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from itertools import chain

from serial_runtime.errors import (
    CallUnsupported,
    LinkTimeout,
    OutcomeUnknown,
    ProtocolError,
    SerialRuntimeError,
)
from serial_runtime.protocol import envelope
from serial_runtime.protocol.refusal import decode_refusal
from serial_runtime.protocol.timing import FRAME_HEADER, LEAD_S, Line

FOREVER_S = float("inf")
_LAST_NUMBER = 0xFFF00000
_MOST_DOUBTFUL = 32
_AT_ONCE = 0.0  # as a time to repeat
_OVERHEAD = envelope.OVERHEAD + FRAME_HEADER
# Of the window, for short commands while bulk data is under way.
_SHORT_REQUESTS, _SHORT_BYTES = 4, 2048
# A HELLO is trusted only after a pause of the line, so it is not repeated without one.
_LEAST_HELLO_S = 0.25


def _random_u32() -> int:
    return random.SystemRandom().randrange(1, 1 << 32)


class Request:
    """A call under way. `done` once it is answered, refused or given up."""

    done = False
    outputs = b""
    error: SerialRuntimeError | None = None  # set when it failed
    serial = 0  # counts the calls submitted
    number = 0  # given with the first transmission in a session
    transmissions = 0  # in the session below
    acknowledged = False  # the board has it
    session = 0
    boot_id = 0
    order = 0  # of the last transmission, among all
    first_left_s = 0.0  # when its first transmission has left
    left_s = 0.0  # and its last one
    due_s = 0.0  # when to repeat it
    silent_repeats = 0  # since anything was answered

    def __init__(
        self,
        service: int,
        method: int,
        arguments: bytes,
        deadline_s: float = FOREVER_S,
        idempotent: bool = False,
        ordered: bool = False,
        bulk: bool = False,
    ) -> None:
        self.service = service
        self.method = method
        self.arguments = arguments
        self.deadline_s = deadline_s
        self.idempotent = idempotent
        self.ordered = ordered
        self.bulk = bulk

    @property
    def size(self) -> int:
        """Of the frame."""
        return len(self.arguments) + _OVERHEAD

    def result(self) -> bytes:
        """The outputs, or the exception; ProtocolError while it is under way."""
        if not self.done:
            raise ProtocolError("the call is still under way")
        if self.error is not None:
            raise self.error
        return self.outputs


class ClientSession:
    """Sends calls in envelopes, up to the board's window of them at a time."""

    def __init__(
        self, line: Line, draw: Callable[[], int] = _random_u32, *, bridged: bool = False
    ) -> None:
        """`bridged`: the calls are those of others, who are not at the line (`BRIDGED`)."""
        self.hello = envelope.Hello(envelope.VERSION, 1, 0, 0)  # known once `opened`
        self.opened = False
        self.sessions = 0  # opened so far
        self.transmissions = 0
        self.retransmissions = 0
        self._line = line
        self._draw = draw
        self._bridged = bridged
        self._session = draw()
        self._boot_id = 0
        self._hello_due_s = 0.0
        self._hellos = 0
        self._next = 1
        self._submitted = 0
        self._orders = 0
        self._silent_rounds = 0  # the most that one request was repeated since the last answer
        self._heard_s = 0.0
        self._strays = False  # whether a request may wait in a session that is no more
        self._short: deque[Request] = deque()  # not transmitted yet
        self._bulk: deque[Request] = deque()
        self._flying: dict[int, Request] = {}  # by number, which is also their order
        # Answers to requests that were repeated, by session and number: arguments of `answered`.
        self._doubtful: dict[tuple[int, int], tuple[float, int, float, float]] = {}

    def submit(
        self,
        service: int,
        method: int,
        arguments: bytes,
        *,
        deadline_s: float = FOREVER_S,
        idempotent: bool = False,
        ordered: bool = False,
        bulk: bool = False,
    ) -> Request:
        """Queue a call; `send` transmits it when the window has room."""
        request = Request(service, method, arguments, deadline_s, idempotent, ordered, bulk)
        self._submitted += 1
        request.serial = self._submitted
        (self._bulk if bulk else self._short).append(request)
        return request

    def give_up(self, request: Request, error: SerialRuntimeError) -> None:
        """End a call from this side. It may or may not be executed."""
        request.error = error
        self._settle(request)

    @property
    def waiting(self) -> list[Request]:
        """The calls under way, oldest first."""
        return list(chain(self._flying.values(), self._short, self._bulk))

    @property
    def idle(self) -> bool:
        """Whether no call is under way."""
        return not (self._flying or self._short or self._bulk)

    @property
    def queued_bytes(self) -> int:
        """Of the calls under way, frames included."""
        return sum(r.size for r in chain(self._flying.values(), self._short, self._bulk))

    @property
    def wake_s(self) -> float:
        """When `send` has something to do though nothing arrives."""
        wake_s = FOREVER_S
        for request in self._flying.values():
            wake_s = min(wake_s, request.deadline_s, self._due_s(request))
        if not (self._short or self._bulk):
            return wake_s if self.opened or not self._flying else min(wake_s, self._hello_due_s)
        for request in chain(self._short, self._bulk):
            wake_s = min(wake_s, request.deadline_s)
        if not self.opened:
            return min(wake_s, self._hello_due_s)
        if self._bulk and self._bulk_fits(*self._under_way()):
            wake_s = min(wake_s, self._line.free_s - LEAD_S)
        return wake_s

    def send(self, now_s: float) -> list[bytes]:
        """The bodies to transmit now."""
        if self.idle:
            return []
        late = [
            r
            for r in chain(self._flying.values(), self._short, self._bulk)
            if now_s >= r.deadline_s
        ]
        for request in late:
            self.give_up(request, _timeout(request.transmissions))
        if self._strays:
            for request in list(self._flying.values()):
                if self._is_elsewhere(request) and now_s >= self._due_s(request):
                    self._lost_with_its_session(request)
            self._strays = any(map(self._is_elsewhere, self._flying.values()))
        if late and self.idle:
            return []
        if not self.opened:
            return [self._say_hello(now_s)] if now_s >= self._hello_due_s else []
        if self._next > _LAST_NUMBER:
            if not self._flying:
                self._reopen()
                return [self._say_hello(now_s)]
            return self._repeat(now_s)
        bodies = self._repeat(now_s) if self._flying else []
        if not (self._short or self._bulk):
            return bodies
        count, size = self._under_way()
        while self._short and self._short_fits(count, size):
            count, size = count + 1, size + self._short[0].size
            bodies.append(self._transmit(self._short.popleft(), now_s))
        while self._bulk and self._bulk_fits(count, size) and self._line.queued_s(now_s) <= LEAD_S:
            count, size = count + 1, size + self._bulk[0].size
            bodies.append(self._transmit(self._bulk.popleft(), now_s))
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
        request = self._flying.get(reply.number)
        if request is None or reply.session != request.session:
            self._answered_twice(reply)
            return reply.session == self._session
        status = reply.status & envelope.STATUS
        if status in (envelope.UNKNOWN_SESSION, envelope.OTHER_BOOT):
            self._refused_session(request)
            return True
        if reply.boot_id != request.boot_id:
            return False
        self._silent_rounds = 0
        self._measure(request, reply, len(body), now_s)
        self._answered(request, reply, status, now_s)
        for other in self._flying.values():
            other.silent_repeats = 0
            if other.due_s != _AT_ONCE and self._is_lost(other, request, status):
                other.due_s = _AT_ONCE
                self._line.loss.lost()
        return True

    def heard(self, now_s: float) -> None:
        """Bytes have arrived, whatever they are."""
        self._heard_s = now_s

    def link_lost(self, outage_s: float) -> None:
        """The link was closed and is open again: what was under way goes again."""
        self._line.reset()
        self._heard_s = 0.0
        self._hello_due_s = 0.0
        for request in self.waiting:
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

    # What fits.

    def _under_way(self) -> tuple[int, int]:
        """Requests and bytes that are transmitted and not answered."""
        return len(self._flying), sum(request.size for request in self._flying.values())

    def _short_fits(self, count: int, size: int) -> bool:
        if count == 0:
            return True
        return (
            count < self.hello.window
            and size + self._short[0].size <= self.hello.window_bytes
            and self._next - next(iter(self._flying)) < self.hello.window
        )

    def _bulk_fits(self, count: int, size: int) -> bool:
        if count == 0:
            return True
        if self._strays:
            return False  # one of them may have to go again, and before these
        size += self._bulk[0].size
        window = max(1, self.hello.window - _SHORT_REQUESTS)
        return (
            count < window
            and size <= self.hello.window_bytes - _SHORT_BYTES
            # On the way: what is being answered, the chunk that is leaving, and this one.
            and size <= self._line.flight_bytes + 2 * self._bulk[0].size
            and self._next - next(iter(self._flying)) < window
        )

    # Sending.

    def _repeat(self, now_s: float) -> list[bytes]:
        bodies = []
        for request in self._flying.values():
            if now_s >= self._due_s(request) and not self._is_elsewhere(request):
                if request.due_s != _AT_ONCE and not request.acknowledged:
                    self._line.loss.lost()
                    request.silent_repeats += 1
                    self._silent_rounds = max(self._silent_rounds, request.silent_repeats)
                bodies.append(self._transmit(request, now_s))
        return bodies

    def _transmit(self, request: Request, now_s: float) -> bytes:
        if request.transmissions:
            self.retransmissions += 1
        else:
            request.number = self._next
            self._next += 1
            self._flying[request.number] = request
        request.session, request.boot_id = self._session, self._boot_id
        request.transmissions += 1
        self.transmissions += 1
        self._orders += 1
        request.order = self._orders
        flags = min(request.number - next(iter(self._flying)), envelope.BACK)
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
        request.left_s = self._line.sent(body, now_s)
        if request.transmissions == 1:
            request.first_left_s = request.left_s
        self._line.loss.carried(len(body) + FRAME_HEADER)
        # A line has no congestion to give way to: only silence makes the client patient. It is
        # counted in rounds, as all that is under way is repeated in each.
        request.due_s = self._line.due_s(now_s, 1 + self._silent_rounds)
        return body

    def _due_s(self, request: Request) -> float:
        """When to repeat; not while bytes arrive, as the reply may be among them."""
        if request.due_s == _AT_ONCE:
            return _AT_ONCE
        return max(request.due_s, self._heard_s + self._line.wait_s)

    def _is_elsewhere(self, request: Request) -> bool:
        """Whether it was transmitted in a session that is no more."""
        return request.session != self._session or request.boot_id != self._boot_id

    # Answers.

    @staticmethod
    def _is_lost(other: Request, answered: Request, status: int) -> bool:
        """Whether an answer to one request tells that another one, or its answer, is lost."""
        if not other.acknowledged:
            return other.order < answered.order  # a line is a queue
        # Calls in order end in order, and so do their answers.
        in_order = other.ordered and answered.ordered and other.session == answered.session
        return in_order and other.number < answered.number and status == envelope.DONE

    def _measure(
        self, request: Request, reply: envelope.Envelope, reply_bytes: int, now_s: float
    ) -> None:
        """Learn of the line from an answer."""
        took_ms = (reply.status & envelope.TOOK) >> envelope.TOOK_SHIFT
        if request.acknowledged or took_ms == envelope.MOST_TOOK_MS:
            return  # how long the board worked is not known
        if request.transmissions > 1:
            # Which transmission is answered is not known, yet: see `_answered_twice`.
            answer = (request.first_left_s, reply_bytes, took_ms / 1000, now_s)
            self._doubtful[reply.session, reply.number] = answer
            if len(self._doubtful) > _MOST_DOUBTFUL:
                del self._doubtful[next(iter(self._doubtful))]
            return
        self._line.answered(request.left_s, reply_bytes, took_ms / 1000, now_s)
        if not self._line.paced:
            return
        behind = sum(r.size for r in self._flying.values() if r.order > request.order)
        self._line.acknowledged(behind, reply_bytes, now_s)

    def _answered_twice(self, reply: envelope.Envelope) -> None:
        """An answer to what is settled: its first transmission has arrived, and was answered first.

        So the repetition was too early. Without this a line that became slower would never be
        known to be: nothing would be answered before it is repeated.
        """
        if answer := self._doubtful.pop((reply.session, reply.number), None):
            self._line.answered(*answer)

    def _answered(
        self, request: Request, reply: envelope.Envelope, status: int, now_s: float
    ) -> None:
        if status in (envelope.IN_PROGRESS, envelope.BUSY):
            request.acknowledged = status == envelope.IN_PROGRESS
            request.due_s = self._line.due_s(now_s, request.transmissions + 1)
            return
        if status == envelope.DONE:
            request.outputs = reply.payload
            if reply.status & envelope.RESTARTS:
                self._reopen()
        elif status == envelope.REFUSED:
            request.error = decode_refusal(reply.payload)
        elif status == envelope.UNSUPPORTED:
            what = f"method {request.method} of service {request.service}"
            request.error = CallUnsupported(f"the board's runtime is older: it has no {what}")
        else:
            request.error = ProtocolError(f"a reply with the unknown status {status}")
        self._settle(request)

    def _refused_session(self, request: Request) -> None:
        """The board has restarted or forgotten the session; this transmission did nothing."""
        if not self._is_elsewhere(request):
            self._reopen()
        self._lost_with_its_session(request, sure=request.transmissions == 1)

    def _lost_with_its_session(self, request: Request, sure: bool = False) -> None:
        """Begin anew; `sure`: it was not executed."""
        if sure or request.idempotent:
            del self._flying[request.number]
            request.transmissions = 0
            request.acknowledged = False
            queue = self._bulk if request.bulk else self._short
            place = next((i for i, r in enumerate(queue) if r.serial > request.serial), len(queue))
            queue.insert(place, request)
        else:
            text = "the board has restarted; the call may or may not have been executed before"
            self.give_up(request, OutcomeUnknown(text))

    def _settle(self, request: Request) -> None:
        request.done = True
        if request.transmissions:
            del self._flying[request.number]
        else:
            (self._bulk if request.bulk else self._short).remove(request)

    # The session.

    def _reopen(self) -> None:
        self.opened = False
        self._strays = True
        self._session = self._draw()
        self._boot_id = 0
        self._hello_due_s = _AT_ONCE
        self._hellos = 0

    def _say_hello(self, now_s: float) -> bytes:
        word, service, method = envelope.CALL, envelope.SERVICE, envelope.HELLO
        arguments = envelope.encode_hello_call(envelope.BRIDGED if self._bridged else 0)
        body = envelope.encode(word, 0, self._session, 0, service, method, 0, arguments)
        self._hellos += 1
        self._line.sent(body, now_s)
        self._hello_due_s = max(now_s + _LEAST_HELLO_S, self._line.due_s(now_s, self._hellos))
        return body

    def _hello(self, reply: envelope.Envelope) -> bool:
        if reply.session != self._session:
            return False
        if self.opened:
            return True
        status = reply.status & envelope.STATUS
        error: SerialRuntimeError
        try:
            if status == envelope.DONE:
                self.hello = envelope.decode_hello_reply(reply.payload)
                self._boot_id = reply.boot_id
                self.opened = True
                self.sessions += 1
                self._next = 1 if self._next > _LAST_NUMBER else self._next
            if status != envelope.REFUSED:
                return True
            error = decode_refusal(reply.payload)
        except ProtocolError as problem:
            error = problem
        for request in self.waiting:
            self.give_up(request, error)
        return True


def _timeout(transmissions: int) -> LinkTimeout:
    if transmissions:
        return LinkTimeout("no answer; the call may or may not have been executed")
    return LinkTimeout("no answer from the board; the call was not executed")
