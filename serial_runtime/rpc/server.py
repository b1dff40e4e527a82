# SPDX-License-Identifier: MIT
"""The server: links in, calls to the PLC object, replies out.

One thread serves one link: the serial line has one, each TCP connection has its own. A thread
decodes, dispatches and writes; the PLC's methods hop to the worker by themselves and come back.
So a client that is slow or stuck holds up nobody, and calls of one link execute in the order of
their arrival. The sessions are shared by all links. A serial line lends itself to the worker
(`Worker.attend`), which saves its calls the hop; its thread only does what would wait.

Nothing a client sends ends a thread but the end of its link. What becomes of bad input:

- bytes that are no frame: skipped on a serial line; on TCP the connection is closed;
- a frame that is not trusted (see ``protocol.frame``): ignored, unless it is an envelope of a
  known session;
- a damaged envelope, a reply, a message of another codec version: ignored, it has no sender;
- a service 1 call that fails: `service.plain_refusal`, and the reason in the PLC's log;
- a call in an envelope that fails: a refusal with the reason.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable
from struct import Struct

from serial_runtime.errors import (
    LinkClosed,
    LinkError,
    LinkTimeout,
    ProtocolError,
    SerialRuntimeError,
    WorkerBusy,
    WorkerStopped,
)
from serial_runtime.protocol import envelope
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.frame import Frame, FrameDecoder, encode_frame
from serial_runtime.protocol.refusal import encode_refusal
from serial_runtime.protocol.session import Action, ServerSessions
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.board.server import BoardServiceService
from serial_runtime.rpc.board.server import UnknownMethod as UnknownBoardMethod
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService
from serial_runtime.rpc.ide.server import UnknownMethod as UnknownIdeMethod
from serial_runtime.rpc.served_line import ServedLine
from serial_runtime.rpc.service import (
    About,
    BoardHandler,
    IdeHandler,
    Limits,
    encode_status,
    plain_refusal,
)
from serial_runtime.transport.base import FdTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.transport.base import Listener, Transport
    from serial_runtime.worker import Worker

MAX_CONNECTIONS = 64
_RETRY_S = 1.0  # after an error of a listener

# Lines: a frame holds up whatever comes behind it, so its length is bounded there.
_LINE_FRAME = 4200
_LINE_REPLY_S = 0.3
_LEAST_REPLY = 300  # or nothing fits at 300 baud
_LONGEST = 65535
_IDLE_S = 0.1

_MESSAGE = Struct("<II")
_CODEC_VERSION = 1
_INVOCATION, _ONEWAY, _REPLY = 0, 1, 2
_CRITICAL, _WARNING = 0, 1  # log levels
_UNKNOWN = plain_refusal(0)  # there is no method 0
_MAY_RESTART = (Ide.NEWPLC_ID, Ide.REPAIRPLC_ID, Ide.STARTPLC_ID)
# A refusal of these is nothing to tell anybody, or the PLC object has logged it.
_SILENT = (
    Ide.GETPLCID_ID,
    Ide.GETLOGMESSAGE_ID,
    Ide.GETTRACEVARIABLES_ID,
    Ide.NEWPLC_ID,
    Ide.REPAIRPLC_ID,
    Ide.STARTPLC_ID,
    Ide.STOPPLC_ID,
)


def limits_of(line_rate_Bps: float | None, reliable: bool) -> Limits:
    """What a link of this rate (None: not paced) bears."""
    if reliable or line_rate_Bps is None:
        return Limits(_LONGEST, _LONGEST)
    return Limits(max(_LEAST_REPLY, min(_LONGEST, int(line_rate_Bps * _LINE_REPLY_S))), _LINE_FRAME)


class Server:
    """Serves a PLC object on any number of listeners, each with a thread of its own."""

    def __init__(
        self,
        plc: PLC,
        sessions: ServerSessions,
        about: About,
        on_restart: Callable[[], None] = lambda: None,
        worker: Worker | None = None,
    ) -> None:
        """`on_restart` is called after a reply when the PLC asks to execute the runtime anew.

        `worker`: the PLC's, to serve serial lines itself.
        """
        self.plc = plc
        self.sessions = sessions
        self.about = about
        self.on_restart = on_restart
        self.worker = worker
        self._listeners: list[Listener] = []
        self._links: set[Link] = set()
        self._lock = threading.Lock()  # protects _links
        self._ended: deque[Hashable] = deque()  # owners of what is to be freed
        self._closing = threading.Event()
        self._keep_line = False

    def listen(self, listener: Listener, *, parallel: bool) -> None:
        """Serve a listener from now on. `parallel`: many links at a time (TCP), else one."""
        self._listeners.append(listener)
        name = f"rpc-{listener.name}"
        threading.Thread(
            target=self._accept, args=(listener, parallel), name=name, daemon=True
        ).start()

    def serve(self, transport: Transport) -> None:
        """Serve one link on this thread until it closes."""
        link = Link(self, transport)
        with self._lock:
            if self._closing.is_set():
                transport.close()
                return
            self._links.add(link)
        try:
            link.run()
        finally:
            if transport.reliable or not self._keep_line:
                transport.close()
            with self._lock:
                self._links.discard(link)

    def release(self, owner: Hashable) -> None:
        """A connection or session has ended: free what it holds, now or with the next one."""
        self._ended.append(owner)
        while self._ended:
            ended = self._ended.pop()
            try:
                self.plc.owner_closed(ended)
            except WorkerStopped:
                return
            except WorkerBusy:
                self._ended.append(ended)
                return

    def close(self, *, keep_line: bool = False) -> None:
        """Close all listeners and links. `keep_line`: leave a serial line open for a successor."""
        self._keep_line = keep_line
        self._closing.set()
        with self._lock:
            links = list(self._links)
        for listener in self._listeners:
            listener.close()
        for link in links:
            if link.transport.reliable or not keep_line:
                link.transport.close()

    def _accept(self, listener: Listener, parallel: bool) -> None:
        while not self._closing.is_set():
            try:
                transport = listener.accept(None)
            except LinkClosed:
                return
            except LinkError as error:
                # Not for a client to mend: permissions, no more descriptors.
                self.plc.log(_CRITICAL, str(error))
                self._closing.wait(_RETRY_S)
                continue
            if not parallel:
                self.serve(transport)
            elif len(self._links) >= MAX_CONNECTIONS:
                transport.close()
            else:
                threading.Thread(
                    target=self.serve, args=(transport,), name=f"rpc-{transport.name}", daemon=True
                ).start()


class Link:
    """One link being served, by its own thread or, a serial line, by the worker."""

    def __init__(self, server: Server, transport: Transport) -> None:
        self.transport = transport
        self.fds: tuple[int, ...] = ()  # for `Worker.attend`
        self._lent: FdTransport | None = None  # while the worker serves
        self._rest = b""  # of a frame that the line did not take at once
        self._restarts = False  # one of our calls was answered by a restart of the runtime
        self._failure: SerialRuntimeError | None = None  # why the worker gave it back
        self._server = server
        self._sessions = server.sessions
        self._limits = limits_of(transport.line_rate_Bps, transport.reliable)
        # On a serial line nothing marks a new client, so what it owns stays with the line.
        self._owner: Hashable = id(self) if transport.reliable else ("line", transport.name)
        self._ide_handler = IdeHandler(server.plc, self._limits)
        self._ide = BeremizPLCObjectServiceService(self._ide_handler)
        self._codec = Codec()
        self._decoder = FrameDecoder(self._limits.max_frame, _IDLE_S, resync=not transport.reliable)
        self._line = ServedLine(transport, self._decoder.counters, server.sessions)
        board_handler = BoardHandler(server.plc, self._limits, server.about, self._line)
        self._board = BoardServiceService(board_handler)

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
                self._feed(transport.read(timeout_s))
                self._restart_if_due()
                self._line.switch_if_due()
        except SerialRuntimeError:
            pass  # gone, or not speaking eRPC on a link that does not lose bytes
        except Exception as error:
            self._internal(error)
        if transport.reliable:
            self._server.release(self._owner)
        self._restart_if_due()  # the peer did not wait for our reply

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
        due_s, rate_s = self._decoder.deadline_s, self._line.due_s
        return due_s if rate_s is None else rate_s if due_s is None else min(due_s, rate_s)

    def serve(self) -> bool:
        """Take what the lent line has; False when the link's thread has something to do."""
        assert self._lent is not None
        try:
            self._feed(self._lent.take())
        except SerialRuntimeError as error:
            self._failure = error
        except Exception as error:
            self._failure = self._internal(error)
        idle = not self._rest and not self._restarts and not self._line.wants_switch
        return self._failure is None and idle

    def _feed(self, data: bytes) -> None:
        """Serve the calls in these bytes, or know that there were none."""
        decoder, now_s = self._decoder, time.monotonic()
        self._line.received(len(data), now_s)
        for frame in decoder.feed(data, now_s) if data else decoder.tick(now_s):
            if envelope.is_envelope(frame.body):
                self._take_envelope(frame)
            elif frame.trusted and not self._line.is_away:
                reply = self._plain(frame.body)
                if reply:
                    self._write(reply)
            if self._restarts:
                return  # what follows is for the next process

    def _restart_if_due(self) -> None:
        """Our reply is written; nobody else may end the process before."""
        if self._restarts:
            self._server.on_restart()

    def _write(self, body: bytes) -> None:
        try:
            frame = encode_frame(body)
        except ProtocolError as error:
            self._internal(error)  # a reply beyond 65535 bytes, which the limits prevent
            return
        self._line.sent_bytes += len(frame)
        if self._lent is None:
            self._write_frame(frame)
        elif self._rest:
            self._rest += frame
        else:
            self._rest = frame[self._lent.offer(frame) :]

    def _write_frame(self, frame: bytes) -> None:
        try:
            self.transport.write(frame)
        except LinkTimeout:
            # Nobody takes the bytes at the other end. A line stays open for the next client.
            if self.transport.reliable:
                raise

    # Calls in envelopes.

    def _take_envelope(self, frame: Frame) -> None:
        try:
            request = envelope.decode(frame.body)
        except ProtocolError:
            return
        if not frame.trusted:
            if not self._sessions.knows(request):
                return
            self._decoder.confirm(frame)
        self._line.heard(request.session)
        self._act(self._sessions.receive(request, self._limits.max_frame))
        if self._sessions.has_closed:
            for session in self._sessions.take_closed():
                self._line.ended(session)
                self._server.release(session)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, bytes):
                self._write(action)
            else:
                status, payload = self._execute(action)
                # At most the reply and one call that waited: no deeper than the window.
                self._act(self._sessions.finish(action, status, payload))

    def _execute(self, call: envelope.Envelope) -> tuple[int, bytes]:
        """Run a call; return the status and the payload of its reply."""
        codec = self._codec
        codec.buffer = call.payload
        try:
            if call.method == Ide.GETPLCSTATUS_ID and call.service == Ide.SERVICE_ID:
                return envelope.DONE, encode_status(self._server.plc)
            if call.service == Ide.SERVICE_ID:
                self._call_ide(call.session, call.method, 0)
            elif call.service == IBoardService.SERVICE_ID:
                self._line.session = call.session
                self._board.dispatch(call.method, 0, codec)
            else:
                return envelope.UNSUPPORTED, b""
        except (UnknownIdeMethod, UnknownBoardMethod):
            return envelope.UNSUPPORTED, b""
        except SerialRuntimeError as error:
            return envelope.REFUSED, encode_refusal(error)
        except Exception as error:
            return envelope.REFUSED, encode_refusal(self._internal(error))
        status = envelope.DONE | envelope.RESTARTS if self._restarts else envelope.DONE
        return status, bytes(codec.buffer[_MESSAGE.size :])

    def _call_ide(self, owner: Hashable, method: int, sequence: int) -> None:
        self._ide_handler.owner = owner
        self._ide.dispatch(method, sequence, self._codec)
        self._restarts |= method in _MAY_RESTART and self._server.plc.restart is not None

    # Plain calls, of service 1 only.

    def _plain(self, body: bytes) -> bytes:
        """Run a plain call; return the reply, or nothing where none is due."""
        if len(body) < _MESSAGE.size:
            return b""
        word, sequence = _MESSAGE.unpack_from(body)
        kind, method, service = word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF
        if word >> 24 != _CODEC_VERSION or kind not in (_INVOCATION, _ONEWAY):
            return b""
        codec = self._codec
        codec.buffer = body[_MESSAGE.size :]
        try:
            if service != Ide.SERVICE_ID:
                raise UnknownIdeMethod(f"there is no service {service}")
            self._call_ide(self._owner, method, sequence)
            reply = bytes(codec.buffer)
        except UnknownIdeMethod as error:
            refusal = _UNKNOWN
            self._note(f"a client called what is not there: {error.args[0]}")
        except ProtocolError as error:
            refusal = plain_refusal(method, malformed=True)
            self._note(f"a client sent wrong arguments for method {method}: {error}")
        except SerialRuntimeError as error:
            refusal = plain_refusal(method)
            if method not in _SILENT:
                self._note(str(error))
        except Exception as error:
            refusal = plain_refusal(method)
            self._internal(error)
        else:
            return b"" if kind == _ONEWAY else reply
        head = _MESSAGE.pack(word & 0xFFFFFF00 | _REPLY, sequence)
        return b"" if kind == _ONEWAY else head + refusal

    def _note(self, text: str) -> None:
        self._server.plc.log(_WARNING, text)

    def _internal(self, error: Exception) -> SerialRuntimeError:
        """An error that should not be: a bug. Where it happened goes to the log."""
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"internal error: {type(error).__name__}: {error} ({place.name}:{place.lineno})"
        self._server.plc.log(_CRITICAL, text)
        return SerialRuntimeError(text)
