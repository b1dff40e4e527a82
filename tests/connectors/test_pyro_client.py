# SPDX-License-Identifier: MIT
"""A client whose daemon answers what Pyro5 does not expect."""

from __future__ import annotations

import contextlib
import socket
import struct
import zlib
from collections.abc import Callable, Iterator

import msgpack
import pytest
from reading import LONG_S

from serial_runtime.connectors.pyro_client import open_board
from serial_runtime.errors import LinkClosed, LinkError

HEADER = struct.Struct("!4sHBBHHII16sHH")
RESULT, MSGPACK = 5, 4
EXCEPTION, COMPRESSED = 1, 2  # flags
Daemon = Callable[..., Callable[[], socket.socket]]
METHODS = {"methods": ["open", "read", "write", "close"], "attrs": [], "oneway": []}


def result(number: int, payload: bytes, *, flags: int = 0, more: int = 0) -> bytes:
    size = len(payload) - more
    return (
        HEADER.pack(b"PYRO", 502, RESULT, MSGPACK, flags, number, size, more, bytes(16), 0, 0x4DC5)
        + payload
    )


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Connections: each gets the bytes named for it; the second, which writes, then ends."""
    with contextlib.ExitStack() as ends:

        def make(*said: bytes) -> Callable[[], socket.socket]:
            told = list(said)

            def connect() -> socket.socket:
                near, far = socket.socketpair()
                ends.enter_context(far)
                far.sendall(told.pop(0))
                if not told:
                    far.shutdown(socket.SHUT_WR)
                return near

            return connect

        yield make


@pytest.mark.parametrize(
    "answer",
    [
        result(1, msgpack.packb(7)),
        result(1, b"\xc1"),
        result(1, msgpack.packb({"methods": 3})),
        result(1, msgpack.packb("no exception"), flags=EXCEPTION),
        result(1, b"\xff\xff\xff\xff\0\0\0\0" + msgpack.packb(METHODS), more=8),
        result(1, msgpack.packb({**METHODS, "methods": ["read"]})),
        result(1, zlib.compress(msgpack.packb(METHODS)), flags=COMPRESSED),
    ],
)
def test_it_does_not_connect(daemon: Daemon, answer: bytes) -> None:
    with pytest.raises(LinkError, match="board: "):
        open_board("board", daemon(answer, answer), LONG_S)


@pytest.mark.parametrize("value", ["text", 3, [1, 2], {"__exception__": True}, None])
def test_what_it_reads_are_no_bytes(daemon: Daemon, value: object) -> None:
    methods = result(1, msgpack.packb(METHODS))
    reader = methods + result(2, msgpack.packb("channel")) + result(3, msgpack.packb(value))
    tunnel = open_board("board", daemon(reader, methods), LONG_S)
    with pytest.raises(LinkClosed):
        tunnel.read(LONG_S)
    tunnel.close()


def test_a_lost_connection_is_not_looked_for(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []

    def look(*what: object, **how: object) -> list[object]:
        looked.append(what)
        raise OSError("nothing is looked up here")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    methods = result(1, msgpack.packb(METHODS))
    tunnel = open_board("board", daemon(methods + result(2, msgpack.packb("c")), methods), LONG_S)
    with contextlib.suppress(LinkClosed):
        tunnel.write(b"x")
    with pytest.raises(LinkClosed):
        tunnel.read(LONG_S)
    tunnel.close()
    assert looked == []
