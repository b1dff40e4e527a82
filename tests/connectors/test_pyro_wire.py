# SPDX-License-Identifier: MIT
"""What of a Pyro peer's bytes gets through, and what the serializer makes of it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from Pyro5 import errors, serializers

from serial_runtime.connectors.pyro_wire import ScreenedSocket
from serial_runtime.errors import CallRefused, ProtocolError

HEADER = struct.Struct("!4sHBBHHII16sHH")
CORRELATED = 64
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def header(
    size: int, *, kind: int = 4, serializer: int = 4, flags: int = 0, more: int = 0
) -> bytes:
    return HEADER.pack(b"PYRO", 502, kind, serializer, flags, 1, size, more, bytes(16), 0, 0x4DC5)


def received(data: bytes, sizes: Iterator[int]) -> bytes:
    """All that comes through, asked for in parts of these sizes."""
    near, far = socket.socketpair()
    with closing(far), closing(ScreenedSocket(fileno=near.detach())) as screened:
        far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        got = b""
        for size in sizes:
            part = screened.recv(size)
            assert len(part) <= size
            if size and not part:
                return got
            got += part
    raise AssertionError("it does not end")


def endless(sizes: list[int]) -> Iterator[int]:
    while True:
        yield from sizes


@given(
    st.lists(st.binary(max_size=100), max_size=4),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.sampled_from((0, CORRELATED)),
)
def test_plain_calls_come_through_unchanged(
    payloads: list[bytes], sizes: list[int], flags: int
) -> None:
    data = b"".join(header(len(one), flags=flags) + one for one in payloads)
    assert received(data, endless(sizes)) == data


@given(st.binary(max_size=200), st.booleans())
@example(b"PYRO", False)
@example(b"", True)
def test_of_any_bytes_only_plain_calls_come_through(data: bytes, has_header: bool) -> None:
    data = header(len(data) // 2) + data if has_header else data
    try:
        got = received(data, endless([7]))
    except ProtocolError:
        return
    assert data.startswith(got)
    assert got[:4] in (b"PYRO", b"")


@pytest.mark.parametrize(
    "data",
    [
        header(0, serializer=2),
        header(0, flags=2),
        header(0, flags=4 | CORRELATED),
        header(0, flags=8),
        header(0, flags=32),
        header(0, more=8),
        b"GET",
        b"PYRX",
    ],
)
def test_what_is_no_plain_call_does_not(data: bytes) -> None:
    good = header(3) + b"abc"
    with pytest.raises(ProtocolError):
        received(good + data, endless([1000]))


@given(plain)
def test_plain_values_arrive_as_they_were(value: object) -> None:
    (serializer,) = serializers.serializers.values()
    if not _holds_exception(value):
        assert serializer.loads(serializer.dumps(value)) == value


def _holds_exception(value: object) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, dict) and value.get("__exception__") is True) or any(
        map(_holds_exception, inner)
    )


def test_of_an_exception_the_text_arrives() -> None:
    (serializer,) = serializers.serializers.values()
    data = serializer.dumps(OSError(2, "no such thing"))
    assert "__class__" in msgpack.unpackb(data), "what a stock client raises"
    found = serializer.loads(data)
    assert isinstance(found, CallRefused)
    assert str(found) == "[Errno 2] no such thing"


@pytest.mark.parametrize("name", ["Pyro5.client.Proxy", "builtins.SystemExit", "decimal.Decimal"])
def test_no_class_is_made(name: str) -> None:
    (serializer,) = serializers.serializers.values()
    value = {"__class__": name, "state": [], "args": []}
    assert serializer.loads(msgpack.packb(value)) == value


def test_nothing_else_is_carried() -> None:
    (serializer,) = serializers.serializers.values()
    with pytest.raises(errors.SerializeError, match="complex is no plain value"):
        serializer.dumps(1j)
    with pytest.raises(errors.SerializeError, match="extension 48"):
        serializer.loads(msgpack.packb(msgpack.ExtType(0x30, bytes(16))))
