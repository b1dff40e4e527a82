# SPDX-License-Identifier: MIT
"""The client's half towards a stock eRPC server: no envelope, so one call at a time.

It has the interface of `ClientSession`. Only what may execute twice (`idempotent`) is repeated;
a call whose reply is lost otherwise ends at its deadline. Replies are told apart by sequence
numbers, which start at a random one.
"""

from __future__ import annotations

import random
from struct import Struct

from serial_runtime.errors import (
    CallUnsupported,
    LinkTimeout,
    OutcomeUnknown,
    SerialRuntimeError,
)
from serial_runtime.protocol import envelope
from serial_runtime.protocol.client_session import FOREVER_S, Request
from serial_runtime.protocol.timing import Line

_HEADER = Struct("<II")
_INVOCATION, _REPLY = 0x01000000, 0x01000002


class PlainSession:
    """Sends bare eRPC calls, one at a time."""

    def __init__(self, line: Line) -> None:
        # Where a stock server's limits are not known, those of the smallest one hold.
        self.hello = envelope.Hello(envelope.VERSION, 1, 0, 6106)
        self.opened = True
        self.sessions = 1
        self.transmissions = 0
        self.retransmissions = 0
        self._line = line
        self._next = random.SystemRandom().randrange(1, 1 << 31)
        self._queue: list[Request] = []  # the first one is under way

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
        """Queue a call; one of another service than 1 is refused here, never sent."""
        self._next = (self._next + 1) & 0xFFFFFFFF
        request = Request(service, method, arguments, deadline_s, idempotent, ordered, bulk)
        request.number = self._next
        waiting = (i for i, r in enumerate(self._queue) if r.bulk and not r.transmissions)
        # A stock server is asked one thing at a time; a short command is the next.
        place = len(self._queue) if bulk else next(waiting, len(self._queue))
        self._queue.insert(place, request)
        if service != 1:
            text = "the other end is not a serial runtime; it offers only the IDE's service"
            self.give_up(request, CallUnsupported(text))
        return request

    def give_up(self, request: Request, error: SerialRuntimeError) -> None:
        """End a call from this side. It may or may not be executed."""
        request.error = error
        self._settle(request)

    @property
    def waiting(self) -> list[Request]:
        """The calls under way, oldest first."""
        return list(self._queue)

    @property
    def idle(self) -> bool:
        """Whether no call is under way."""
        return not self._queue

    @property
    def queued_bytes(self) -> int:
        """Of the calls under way, frames included."""
        return sum(request.size for request in self._queue)

    @property
    def wake_s(self) -> float:
        """When `send` has something to do though nothing arrives."""
        wake_s = min((request.deadline_s for request in self._queue), default=FOREVER_S)
        if self._queue and self._may_repeat(self._queue[0]):
            wake_s = min(wake_s, self._queue[0].due_s)
        return wake_s

    def send(self, now_s: float) -> list[bytes]:
        """The bodies to transmit now."""
        for request in self.waiting:
            if now_s >= request.deadline_s:
                text = "no answer; the call may or may not have been executed"
                self.give_up(request, LinkTimeout(text))
        if not self._queue:
            return []
        first = self._queue[0]
        if first.transmissions and not (self._may_repeat(first) and now_s >= first.due_s):
            return []
        self.retransmissions += first.transmissions > 0
        self.transmissions += 1
        first.transmissions += 1
        word = _INVOCATION | first.service << 16 | first.method << 8
        body = _HEADER.pack(word, first.number) + first.arguments
        first.left_s = self._line.sent(body, now_s)
        first.due_s = self._line.due_s(now_s, first.transmissions)
        return [body]

    def receive(self, body: bytes, now_s: float) -> bool:
        """Take a frame body; a reply to another call is passed over."""
        if self._queue and self._queue[0].transmissions and len(body) >= _HEADER.size:
            first = self._queue[0]
            if _HEADER.unpack_from(body) == (
                _REPLY | first.service << 16 | first.method << 8,
                first.number,
            ):
                if first.transmissions == 1:
                    self._line.answered(first.left_s, len(body), 0.0, now_s)
                first.outputs = bytes(body[_HEADER.size :])
                self._settle(first)
        return False

    def heard(self, now_s: float) -> None:
        """Bytes have arrived, whatever they are."""

    def link_lost(self, outage_s: float) -> None:
        """The link was closed and is open again."""
        self._line.reset()
        for request in self.waiting:
            request.deadline_s += outage_s
            request.due_s = 0.0
            if not self._may_repeat(request):
                text = "the connection was lost; the call may or may not have been executed"
                self.give_up(request, OutcomeUnknown(text))

    def bye(self) -> list[bytes]:
        """There is no session to close."""
        return []

    def _may_repeat(self, request: Request) -> bool:
        return request.idempotent or request.transmissions == 0

    def _settle(self, request: Request) -> None:
        request.done = True
        self._queue.remove(request)
