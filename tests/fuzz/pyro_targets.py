# SPDX-License-Identifier: MIT
"""Pyro5 through this project's screen: a daemon's clients, and what a daemon answers."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from struct import Struct
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from fuzz.carrier_targets import plain
from fuzz.script import Script
from Pyro5 import protocol

from serial_runtime.connectors import pyro_board, tunnel
from serial_runtime.connectors.pyro_board import _Connection
from serial_runtime.connectors.pyro_client import open_board
from serial_runtime.connectors.pyro_wire import LINK_OBJECT, LONGEST_MESSAGE, PLC_OBJECT
from serial_runtime.connectors.tunnel import TunnelListener
from serial_runtime.errors import ProtocolError, SerialRuntimeError

_HEADER = Struct("!4sHBBHHII16sHH")
_MSGPACK = 4
_LONG_S = 60.0
_NAMES = ("GetPLCstatus", "NewPLC", "open", "read", "write", "close", "ping", "get_metadata")
_META = {"methods": list(_NAMES), "attrs": [], "oneway": []}


def message(
    kind: int, payload: bytes, number: int, *, flags: int = 0, serializer: int = _MSGPACK
) -> bytes:
    return (
        _HEADER.pack(
            b"PYRO", 502, kind, serializer, flags, number & 0xFFFF, len(payload), 0, bytes(16), 0,
            0x4DC5,
        )
        + payload
    )  # fmt: skip


def _packed(value: Any) -> bytes:
    try:
        return bytes(msgpack.packb(value))
    except (ValueError, TypeError, OverflowError):
        return b"\xc0"


def _said_by_client(script: Script) -> Iterator[bytes]:
    yield message(protocol.MSG_CONNECT, _packed({"handshake": "h", "object": LINK_OBJECT}), 0)
    for number in itertools.count(1):
        if not script:
            return
        op, what, body = script.number(), script.number(), script.piece()
        if op % 4 == 0:
            yield body
        elif op % 4 == 1:
            flags = script.number(2) if op & 128 else 0
            yield message(what % 8, body, number, flags=flags, serializer=4 - (op >> 6 & 1))
        else:
            target = (PLC_OBJECT, LINK_OBJECT, "Pyro.Daemon", "nobody")[op >> 2 & 3]
            name = _NAMES[what % len(_NAMES)]
            call = [target, name, plain(body), {} if op < 200 else plain(script.piece())]
            yield message(protocol.MSG_INVOKE, _packed(call), number)


def all_of(connection: socket.socket) -> bytes:
    """What its other end, which is closed, has sent."""
    parts = []
    with contextlib.suppress(ConnectionResetError):  # it has left something unread
        while data := connection.recv(1 << 20):
            parts.append(data)
    return b"".join(parts)


class _Echo(_Connection):
    """Its procedures return their arguments."""

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if len(arguments) == 1 and arguments[0] is None:
            raise ProtocolError(f"{name}: none")
        return list(arguments)


def pyro_daemon(data: bytes) -> None:
    """What a client sends: answers in plain messages or an end, and nothing is left of it."""
    listener = SimpleNamespace(tunnels=TunnelListener("fuzz", "pyro"))
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    threads = threading.active_count()
    connection = _Echo(listener, "fuzz", near)  # type: ignore[arg-type]
    with contextlib.closing(far), pytest.MonkeyPatch.context() as change:
        change.setattr(pyro_board, "POLL_S", 0.0)
        numbers = itertools.count()
        change.setattr(
            tunnel, "secrets", SimpleNamespace(token_hex=lambda size: f"{next(numbers)}")
        )
        far.sendall(b"".join(_said_by_client(Script(data))))
        far.shutdown(socket.SHUT_WR)
        try:
            connection.run()
        finally:
            connection.close()
        assert threading.active_count() == threads
        assert all(one.is_over for one in connection.used)
        answered = all_of(far)
    while answered:
        head, answered = answered[: _HEADER.size], answered[_HEADER.size :]
        tag, _, kind, serializer, _, _, size, more, *_ = _HEADER.unpack(head)
        assert (tag, serializer, more) == (b"PYRO", _MSGPACK, 0)
        assert kind in (2, 3, protocol.MSG_RESULT, protocol.MSG_PING)
        assert size <= len(answered)
        if kind != protocol.MSG_PING:
            msgpack.unpackb(answered[:size], strict_map_key=False)
        answered = answered[size:]


def _said_by_daemon(script: Script) -> Iterator[bytes]:
    meta = _META if script.number() % 8 else plain(script.piece())
    yield message(protocol.MSG_RESULT, _packed(meta), 1)
    for number in itertools.count(2):
        if not script:
            return
        op, body = script.number(), script.piece()
        if op % 4 == 0:
            yield body
        elif op % 4 == 1:
            yield message(op >> 2 & 7, body, number, flags=script.number(2))
        else:
            yield message(protocol.MSG_RESULT, body, number, flags=op >> 2 & 1)


def pyro_client(data: bytes) -> None:
    """What a daemon answers a client: it connects or not, and its reads come to an end."""
    script = Script(data)
    ends: list[socket.socket] = []
    raised: list[Any] = []

    def connect() -> socket.socket:
        near, far = socket.socketpair()
        ends.append(far)
        far.sendall(b"".join(_said_by_daemon(Script(script.piece()))))
        far.shutdown(socket.SHUT_WR)
        return near

    with pytest.MonkeyPatch.context() as change:
        change.setattr(threading, "excepthook", raised.append)
        try:
            opened = open_board("fuzz", connect, _LONG_S)
        except SerialRuntimeError:
            pass
        else:
            got = 0
            with contextlib.suppress(SerialRuntimeError):
                opened.write(b"x")
                while data := opened.read(_LONG_S):
                    got += len(data)
                raise AssertionError("the client waits for ever")
            opened.close()
            assert got <= LONGEST_MESSAGE
        for thread in threading.enumerate():
            if thread.name.startswith("pyro-"):
                thread.join(_LONG_S)
        for end in ends:
            end.close()
    if raised:
        raise AssertionError("a thread ended by an exception") from raised[0].exc_value
