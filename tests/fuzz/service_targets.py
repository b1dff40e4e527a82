# SPDX-License-Identifier: MIT
"""Calls as the server executes them.

The PLC object is the real one, on the fake board of ``tests/plc``. An error of no class of ours in
a call is a bug; the server answers it as an internal error, here it ends the target.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from serial_runtime.rpc.about import About
from serial_runtime.rpc.calls import Calls
from serial_runtime.rpc.link_server import LinkServer
from serial_runtime.rpc.server import Server

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
        trace = scene.plc._watch.trace
        trace._next_token = FIRST_TOKEN
        trace._ensure_thread = lambda: None  # see `run_cycles`
        try:
            yield scene
        finally:
            scene.end()
            os.close(scene.worker._queue.fd)  # else it lives as long as the process


def run_cycles(scene: Scene, count: int) -> None:
    """So many cycles of the program if it runs, and what the runtime does then; 255: a crash."""
    if scene.board.state == BoardState.RUNNING:
        scene.board.crash() if count == 255 else scene.board.run_cycles(count)
    while scene.board._ring and scene.plc._watch.trace._step():
        pass
    scene.plc.housekeeping()


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


class ScriptedLink(LinkServer):
    """Executes slow calls at once, so that everything repeats."""

    def _aside(self, job: Callable[[Calls], Any]) -> None:
        fresh = self._new_calls()
        self._post(job(fresh), fresh.restarts)


def link_to(plc: Any, reliable: bool) -> tuple[ScriptedLink, Line]:
    line = Line(reliable)
    server = Server(plc, ServerSessions(BOOT), ABOUT)
    return ScriptedLink(server, line), line  # type: ignore[arg-type]


def execute(clients: Sequence[Calls], script: Script, meanwhile: Callable[[int], object]) -> None:
    """Calls of a script, plain ones of service 1 and those in envelopes, and what is between."""
    while script and not any(client.restarts for client in clients):
        op, method, arguments = script.number(), script.number(), script.piece()
        service, client = op % 4, clients[op // 4 % len(clients)]
        if service == 3:
            meanwhile(method)
        elif service == 0:
            head = bytes([op >> 7, method, 1, 1]) + bytes(4)
            reply = client.execute_plain(head + arguments)
            assert reply[:8] == (b"" if head[0] else bytes([2]) + head[1:])
            assert len(reply) <= 65535
        else:
            call = Envelope(envelope.CALL, 1, SESSION, BOOT, service, method, 0, arguments)
            status, payload = client.execute(call)
            assert status & envelope.STATUS in (
                envelope.DONE,
                envelope.REFUSED,
                envelope.UNSUPPORTED,
            )
            assert len(payload) <= 65535 - envelope.OVERHEAD


def calls(data: bytes) -> None:
    """Arguments of every method, from the stub to the PLC object."""
    with board() as scene:
        link, _ = link_to(scene.plc, True)
        execute([link._calls], Script(data), partial(run_cycles, scene))


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
            for part in parts(script):
                link._feed(part)
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


def parts(script: Script) -> Iterator[bytes]:
    """What a script puts on the line."""
    for number in itertools.count(1):
        if not script:
            return
        op, method = script.number(), script.number()
        service, kind = op >> 4 & 3, op % 8
        flags = script.number(2) if op & 8 else 0
        body = script.piece()
        if kind == 0:
            yield body
        elif kind == 1:
            yield encode_frame(body)
        elif kind == 2:
            yield b""  # silence
        elif kind == 3:
            yield encode_frame(bytes([op >> 7, method, service, 1]) + bytes(4) + body)
        else:
            call = envelope.CALL, number, SESSION, BOOT, service, method, flags, body
            frame = bytearray(encode_frame(envelope.encode(*call)))
            if kind == 5:
                frame[len(frame) // 2] ^= 4
            yield bytes(frame)
