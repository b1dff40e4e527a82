# SPDX-License-Identifier: MIT
"""What other runtimes exit, crash or go deaf on: here the next good call is served."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serial_runtime.errors import LinkClosed, LinkError
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.server import MAX_CONNECTIONS, Server
from serial_runtime.rpc.service import About
from serial_runtime.transport.loop import LoopTransport
from serial_runtime.transport.tcp import TcpListener, open_tcp

STATUS = bytes.fromhex("278a0800dadf0004010101000000")
QUIET_S = 0.3


def message(
    method: int,
    arguments: bytes = b"",
    *,
    service: int = 1,
    kind: int = 0,
    version: int = 1,
    sequence: int = 5,
) -> bytes:
    word = version << 24 | service << 16 | method << 8 | kind
    return struct.pack("<II", word, sequence) + arguments


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


# A line: errors are skipped.


def test_random_bytes(end: LoopTransport) -> None:
    end.write(random.Random(1).randbytes(3000))
    assert end.read(QUIET_S) == b""  # the line is quiet; now frames are trusted again
    serves(end)


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


def test_empty_body(end: LoopTransport) -> None:
    end.write(encode_frame(b""))
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


@pytest.mark.parametrize(("service", "method"), [(1, 0), (1, 15), (1, 255), (3, 4), (0, 1)])
def test_unknown_method_or_service(end: LoopTransport, plc: Any, service: int, method: int) -> None:
    end.write(encode_frame(message(method, service=service)))
    assert answer(end) == message(method, struct.pack("<I", 2), service=service, kind=2)
    assert "what is not there" in plc.logged[-1]
    serves(end)


# Outputs a client decodes, then the return value.
SHAPES = {
    Ide.APPENDCHUNKTOBLOB_ID: bytes(4),
    Ide.GETLOGMESSAGE_ID: bytes(16),
    Ide.GETTRACEVARIABLES_ID: bytes.fromhex("0300000000000000"),
    Ide.MATCHMD5_ID: b"\0",
    Ide.NEWPLC_ID: b"\0",
    Ide.SEEDBLOB_ID: bytes(4),
    Ide.SETTRACEVARIABLESLIST_ID: bytes.fromhex("fcffffff"),
}


@pytest.mark.parametrize("method", SHAPES)
@pytest.mark.parametrize(
    "arguments", [b"", b"\1", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fabc"], ids=repr
)
def test_missing_arguments_and_huge_lengths(
    end: LoopTransport, plc: Any, method: int, arguments: bytes
) -> None:
    if method in (Ide.GETTRACEVARIABLES_ID, Ide.GETLOGMESSAGE_ID):
        arguments = arguments[:3]  # more would be enough
    end.write(encode_frame(message(method, arguments)))
    reply = answer(end)
    assert reply == message(method, SHAPES[method] + struct.pack("<I", 22), kind=2)
    assert "wrong arguments" in plc.logged[-1]
    assert plc.calls == []
    serves(end)


def test_text_that_is_no_utf8(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(Ide.MATCHMD5_ID, b"\2\0\0\0\xff\xfe")))
    assert answer(end)[8:] == b"\0" + struct.pack("<I", 22)
    serves(end)


@pytest.mark.parametrize(
    ("method", "arguments", "outputs"),
    [
        (Ide.STARTPLC_ID, b"", bytes.fromhex("01000000")),
        (Ide.STOPPLC_ID, b"", bytes.fromhex("0000000000")),
        (Ide.APPENDCHUNKTOBLOB_ID, bytes(8), bytes(8)),
        (Ide.GETTRACEVARIABLES_ID, b"\7\0\0\0", bytes.fromhex("030000000000000000000000")),
        (Ide.GETLOGMESSAGE_ID, b"\1\xff\0\0\0", bytes(16) + b"\2\0\0\0"),
        (Ide.NEWPLC_ID, bytes(12), bytes.fromhex("0000000000")),
        (Ide.GETPLCID_ID, b"", bytes(8) + b"\2\0\0\0"),
        (Ide.SETTRACEVARIABLESLIST_ID, bytes(4), bytes.fromhex("fbffffff00000000")),
    ],
)
def test_refusals_are_those_of_the_interop_document(
    end: LoopTransport, method: int, arguments: bytes, outputs: bytes
) -> None:
    end.write(encode_frame(message(method, arguments)))
    assert answer(end) == message(method, outputs, kind=2)
    serves(end)


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


def test_a_bad_trace_index(end: LoopTransport, plc: Any) -> None:
    orders = struct.pack("<III", 1, 4000, 0)
    end.write(encode_frame(message(Ide.SETTRACEVARIABLESLIST_ID, orders)))
    assert answer(end)[8:] == struct.pack("<iI", -4, 0)


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


def test_envelopes_that_are_damaged_or_of_nobody(end: LoopTransport, plc: Any) -> None:
    end.write(encode_frame(message(4, bytes(16), service=2)))
    end.write(encode_frame(message(0, b"", service=2)))
    serves(end)


def test_a_client_that_vanishes(bench: Any, end: LoopTransport) -> None:
    end.write(STATUS[:9])
    end.close()
    serves(bench.open())


# TCP: no noise there, so an error ends that connection only.


@pytest.fixture
def listener(bench: Any) -> Iterator[TcpListener]:
    listener = TcpListener("127.0.0.1", 0)
    bench.server.listen(listener, parallel=True)
    yield listener
    bench.server.close()


def dial(listener: TcpListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), 10)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(STATUS)
    return connection.recv(100)


def test_a_wrong_frame_closes_that_connection_only(listener: TcpListener) -> None:
    with dial(listener) as bad, dial(listener) as good:
        bad.sendall(bytes([STATUS[0] ^ 1]) + STATUS[1:])
        assert bad.recv(100) == b""
        assert len(ask(good)) == 38


def test_a_bad_body_crc(listener: TcpListener) -> None:
    with dial(listener) as bad, dial(listener) as good:
        bad.sendall(STATUS[:-1] + b"\1")
        assert bad.recv(100) == b""
        assert len(ask(good)) == 38


def test_64_kib_message(listener: TcpListener, plc: Any) -> None:
    with dial(listener) as connection:
        plc.seed_blob("x", b"")
        data = bytes(65535 - 16)
        arguments = struct.pack("<I", len(data)) + data + bytes(4)
        connection.sendall(encode_frame(message(Ide.APPENDCHUNKTOBLOB_ID, arguments)))
        assert connection.recv(100)[6 + 8 :] == bytes(8)  # refused: an unknown blob
        assert len(ask(connection)) == 38


def test_50_clients_at_once(listener: TcpListener) -> None:
    found: list[int] = []

    def one() -> None:
        with dial(listener) as connection:
            started.wait(10)
            found.extend(len(ask(connection)) for _ in range(20))

    started = threading.Barrier(50)
    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [38] * 1000


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
    assert ended.wait(10)
    assert plc.logged == ["no permission", "no such rate"]
