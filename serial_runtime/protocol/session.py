# SPDX-License-Identifier: MIT
"""Sessions: calls that execute at most once over a line that loses and repeats them.

Theory of operation
-------------------

*The problem.* A plain eRPC call is lost with its frame, and a client that repeats one cannot know
whether it executes twice. A late reply is taken for the reply of the next call; a client that
starts anew, or a board that does, cannot be told from the one before it.

*Identity.* A request is named by (boot id, session, number). The boot id is drawn at random by
each process of the board, the session by the client before each HELLO, the number counts the
client's requests. No name is used twice: a client never says HELLO with an old session, and never
gives a number out again. The CRC-32 of the envelope covers name, call and arguments.

*The table.* The board keeps, for each session, a floor and one entry for each request it has seen
at or above the floor. Each request says how far back the oldest one lies that the client still
awaits; the floor rises to that and never falls. So for request n

- n below the floor: late; ignored. Its client is satisfied or has given up.
- n has an entry: never executed again. A finished one is answered from the entry (the reply
  cache), one that is queued, held or running with IN_PROGRESS.
- n at floor + window or above, or to be held beyond the window's bytes: BUSY, no entry made.
- else: an entry is made, *then* the call is executed, once.

Hence every request executes at most once while its session is known; and an unknown session or
another boot id is refused without executing. The cache needs no guess of how long a reply may be
wanted: there are at most `window` entries a session. The bytes of all sessions are bounded as
well: beyond the bound the oldest replies are replaced by a refusal (OutcomeUnknown) that keeps
the entry, so at-most-once holds even then. Sessions beyond the bound are forgotten whole, the
one unused longest first, but never one with a running call.

*Whose it is.* A session belongs to the peer that said its HELLO: a way in, and the identity that
was proven there. For all others it does not exist, so a number that is guessed or overheard tells
no reply of somebody else's, and a held call never executes with the rights of another link. The
bound, too, is met by those that fill it: the session to be forgotten is one of the peer with most.

*Repeating.* The client repeats a request, under the same name, until it is answered or its
deadline has passed. That is safe whatever became of the earlier transmissions. It repeats

- after the time the line needs for both frames and the retransmission timeout (RFC 6298, see
  ``timing``), doubled with each repetition, and not while bytes arrive (the reply may be among
  them); a reply tells how long the board worked on the call, so that this time is not the line's;
- at once, when a request that was transmitted later has been answered: a line is a queue, so
  this one or its reply is lost;
- when the link was lost and opened again: session, blobs and trace samples are still there.

*A new boot or a forgotten session.* The refusal is itself a reply to the request, so the client
knows that this transmission was not executed. If it was the only one, the request goes again in
a new session. If there were others, one may have been executed before the board restarted: the
caller gets OutcomeUnknown, except for methods that may be repeated (`idempotent`). This counts on
one property of the line: it does not itself keep a second copy of a frame past a restart of the
board.

*Order.* Requests execute as they arrive. One with the flag ORDERED is held (its answer meanwhile
is IN_PROGRESS) while one below it that the client still awaits has not arrived, or is ordered too
and not finished; so the chunks of an upload may be in flight together, and one that is lost costs
only its own repetition. It does not wait for what is known to have no order: a status call, or a
program that is being tried.

*Trust.* After an error on the line, a frame that looks whole may be data inside another frame.
Such frames are only looked at if they carry a known session and boot id with a right CRC-32,
64 random bits that data cannot contain by chance (`ServerSessions.knows`).

*Slow calls.* One that works longer (trying a program) is answered IN_PROGRESS at once and executes
beside the others; its reply follows when it is there.

*The peer is gone.* A client that has nothing to ask needs to know nothing; one that has repeats,
and tells its user after some seconds of silence. The board keeps what belongs to a session
(replies, uploads) until it is closed or the bound on sessions is reached, so that a line may be
unplugged for as long as it likes; what costs it something meanwhile (a trace) ends by itself.

What is policy and may change without a word to the peer: all times, the sizes of window and cache
(published by the board), which methods are ordered or idempotent, what goes before what.

The client's half is in ``client_session``, the bytes are in ``envelope``.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable

from serial_runtime.errors import OutcomeUnknown, StateError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.protocol import envelope
from serial_runtime.protocol.envelope import Envelope, Hello
from serial_runtime.protocol.refusal import encode_refusal

WINDOW = 16
WINDOW_BYTES = 16384  # what a tty is sure to keep for a reader that is busy with another call
MAX_SESSIONS = 32
CACHE_BYTES = 1 << 20

_FORGOTTEN = encode_refusal(
    OutcomeUnknown("the call was executed, but its reply is no longer kept; ask for the result")
)
_FULL = encode_refusal(
    StateError(f"all {MAX_SESSIONS} sessions are in use; close a client or wait for its call")
)

_TAKEN = encode_refusal(StateError("this session is another client's"))


class _Running:
    """The entry of a call that is executing."""


class _Held(NamedTuple):
    """The entry of a call that waits for those below it."""

    request: Envelope


_RUNNING, _RUNNING_IN_ORDER = _Running(), _Running()
_Entry = bytes | _Running | _Held

# What to do: send this body, or execute this call and hand its result to `ServerSessions.finish`.
Action = bytes | Envelope


class _Session:
    __slots__ = ("bridged", "entries", "floor", "holds", "peer")

    def __init__(self, peer: Hashable, bridged: bool) -> None:
        self.peer = peer
        self.bridged = bridged
        self.floor = 0
        self.entries: dict[int, _Entry] = {}
        self.holds = False  # whether a call may be held

    @property
    def running(self) -> bool:
        return any(isinstance(entry, _Running) for entry in self.entries.values())

    @property
    def held_bytes(self) -> int:
        return sum(len(e.request.payload) for e in self.entries.values() if isinstance(e, _Held))


class ServerSessions:
    """The board's half: decides what each envelope leads to. For any thread.

    One object serves all links, so that a session survives the loss of its link.
    """

    def __init__(self, boot_id: int, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.boot_id = boot_id
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._sessions: OrderedDict[int, _Session] = OrderedDict()  # the one used last is last
        self._closed: list[int] = []
        self._lock = threading.Lock()  # protects all of the above

    def knows(self, request: Envelope, peer: Hashable = None) -> bool:
        """Whether this envelope can only come from a client of ours (see Trust above)."""
        session = self._sessions.get(request.session)
        return request.boot_id == self.boot_id and session is not None and session.peer == peer

    def is_bridged(self, session: int) -> bool:
        """Whether the caller is not at the line itself (`envelope.BRIDGED`)."""
        found = self._sessions.get(session)
        return found is not None and found.bridged

    @property
    def count(self) -> int:
        """Sessions known."""
        return len(self._sessions)

    def receive(
        self, request: Envelope, max_frame: int, window: int = WINDOW, peer: Hashable = None
    ) -> list[Action]:
        """Take a request; return what to do, in order.

        `max_frame` is the longest frame body the board takes on this link, `window` the requests
        it takes in flight there, `peer` who is at its other end (see Whose it is, above).
        """
        if request.word == envelope.REPLY:
            return []
        with self._lock:
            if request.service == envelope.SERVICE and request.method == envelope.HELLO:
                return [self._hello(request, max_frame, window, peer)]
            if request.service == envelope.SERVICE and request.method == envelope.BYE:
                if self.knows(request, peer):
                    self._forget(request.session)
                return []
            if request.boot_id != self.boot_id:
                return [self._status(request, envelope.OTHER_BOOT)]
            session = self._sessions.get(request.session)
            if session is None or session.peer != peer:
                return [self._status(request, envelope.UNKNOWN_SESSION)]
            self._sessions.move_to_end(request.session)
            return self._request(session, request)

    def in_progress(self, call: Envelope) -> bytes:
        """The answer that a call was taken up, for one that works longer."""
        return self._status(call, envelope.IN_PROGRESS)

    def finish(
        self, call: Envelope, status: int, payload: bytes, took_s: float = 0.0
    ) -> list[Action]:
        """Note the reply of a call; return what to do: send it, execute a call that waited.

        `took_s`: how long the call worked.
        """
        took_ms = min(int(took_s * 1000), envelope.MOST_TOOK_MS)
        reply = self._reply(call, status | took_ms << envelope.TOOK_SHIFT, payload)
        with self._lock:
            session = self._sessions.get(call.session)
            if session is None or not isinstance(session.entries.get(call.number), _Running):
                # The session was closed, or the client gave the call up, while it ran.
                return [reply]
            session.entries[call.number] = reply
            self._cached += len(reply)
            if self._cached > self._cache_bytes:
                self._trim()
            return [reply, *self._released(session)] if session.holds else [reply]

    @property
    def has_closed(self) -> bool:
        """Whether `take_closed` has something to tell."""
        return bool(self._closed)

    def take_closed(self) -> list[int]:
        """Sessions that ended since the last call: what belonged to them can be freed."""
        with self._lock:
            closed = list(self._closed)
            self._closed.clear()
        return closed

    def _request(self, session: _Session, request: Envelope) -> list[Action]:
        number = request.number
        floor = number - (request.status & envelope.BACK)
        if floor > session.floor:
            self._raise_floor(session, floor)
        elif number < session.floor:
            return []
        entry = session.entries.get(number)
        if isinstance(entry, bytes):
            return [entry, *self._released(session)]
        if entry is not None:
            # A floor that has risen may have released it.
            released = self._released(session)
            return released or [self._status(request, envelope.IN_PROGRESS)]
        if number >= session.floor + WINDOW:
            return [self._status(request, envelope.BUSY)]
        if request.status & envelope.ORDERED and not self._is_due(session, number):
            if session.held_bytes + len(request.payload) > WINDOW_BYTES:
                return [self._status(request, envelope.BUSY)]
            session.entries[number] = _Held(request)
            session.holds = True
            return [self._status(request, envelope.IN_PROGRESS)]
        in_order = request.status & envelope.ORDERED
        session.entries[number] = _RUNNING_IN_ORDER if in_order else _RUNNING
        # One that waited for it to arrive need not wait for its end.
        return [request, *self._released(session)] if session.holds else [request]

    def _raise_floor(self, session: _Session, floor: int) -> None:
        session.floor = floor
        for number in [number for number in session.entries if number < floor]:
            entry = session.entries.pop(number)
            if isinstance(entry, bytes):
                self._cached -= len(entry)

    def _is_due(self, session: _Session, number: int) -> bool:
        for lower in range(session.floor, number):
            entry = session.entries.get(lower)
            if not isinstance(entry, bytes) and entry is not _RUNNING:
                return False
        return True

    def _released(self, session: _Session) -> list[Action]:
        """The held calls that may execute now; at most one, as it holds those above it."""
        session.holds = False
        for number, entry in session.entries.items():
            if isinstance(entry, _Held):
                session.holds = True
                if self._is_due(session, number):
                    session.entries[number] = _RUNNING_IN_ORDER
                    return [entry.request]
        return []

    def _hello(self, request: Envelope, max_frame: int, window: int, peer: Hashable) -> bytes:
        known = self._sessions.get(request.session)
        if known is not None and known.peer != peer:
            return self._reply(request, envelope.REFUSED, _TAKEN)
        # Else repeated by a client whose answer was lost: the session keeps what it has.
        if known is None:
            if len(self._sessions) >= MAX_SESSIONS and not self._forget_one(peer):
                return self._reply(request, envelope.REFUSED, _FULL)
            flags = envelope.decode_hello_call(request.payload)
            self._sessions[request.session] = _Session(peer, bool(flags & envelope.BRIDGED))
        hello = Hello(envelope.VERSION, window, WINDOW_BYTES, max_frame)
        return self._reply(request, envelope.DONE, envelope.encode_hello_reply(hello))

    def _forget_one(self, peer: Hashable) -> bool:
        """Make room for a new session of this peer; False when all have a running call."""
        many = Counter([peer, *(session.peer for session in self._sessions.values())])
        idle = [number for number, session in self._sessions.items() if not session.running]
        if idle:
            self._forget(max(idle, key=lambda number: many[self._sessions[number].peer]))
        return bool(idle)

    def _forget(self, number: int) -> None:
        session = self._sessions.pop(number)
        self._cached -= sum(len(e) for e in session.entries.values() if isinstance(e, bytes))
        self._closed.append(number)

    def _trim(self) -> None:
        """Drop the replies of the sessions unused longest until the cache fits its bound."""
        for session in self._sessions.values():
            for number, entry in session.entries.items():
                if isinstance(entry, bytes) and len(entry) > envelope.OVERHEAD + len(_FORGOTTEN):
                    old = envelope.decode(entry)
                    note = self._reply(old, envelope.REFUSED, _FORGOTTEN)
                    session.entries[number] = note
                    self._cached += len(note) - len(entry)
                    if self._cached <= self._cache_bytes:
                        return

    def _status(self, request: Envelope, status: int) -> bytes:
        return self._reply(request, status, b"")

    def _reply(self, request: Envelope, status: int, payload: bytes) -> bytes:
        return envelope.encode(
            envelope.REPLY,
            request.number,
            request.session,
            self.boot_id,
            request.service,
            request.method,
            status,
            payload,
        )
