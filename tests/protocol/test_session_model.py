# SPDX-License-Identifier: MIT
"""A model of both halves over a line that loses, repeats, reorders and damages frames.

What must hold whatever happens: a call that may not be repeated executes at most once, a reply is
that of its own call, ordered calls execute in their order and ordered bulk ones in that of their
submission, the board keeps no more than its window, and on a line that is good again every call
ends. The client and the board start anew, the link closes and opens, the board forgets sessions,
at any time.
"""

from __future__ import annotations

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serial_runtime.errors import OutcomeUnknown
from serial_runtime.protocol import envelope
from serial_runtime.protocol.client_session import ClientSession, Request
from serial_runtime.protocol.envelope import Envelope
from serial_runtime.protocol.session import MAX_SESSIONS, WINDOW, ServerSessions
from serial_runtime.protocol.timing import Line

ANY_SERVICE, ANY_METHOD = 1, 9
MARGIN_S = 0.25
RATE_BPS = 1000.0
STEPS = ("up", "down", "send", "wait", "finish", "lose")


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ids = count(1)
        self.now_s = 100.0
        self.up: list[bytes] = []  # the line to the board
        self.down: list[bytes] = []
        self.delivered: set[bytes] = set()
        self.executed: list[bytes] = []
        self.executed_in: list[tuple[int, bytes]] = []
        self.running: list[Envelope] = []
        self.idempotent: set[bytes] = set()
        self.ordered: set[bytes] = set()
        self.in_sequence: set[bytes] = set()  # ordered and bulk
        self.requests: list[Request] = []
        self.server = ServerSessions(next(self.ids))
        self.client = self.new_client()
        self.submit(False, False, False)
        self.flows(["send", "up", "down", "send"])

    def new_client(self) -> ClientSession:
        return ClientSession(Line(RATE_BPS, MARGIN_S), lambda: next(self.ids))

    # The client.

    @rule(idempotent=st.booleans(), ordered=st.booleans(), bulk=st.booleans())
    def submit(self, idempotent: bool, ordered: bool, bulk: bool) -> None:
        argument = next(self.ids).to_bytes(4, "big")  # so that they rise
        if bulk and ordered:
            self.in_sequence.add(argument)
        if idempotent:
            self.idempotent.add(argument)
        if ordered:
            self.ordered.add(argument)
        self.requests.append(
            self.client.submit(
                ANY_SERVICE,
                ANY_METHOD,
                argument,
                idempotent=idempotent,
                ordered=ordered,
                bulk=bulk,
            )
        )

    @rule(passes_s=st.sampled_from([0.0, 0.1, 0.3, 5.0]))
    def send(self, passes_s: float) -> None:
        self.now_s += passes_s
        self.up += self.client.send(self.now_s)

    def client_restarts(self) -> None:
        self.client = self.new_client()
        self.requests.clear()

    @precondition(lambda self: self.client.waiting)
    @rule(which=st.integers(0, 100))
    def give_up(self, which: int) -> None:
        waiting = self.client.waiting
        self.client.give_up(waiting[which % len(waiting)], OutcomeUnknown("given up"))

    # The line.

    @rule(parts=st.lists(st.sampled_from(STEPS), max_size=12))
    def flows(self, parts: list[str]) -> None:
        """Some steps in a row, to get further than single rules would."""
        for part in parts:
            if part == "up" and self.up:
                self.arrives()
            elif part == "down" and self.down:
                self.answer_arrives()
            elif part in ("send", "wait"):
                self.send(0.0 if part == "send" else 5.0)
            elif part == "lose":
                del self.down[:1]
            elif part == "finish" and self.running:
                self.finishes(0)

    @precondition(lambda self: self.up)
    @rule()
    def arrives(self) -> None:
        self.deliver(self.up.pop(0))

    @precondition(lambda self: self.down)
    @rule()
    def answer_arrives(self) -> None:
        self.client.receive(self.down.pop(0), self.now_s)

    @precondition(lambda self: self.up or self.down)
    @rule(
        which=st.integers(0, 100),
        fault=st.sampled_from(["lose", "repeat", "delay", "damage"]),
        bit=st.integers(0, 10_000),
    )
    def fault(self, which: int, fault: str, bit: int) -> None:
        line = self.up if which % 2 and self.up or not self.down else self.down
        at = which % len(line)
        if fault == "lose":
            del line[at]
        elif fault == "repeat":
            line.insert(at, line[at])
        elif fault == "delay":
            line.append(line.pop(at))
        else:
            bit %= 8 * len(line[at])
            damaged = bytearray(line[at])
            damaged[bit // 8] ^= 1 << bit % 8
            line[at] = bytes(damaged)

    @rule(what=st.sampled_from(["link", "link", "board", "session", "client"]))
    def upset(self, what: str) -> None:
        """One rule for all of them, or they would hardly leave anything to be upset."""
        {
            "link": self.link_is_lost,
            "board": self.board_restarts,
            "session": self.board_forgets_the_session,
            "client": self.client_restarts,
        }[what]()

    def link_is_lost(self) -> None:
        self.up.clear()
        self.down.clear()
        self.client.link_lost(0.0)

    # The board.

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 100))
    def finishes(self, which: int) -> None:
        call = self.running.pop(which % len(self.running))
        self.act(self.server.finish(call, envelope.DONE, b"=" + call.payload))

    def board_restarts(self) -> None:
        self.line_keeps_no_second_copy()
        self.running.clear()
        self.server = ServerSessions(next(self.ids))

    def board_forgets_the_session(self) -> None:
        self.line_keeps_no_second_copy()
        for _ in range(MAX_SESSIONS):
            hello = envelope.encode(
                envelope.CALL, 0, next(self.ids), 0, envelope.SERVICE, envelope.HELLO, 0
            )
            self.server.receive(envelope.decode(hello), 4200)

    def line_keeps_no_second_copy(self) -> None:
        """The one property of the line that the theory counts on."""
        self.up = [body for body in self.up if body not in self.delivered]

    def deliver(self, body: bytes) -> None:
        try:
            request = envelope.decode(body)
        except envelope.ProtocolError:
            return
        self.delivered.add(body)
        self.act(self.server.receive(request, 4200))

    def act(self, actions: list[bytes | Envelope]) -> None:
        for action in actions:
            if isinstance(action, bytes):
                self.down.append(action)
            else:
                if action.payload in self.ordered:
                    self.check_order(action)
                self.executed.append(action.payload)
                self.executed_in.append((action.session, action.payload))
                self.running.append(action)

    def check_order(self, call: Envelope) -> None:
        if call.session != self.client._session:
            return  # of a client or session that is no more
        done = [
            argument
            for session, argument in self.executed_in
            if session == call.session and argument not in [one.payload for one in self.running]
        ]
        arrived = [argument for session, argument in self.executed_in if session == call.session]
        for request in self.client.waiting:
            if request.session == call.session and 0 < request.number < call.number:
                below = done if request.arguments in self.ordered else arrived
                assert request.arguments in below, "out of order"

    # What must hold.

    @invariant()
    def each_executes_at_most_once(self) -> None:
        once = [argument for argument in self.executed if argument not in self.idempotent]
        assert len(once) == len(set(once))

    @invariant()
    def bulk_executes_as_submitted(self) -> None:
        for current in {session for session, _ in self.executed_in}:
            sequence = [
                argument
                for session, argument in self.executed_in
                if session == current and argument in self.in_sequence
            ]
            assert sequence == sorted(sequence)

    @invariant()
    def replies_are_never_stale(self) -> None:
        for request in self.requests:
            if request.done and request.error is None:
                assert request.outputs == b"=" + request.arguments
                assert request.arguments in self.executed

    @invariant()
    def the_table_is_bounded(self) -> None:
        assert len(self.server._sessions) <= MAX_SESSIONS
        for session in self.server._sessions.values():
            assert len(session.entries) <= WINDOW

    def teardown(self) -> None:
        """The line is good again: every call ends."""
        for _ in range(200):
            if not self.client.waiting:
                break
            self.send(1.0)
            while self.up or self.running:
                if self.up:
                    self.arrives()
                if self.running:
                    self.finishes(0)
            while self.down:
                self.answer_arrives()
            self.each_executes_at_most_once()
        assert not self.client.waiting
        self.replies_are_never_stale()
        for request in self.requests:
            assert request.error is None or isinstance(request.error, OutcomeUnknown)
            assert not (
                request.idempotent and request.error and "given up" not in str(request.error)
            )


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
