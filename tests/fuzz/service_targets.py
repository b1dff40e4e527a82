# SPDX-License-Identifier: MIT
"""Calls as the server executes them.

The PLC object is the real one, on the fake board of ``tests/plc``. An error of no class of ours in
a call is a bug; the server answers it as an internal error, here it ends the target.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from fuzz.link_targets import STATUS
from fuzz.program_targets import SCRATCH
from fuzz.script import Script
from plc_scene import Scene

from serial_runtime.board_types import BoardState
from serial_runtime.errors import ProtocolError, SerialRuntimeError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.envelope import Envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc import calls as calls_module
from serial_runtime.rpc import server as server_module
from serial_runtime.rpc.calls import Calls
from serial_runtime.rpc.server import Link, Server
from serial_runtime.rpc.service import About

ABOUT = About("fuzz-1", "0.0", "fake", 1 << 18, "armv7l")
FIRST_TOKEN, BOOT, SESSION = 7, 0x1000, 5


@contextlib.contextmanager
def bugs_raise() -> Iterator[None]:
    """An internal error is not answered but raised."""

    def raise_it(plc: object, error: Exception) -> SerialRuntimeError:
        raise error

    kept = calls_module.log_internal
    calls_module.log_internal = server_module.log_internal = raise_it
    try:
        yield
    finally:
        calls_module.log_internal = server_module.log_internal = kept


@contextlib.contextmanager
def board() -> Iterator[Scene]:
    """A PLC object in a directory of its own."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder, bugs_raise():
        scene = Scene(folder)
        scene.plc._watch.trace._next_token = FIRST_TOKEN
        try:
            yield scene
        finally:
            scene.end()


class Line:
    """The server's end of a link whose other end is a script."""

    name, kind, identity = "script", "tcp", ""
    line_rate_Bps, turnaround_s, fd = None, None, -1

    def __init__(self, reliable: bool) -> None:
        self.reliable = reliable
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def interrupt(self) -> None:
        """Nobody waits."""

    def take(self) -> bytes:
        """What was written since."""
        written, self.written = self.written, b""
        return written


class ScriptedLink(Link):
    """Executes slow calls at once, so that everything repeats."""

    def _aside(self, job: Callable[[Calls], Any]) -> None:
        fresh = self._new_calls()
        self._post(job(fresh), fresh.restarts)


def link_to(plc: Any, reliable: bool) -> tuple[ScriptedLink, Line]:
    line = Line(reliable)
    server = Server(plc, ServerSessions(BOOT), ABOUT)
    return ScriptedLink(server, line), line  # type: ignore[arg-type]


def execute(calls: Calls, script: Script, meanwhile: Callable[[int], None]) -> None:
    """Calls of a script, plain ones of service 1 and those in envelopes, and what is between."""
    while script and not calls.restarts:
        service, method, arguments = script.number(), script.number(), script.piece()
        if service % 4 == 3:
            meanwhile(method)
        elif service % 4 == 0:
            head = bytes([service >> 4 & 1, method, 1, 1]) + bytes(4)
            reply = calls.execute_plain(head + arguments)
            assert reply[:8] == (b"" if head[0] else bytes([2]) + head[1:])
            assert len(reply) <= 65535
        else:
            call = Envelope(envelope.CALL, 1, SESSION, BOOT, service % 4, method, 0, arguments)
            status, payload = calls.execute(call)
            assert status & envelope.STATUS in (
                envelope.DONE,
                envelope.REFUSED,
                envelope.UNSUPPORTED,
            )
            assert len(payload) <= 65535 - envelope.OVERHEAD


def calls(data: bytes) -> None:
    """Arguments of every method, from the stub to the PLC object."""
    with board() as scene:

        def meanwhile(cycles: int) -> None:
            if scene.board.state == BoardState.RUNNING:
                scene.board.crash() if cycles == 255 else scene.board.run_cycles(cycles)
            scene.plc.housekeeping()

        link, _ = link_to(scene.plc, True)
        execute(link._calls, Script(data), meanwhile)


def server_line(data: bytes) -> None:
    """A served link as a whole: bytes in, frames out; after them a good call is served."""
    script = Script(data)
    reliable = bool(script.number() & 1)
    with board() as scene:
        link, line = link_to(scene.plc, reliable)
        link.decoder.idle_s = 0.0  # whenever nothing comes, it is silence
        hello = envelope.encode(envelope.CALL, 0, SESSION, 0, 2, 0, 0, envelope.encode_hello_call())
        link._feed(encode_frame(hello))
        try:
            for number, part in enumerate(parts(script), 1):
                link._feed(part(number))
                if link._calls.restarts:
                    return
            link._feed(b"")
            replies = FrameDecoder(65535, 0.1, resync=False)
            replies.feed(line.take(), 0.0)
            link._feed(STATUS)
        except ProtocolError:
            assert reliable
            return
        bodies = [one.body[:8] for one in replies.feed(line.take(), 0.0)]
        assert reliable or bodies == [b"\2" + STATUS[7:14]]


def parts(script: Script) -> Iterator[Callable[[int], bytes]]:
    """What a script puts on the line, given the number of the next request."""
    while script:
        op = script.number()
        service, method, flags = op >> 4, script.number(), 0
        if op & 8:
            flags = script.number(2)
        body = script.piece()
        if op % 8 == 0:
            yield lambda number, body=body: body
        elif op % 8 == 1:
            yield lambda number, body=body: encode_frame(body)
        elif op % 8 == 2:
            yield lambda number: b""
        elif op % 8 == 3:
            head = bytes([0, method, service or 1, 1]) + b"\x07\0\0\0"
            yield lambda number, head=head, body=body: encode_frame(head + body)
        else:
            yield lambda number, inner=(service % 4, method, flags, body), op=op: damaged(
                encode_frame(envelope.encode(envelope.CALL, number, SESSION, BOOT, *inner)),
                op % 8 == 5,
            )


def damaged(frame: bytes, really: bool) -> bytes:
    """A frame, or one with a bit flipped near its middle."""
    at = len(frame) // 2 if really else 0
    return frame[:at] + bytes([frame[at] ^ 4]) + frame[at + 1 :] if really else frame
