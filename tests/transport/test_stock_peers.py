# SPDX-License-Identifier: MIT
"""Our frames and codec against the PyPI erpc classes, on a pty and on TCP, in both roles.

Two small methods stand for a service; the real ones are tested where they are implemented.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.codec import MessageInfo, MessageType
from erpc.server import Service
from erpc.simple_server import SimpleServer
from erpc.transport import SerialTransport, TCPTransport
from tls_peers import free_port

from serial_runtime.errors import LinkClosed, LinkError
from serial_runtime.line import VirtualCable
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.transport import Transport, connect
from serial_runtime.transport.serial import open_serial
from serial_runtime.transport.tcp import TcpListener

SERVICE, ECHO, ADD, STOP = 1, 3, 4, 14
LONG_S = 60.0
BINARIES = [b"", b"x", bytes(range(256)), bytes(4095), bytes([0x5A]) * 20_000]

REPLY = MessageType.kReplyMessage.value


def read_arguments(method: int, codec: Any) -> list[Any]:
    if method == ECHO:
        return [codec.read_binary(), codec.read_string()]
    return [[codec.read_uint32() for _ in range(codec.start_read_list())]]


def write_arguments(method: int, codec: Any, values: list[Any]) -> None:
    if method == ECHO:
        codec.write_binary(values[0])
        codec.write_string(values[1])
    elif method == ADD:
        codec.start_write_list(len(values[0]))
        for one in values[0]:
            codec.write_uint32(one)


def answer(method: int, sequence: int, codec: Any) -> None:
    """The server's side of a call, by whichever codec."""
    values = read_arguments(method, codec) if method != STOP else []
    codec.reset()
    codec.start_write_message(MessageInfo(MessageType.kReplyMessage, SERVICE, method, sequence))
    write_arguments(method, codec, values)
    if method == ADD:
        codec.write_int64(sum(values[0]))
    codec.write_uint32(0)


# Our server, their client


def serve(transport: Transport) -> None:
    decoder = FrameDecoder(65535, 0.1, resync=not transport.reliable)
    codec = Codec()
    while True:
        due_s = decoder.deadline_s
        try:
            data = transport.read(None if due_s is None else max(0.0, due_s - time.monotonic()))
        except LinkClosed:
            return
        now_s = time.monotonic()
        for frame in decoder.feed(data, now_s) if data else decoder.tick(now_s):
            assert frame.trusted
            codec.buffer = frame.body
            info = codec.start_read_message()
            answer(info.request, info.sequence, codec)
            transport.write(encode_frame(codec.buffer))


def stock_call(manager: ClientManager, method: int, values: list[Any]) -> list[Any]:
    request = manager.create_request()
    codec = request.codec
    codec.start_write_message(
        MessageInfo(MessageType.kInvocationMessage, SERVICE, method, request.sequence)
    )
    write_arguments(method, codec, values)
    manager.perform_request(request)
    result = read_arguments(method, codec)
    if method == ADD:
        result.append(codec.read_int64())
    assert codec.read_uint32() == 0
    return result


@pytest.fixture(params=["pty", "tcp"])
def stock_client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClientManager]:
    if request.param == "pty":
        with VirtualCable(None, tmp_path) as cable:
            transport: Transport = open_serial(cable.board_end, 115200)
            theirs = SerialTransport(cable.host_end, 115200, timeout=LONG_S)
            yield from served(transport, theirs)
    else:
        listener = TcpListener("127.0.0.1", 0)
        theirs = TCPTransport("127.0.0.1", listener.port, False)
        transport = listener.accept(LONG_S)
        listener.close()
        yield from served(transport, theirs)


def served(transport: Transport, theirs: Any) -> Iterator[ClientManager]:
    thread = threading.Thread(target=serve, args=(transport,))
    thread.start()
    yield ClientManager(theirs, BasicCodec)
    theirs.close()
    transport.close()
    thread.join(LONG_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("binary", BINARIES, ids=len)
def test_a_stock_client(stock_client: ClientManager, binary: bytes) -> None:
    for _ in range(3):
        assert stock_call(stock_client, ECHO, [binary, "Größe"]) == [binary, "Größe"]
    assert stock_call(stock_client, ADD, [[1, 2, 0xFFFFFFFF]]) == [[1, 2, 0xFFFFFFFF], 0x100000002]


# Our client, their server


class StockService(Service):  # type: ignore[misc]  # erpc has no types
    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__(SERVICE)
        self._stop = stop
        self._methods = {
            method: lambda sequence, codec, method=method: self.handle(method, sequence, codec)
            for method in (ECHO, ADD, STOP)
        }

    def handle(self, method: int, sequence: int, codec: Any) -> None:
        answer(method, sequence, codec)
        if method == STOP:
            self._stop()


class Client:
    """The least that calls by our frames and codec."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.decoder = FrameDecoder(65535, 0.1, resync=not transport.reliable)
        self.sequence = 0

    def call(self, method: int, values: list[Any]) -> list[Any]:
        self.sequence += 1
        codec = Codec()
        codec.start_write_message(
            MessageInfo(MessageType.kInvocationMessage, SERVICE, method, self.sequence)
        )
        write_arguments(method, codec, values)
        self.transport.write(encode_frame(codec.buffer))
        frames = []
        while not frames:
            data = self.transport.read(LONG_S)
            assert data, "no answer"
            frames = self.decoder.feed(data, time.monotonic())
        (frame,) = frames
        assert frame.trusted
        codec.buffer = frame.body
        kind, *rest = codec.start_read_message()
        assert (kind.value, *rest) == (REPLY, SERVICE, method, self.sequence)
        result = read_arguments(method, codec) if method != STOP else []
        if method == ADD:
            result.append(codec.read_int64())
        assert codec.read_uint32() == 0
        codec.expect_end()
        return result


def connected(uri: str) -> Transport:
    """Connect as soon as the stock server listens; it does not say when."""
    limit_s = time.monotonic() + LONG_S
    while True:
        try:
            return connect(uri)
        except LinkError:
            assert time.monotonic() < limit_s
            time.sleep(0.01)


@pytest.fixture(params=["pty", "tcp"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """Ours, with a stock server at the other end."""
    if request.param == "pty":
        with VirtualCable(None, tmp_path) as cable:
            theirs = SerialTransport(cable.board_end, 115200)
            yield from with_stock_server(theirs, f"ERPC://{cable.host_end}")
    else:
        port = free_port()
        theirs = TCPTransport("127.0.0.1", port, True)
        yield from with_stock_server(theirs, f"ERPC://127.0.0.1:{port}")


def with_stock_server(theirs: Any, uri: str) -> Iterator[Client]:
    server = SimpleServer(theirs, BasicCodec)
    server.add_service(StockService(server.stop))
    client = Client(connected(uri))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield client
    client.call(STOP, [])
    thread.join(LONG_S)
    assert not thread.is_alive()
    client.transport.close()
    theirs.close()


@pytest.mark.parametrize("binary", BINARIES, ids=len)
def test_a_stock_server(client: Client, binary: bytes) -> None:
    for _ in range(3):
        assert client.call(ECHO, [binary, "Größe"]) == [binary, "Größe"]
    assert client.call(ADD, [[1, 2, 0xFFFFFFFF]]) == [[1, 2, 0xFFFFFFFF], 0x100000002]
