# SPDX-License-Identifier: MIT
"""One link being served: bytes in, calls to the PLC object, replies out.

Its thread decodes, dispatches and writes; the PLC's methods hop to the worker by themselves and
come back, so calls of one link execute in the order of their arrival. A serial line lends itself to
the worker (`Worker.attend`), which saves its calls the hop; its thread only does what would wait.

Nothing a client sends ends a thread but the end of its link. What becomes of bad input:

- bytes that are no frame: skipped on a serial line; on TCP the connection is closed;
- a frame that is not trusted (see ``protocol.frame``): ignored, unless it is an envelope of a
  known session;
- a damaged envelope, a reply, a message of another codec version: ignored, it has no sender;
- a call that fails: see ``calls``.

A call that waits for the disk or a trial load (`calls.is_slow`) has a thread of its own: the client
is told that it is in progress, the link goes on, and takes the reply when it is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial

from serial_runtime.errors import LinkTimeout, ProtocolError, SerialRuntimeError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import Frame, FrameDecoder, encode_frame
from serial_runtime.protocol.timing import IDLE_S
from serial_runtime.rpc.access import Caller, Peer
from serial_runtime.rpc.calls import Calls, is_slow, log_internal
from serial_runtime.rpc.limits import limits_of
from serial_runtime.rpc.served_line import ServedLine
from serial_runtime.transport.base import FdTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from serial_runtime.protocol.session import Action
    from serial_runtime.rpc.server import Server
    from serial_runtime.transport.interface import Transport
    from serial_runtime.worker import Worker


class LinkServer:
    """One link being served, by its own thread or, a serial line, by the worker."""

    def __init__(self, server: Server, transport: Transport) -> None:
        self.transport = transport
        self.fds: tuple[int, ...] = ()  # for `Worker.attend`
        self._lent: FdTransport | None = None  # while the worker serves
        self._rest = b""  # of a frame that the line did not take at once
        self._failure: SerialRuntimeError | None = None  # why the worker gave it back
        self._server = server
        self._sessions = server.sessions
        self.limits = limits_of(transport.line_rate_Bps, transport.reliable)
        # On a serial line nothing marks a new client, so what it owns stays with the line. No
        # number: those are sessions.
        self._owner: Hashable = object() if transport.reliable else ("line", transport.name)
        self.decoder = FrameDecoder(self.limits.max_frame, IDLE_S, resync=not transport.reliable)
        self._line = ServedLine(
            transport, self.decoder.counters, server.sessions, self._rate_switched
        )
        self._peer = Peer.of(transport)
        self._calls = self._new_calls()
        self.is_stock = True  # it has sent no envelope
        # Whether the next bytes begin a call, and none is being answered: of use once it is
        # settled that this thread does nothing more, see `Server.hand_over`.
        self.between_calls = True
        self.settled = threading.Event()
        # What slow calls leave to do here; None once this link has ended.
        self._posted: deque[tuple[list[Action], bool]] | None = deque()
        self._posting = threading.Lock()  # protects the above

    def run(self) -> None:
        """Serve until the link closes; on the link's thread."""
        transport = self.transport
        try:
            worker = self._server.worker
            if worker and isinstance(transport, FdTransport) and not transport.reliable:
                self._run_on_worker(transport, worker)
            while True:
                due_s = self.due_s
                timeout_s = None if due_s is None else max(0.0, due_s - time.monotonic())
                self.between_calls = self.decoder.is_empty
                data = transport.read(timeout_s)
                self.between_calls = False
                self._feed(data)
                self._restart_if_due()
                self._line.switch_if_due()
        except ProtocolError as error:
            self._server.refusals.tell(
                f"{transport.name} does not speak eRPC ({error}); a TLS client has another port"
            )
        except SerialRuntimeError:
            pass  # gone
        except Exception as error:
            log_internal(self._server.plc, error)
        self.settled.set()
        self._end()
        if transport.reliable:
            self._server.release(self._owner)
        self._restart_if_due()  # the peer did not wait for our reply

    def _rate_switched(self) -> None:
        self.limits.become(limits_of(self.transport.line_rate_Bps, self.transport.reliable))

    def _run_on_worker(self, line: FdTransport, worker: Worker) -> None:
        """The worker serves the line itself, as far as that needs no waiting.

        This thread waits meanwhile, and writes what the line does not take at once.
        """
        while True:
            with line.lent() as self.fds:
                self._lent = line
                try:
                    worker.attend(self)
                finally:
                    self._lent = None
            rest, self._rest = self._rest, b""
            if rest:
                self._write_frame(rest)
            self._restart_if_due()
            self._line.switch_if_due()
            if self._failure is not None:
                raise self._failure

    @property
    def due_s(self) -> float | None:
        """When to `serve` though nothing arrives."""
        due_s = self.decoder.deadline_s
        if self._line.is_away:
            return self._line.due_s if due_s is None else min(due_s, self._line.due_s)
        return due_s

    def serve(self) -> bool:
        """Take what the lent line has; False when the link's thread has something to do."""
        assert self._lent is not None
        try:
            self._feed(self._lent.take())
        except SerialRuntimeError as error:
            self._failure = error
        except Exception as error:
            self._failure = log_internal(self._server.plc, error)
        leaves = self._rest or self._calls.restarts or self._line.wants_switch
        return self._failure is None and not leaves

    def _feed(self, data: bytes) -> None:
        """Serve the calls in these bytes, or know that there were none."""
        while self._posted:
            actions, restarts = self._posted.popleft()
            self._calls.restarts |= restarts
            if self.transport.turnaround_s is not None and not restarts:
                # Where the ends take turns, a client that knows it is in progress asks again.
                actions = [one for one in actions if not self._has_been_answered(one)]
            self._act(actions)
            if restarts:
                return
        decoder, now_s = self.decoder, time.monotonic()
        self._line.received_bytes += len(data)
        frames = decoder.feed(data, now_s) if data else decoder.tick(now_s)
        for frame in frames:
            if envelope.is_envelope(frame.body):
                self._take_envelope(frame)
            elif frame.trusted and not self._line.is_away:
                self._take_plain(frame.body)
            if self._calls.restarts:
                # What follows is for the next process.
                self.between_calls = frame is frames[-1] and decoder.is_empty
                return
        if self._line.is_away:
            self._line.tick(now_s)

    @staticmethod
    def _has_been_answered(action: Action) -> bool:
        return isinstance(action, bytes) and envelope.is_envelope(action)

    def _restart_if_due(self) -> None:
        """Our reply is written; nobody else may end the process before."""
        if self._calls.restarts:
            self.settled.set()
            self._server.on_restart()

    def _write(self, body: bytes) -> None:
        try:
            frame = encode_frame(body)
        except ProtocolError as error:
            # A reply beyond 65535 bytes, which the limits prevent.
            log_internal(self._server.plc, error)
            return
        self.limits.loss.carried(len(frame))
        self._line.sent_bytes += len(frame)
        if self._lent is None:
            self._write_frame(frame)
        elif self._rest or self.transport.turnaround_s is not None:
            self._rest += frame
        else:
            self._rest = frame[self._lent.offer(frame) :]

    def _write_frame(self, frame: bytes) -> None:
        if self.transport.turnaround_s:
            time.sleep(self.transport.turnaround_s)
        try:
            self.transport.write(frame)
        except LinkTimeout:
            # Nobody takes the bytes at the other end. A line stays open for the next client.
            if self.transport.reliable:
                raise

    def _take_envelope(self, frame: Frame) -> None:
        self.is_stock = False
        try:
            request = envelope.decode(frame.body)
        except ProtocolError:
            return
        whose = self._peer.kind, self._peer.identity
        if not frame.trusted:
            if not self._sessions.knows(request, whose):
                return
            self.decoder.confirm(frame)
        if self._line.is_away:
            self._line.heard(request.session)
        actions = self._sessions.receive(request, self.limits.max_frame, self._line.window, whose)
        if actions and isinstance(actions[0], bytes) and envelope.holds_result(actions[0]):
            self.limits.loss.lost()  # asked for again: the reply did not arrive
        self._act(actions)
        if self._sessions.has_closed:
            for session in self._sessions.take_closed():
                self._line.ended(session)
                self._server.release(session)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, bytes):
                self._write(action)
            elif is_slow(action.service, action.method):
                self._write(self._sessions.in_progress(action))
                self._aside(partial(self._execute, call=action))
            else:
                # At most the reply and one call that waited: no deeper than the window.
                self._act(self._execute(self._calls, action))

    def _execute(self, calls: Calls, call: envelope.Envelope) -> list[Action]:
        began_s = time.monotonic()
        status, payload = calls.execute(call)
        return self._sessions.finish(call, status, payload, time.monotonic() - began_s)

    def _take_plain(self, body: bytes) -> None:
        if self._lent is not None and len(body) > 2 and is_slow(body[2], body[1]):
            self._aside(lambda calls: list(filter(None, [calls.execute_plain(body)])))
        elif reply := self._calls.execute_plain(body):
            self._write(reply)

    # Calls that take long, each on a thread of its own.

    def _new_calls(self) -> Calls:
        server = self._server
        caller = Caller(server.access, self._peer, server.sessions.is_bridged)
        return Calls(server.plc, self.limits, server.about, self._owner, self._line, caller)

    def _aside(self, job: Callable[[Calls], list[Action]]) -> None:
        def run() -> None:
            calls = self._new_calls()
            actions = job(calls)
            if not self._post(actions, calls.restarts):
                self._act_unheard(calls, actions)
                if calls.restarts:
                    self._server.on_restart()

        threading.Thread(target=run, name="rpc-slow", daemon=True).start()

    def _act_unheard(self, calls: Calls, actions: list[Action]) -> None:
        """Nobody is there for the replies, which the session has; the calls that waited go on."""
        while actions:
            waited = [action for action in actions if not isinstance(action, bytes)]
            actions = [one for call in waited for one in self._execute(calls, call)]

    def _post(self, actions: list[Action], restarts: bool) -> bool:
        """Leave these to the thread that serves; False if there is none any more."""
        with self._posting:
            if self._posted is None:
                return False
            self._posted.append((actions, restarts))
        self.transport.interrupt()
        return True

    def _end(self) -> None:
        with self._posting:
            posted, self._posted = self._posted, None
        for actions, restarts in posted or ():
            self._calls.restarts |= restarts
            self._act_unheard(self._calls, actions)
