# SPDX-License-Identifier: MIT
"""Bad input and the server: nothing of it is executed, the log says why, and others are served.

The table of bad inputs over every way in is in ``tests/uris``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from erpc_message import message

from serial_runtime.errors import LinkClosed, LinkError
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.server import MAX_CONNECTIONS, Server
from serial_runtime.transport.loop import LoopTransport
from serial_runtime.transport.tcp import TcpListener, open_tcp

STATUS = bytes.fromhex("278a0800dadf0004010101000000")
QUIET_S = 0.15


def answer(end: LoopTransport) -> bytes:
    """The body of the next reply."""
    decoder = FrameDecoder(65535, 0.1)
    while True:
        data = end.read(10)
        assert data, "no reply within 10 s"
        frames = decoder.feed(data, 0.0)
        if frames:
            return frames[0].body


def serves(end: LoopTransport) -> None:
    """The next good request is served."""
    end.write(STATUS)
    assert answer(end)[:8] == bytes.fromhex("0204010101000000")


@pytest.fixture
def end(bench: Any) -> LoopTransport:
    return bench.open()  # type: ignore[no-any-return]


@pytest.mark.parametrize("at", range(14))
def test_a_flipped_byte(end: LoopTransport, plc: Any, at: int) -> None:
    end.damage.flip(at, 0x10)
    end.write(encode_frame(message(Ide.STARTPLC_ID)))
    assert end.read(QUIET_S) == b""
    assert plc.calls == []
    serves(end)


@pytest.mark.parametrize("at", range(14))
def test_a_dropped_byte(end: LoopTransport, plc: Any, at: int) -> None:
    end.damage.drop(at)
    end.write(encode_frame(message(Ide.STARTPLC_ID)))
    assert end.read(QUIET_S) == b""
    assert plc.calls == []
    serves(end)


def test_wrong_codec_version(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(Ide.STARTPLC_ID, version=2)))
    serves(end)
    assert plc.calls == []


@pytest.mark.parametrize("kind", [2, 3, 200])
def test_what_is_no_call(end: LoopTransport, plc: Any, kind: int) -> None:
    end.write(encode_frame(message(Ide.STARTPLC_ID, kind=kind)))
    serves(end)
    assert plc.calls == []


def test_a_oneway_call_is_executed_without_a_reply(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(Ide.STARTPLC_ID, kind=1)))
    serves(end)
    assert plc.calls == ["start"]


def test_an_unknown_method_is_logged(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(255)))
    assert answer(end) == message(255, struct.pack("<I", 2), kind=2)
    assert "what is not there" in plc.logged[-1]


def test_wrong_arguments_are_logged(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(Ide.SEEDBLOB_ID, b"\1")))
    assert answer(end)[8:] == bytes(4) + struct.pack("<I", 22)
    assert "wrong arguments" in plc.logged[-1]
    assert plc.calls == []


def test_the_identity_is_withheld(end: LoopTransport) -> None:
    """By a value that keeps the connection of an IDE, and the secret it has."""
    end.write(encode_frame(message(Ide.GETPLCID_ID)))
    assert answer(end)[8:] == bytes(8) + b"\2\0\0\0"


def test_start_and_stop_twice(end: LoopTransport, plc: Any) -> None:
    plc.state = 1
    for method, outputs in [
        (Ide.STARTPLC_ID, bytes(4)),
        (Ide.STARTPLC_ID, b"\1\0\0\0"),
        (Ide.STOPPLC_ID, b"\1\0\0\0\0"),
        (Ide.STOPPLC_ID, b"\0\0\0\0\0"),
    ]:
        end.write(encode_frame(message(method)))
        assert answer(end)[8:] == outputs
    serves(end)


def test_an_error_that_should_not_be(end: LoopTransport, plc: Any, client: Client) -> None:
    def bug() -> None:
        raise ZeroDivisionError("oops")

    plc.start = bug
    end.write(encode_frame(message(Ide.STARTPLC_ID)))
    assert answer(end)[8:] == b"\1\0\0\0"
    assert "ZeroDivisionError: oops (bug:" in plc.logged[-1]
    with pytest.raises(Exception, match="internal error: ZeroDivisionError: oops"):
        client.start()
    serves(end)


# TCP: many connections.


def dial(listener: TcpListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), 10)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(STATUS)
    return connection.recv(100)


def test_more_connections_than_there_may_be(
    listener: TcpListener, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    held = [dial(listener) for _ in range(MAX_CONNECTIONS)]
    assert all(len(ask(connection)) == 38 for connection in held)
    with dial(listener) as late:
        assert late.recv(1) == b""
    for connection in held[1:]:
        connection.close()

    def served() -> bool:
        try:
            with dial(listener) as again:
                return len(ask(again)) == 38
        except OSError:
            return False

    wait_for(served)
    assert len(ask(held[0])) == 38
    held[0].close()


def test_a_client_that_takes_no_replies_holds_up_nobody(bench: Any, listener: TcpListener) -> None:
    with dial(listener) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        try:
            while True:
                stuck.send(STATUS * 1000)
        except BlockingIOError:
            pass
        with Client(lambda: open_tcp("127.0.0.1", listener.port), 10, 10) as client:
            client.status()


def test_no_more_threads_cost_one_connection(
    bench: Any, listener: TcpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def fail(thread: threading.Thread) -> None:
        tried.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with dial(listener) as turned_away:
            assert tried.wait(60)
            assert turned_away.recv(1) == b""
    with dial(listener) as client:
        assert len(ask(client)) == 38


def test_why_a_line_cannot_be_opened_is_told_once(plc: Any, monkeypatch: Any) -> None:
    """Not at each attempt: the log has room for a few hundred lines."""
    monkeypatch.setattr("serial_runtime.rpc.server._RETRY_S", 0.0)
    answers = [LinkError("no permission")] * 3 + [LinkError("no such rate")] * 2
    ended = threading.Event()

    class Listener:
        name = "a line"

        def accept(self, timeout_s: float | None) -> Any:
            if answers:
                raise answers.pop(0)
            ended.set()
            raise LinkClosed("closed")

    Server(plc, ServerSessions(1), About("b", "0", "fake", 0)).listen(Listener(), parallel=False)
    assert ended.wait(60)
    assert plc.logged == ["no permission", "no such rate"]
