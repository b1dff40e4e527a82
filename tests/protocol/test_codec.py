# SPDX-License-Identifier: MIT
"""The codec: equal to the stock one on good messages, a ProtocolError on every bad one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from erpc.basic_codec import BasicCodec
from erpc.codec import MessageInfo as StockInfo
from erpc.codec import MessageType as StockType
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import ProtocolError
from serial_runtime.protocol.codec import Codec, MessageInfo, MessageType

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "wire-vectors.json").read_text())

INTEGERS = {
    f"{sign}int{bits}": st.integers(
        -(1 << bits - 1) if not sign else 0, (1 << bits - (not sign)) - 1
    )
    for bits in (8, 16, 32, 64)
    for sign in ("", "u")
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **INTEGERS,
    "bool": st.booleans(),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=40),
    "binary": st.binary(max_size=40),
}
FIELDS = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(lambda kind: VALUES[kind].map(lambda v: (kind, v))),
    max_size=12,
)


def reader(data: bytes) -> Codec:
    codec = Codec()
    codec.buffer = data
    return codec


def write(codec: BasicCodec, fields: list[tuple[str, Any]]) -> bytes:
    for kind, value in fields:
        getattr(codec, f"write_{kind}")(value)
    return bytes(codec.buffer)


def read(codec: BasicCodec, fields: list[tuple[str, Any]]) -> list[Any]:
    return [getattr(codec, f"read_{kind}")() for kind, _ in fields]


@given(FIELDS)
def test_decode_of_encode(fields: list[tuple[str, Any]]) -> None:
    codec = reader(write(Codec(), fields))
    assert read(codec, fields) == [value for _, value in fields]
    codec.expect_end()


@given(FIELDS)
def test_same_bytes_as_the_stock_codec(fields: list[tuple[str, Any]]) -> None:
    assert write(Codec(), fields) == write(BasicCodec(), fields)


@given(FIELDS.filter(bool), st.data())
def test_every_cut_is_noticed(fields: list[tuple[str, Any]], data: st.DataObject) -> None:
    message = write(Codec(), fields)
    codec = reader(message[: data.draw(st.integers(0, len(message) - 1))])
    with pytest.raises(ProtocolError, match="message cut"):
        read(codec, fields)


@given(st.binary(max_size=60), st.lists(st.sampled_from(sorted(VALUES)), max_size=8))
def test_any_bytes_give_values_or_a_protocol_error(message: bytes, kinds: list[str]) -> None:
    codec = reader(message)
    try:
        codec.start_read_message()
        for kind in kinds:
            getattr(codec, f"read_{kind}")()
        codec.start_read_list()
        codec.start_read_union()
        codec.read_null_flag()
        codec.expect_end()
    except ProtocolError:
        pass
    assert 0 <= codec.remaining <= len(message)


@pytest.mark.parametrize("kind", list(MessageType))
def test_message_start(kind: MessageType) -> None:
    codec = Codec()
    codec.start_write_message(MessageInfo(kind, 2, 17, 0xFFFFFFFF))
    assert reader(bytes(codec.buffer)).start_read_message() == (kind, 2, 17, 0xFFFFFFFF)


@pytest.mark.parametrize("kind", list(StockType))
def test_message_start_of_the_stock_codec(kind: StockType) -> None:
    ours, theirs = Codec(), BasicCodec()
    ours.start_write_message(MessageInfo(MessageType(kind.value), 2, 17, 5))
    theirs.start_write_message(StockInfo(kind, 2, 17, 5))
    assert ours.buffer == theirs.buffer
    found = reader(bytes(theirs.buffer)).start_read_message()
    assert (found.type.name, *found[1:]) == (kind.name, 2, 17, 5)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "message cut: uint32 at offset 0 needs 4 bytes, 0 are left"),
        (b"\0\1\1\1\1\0\0", "message cut: uint32 at offset 4 needs 4 bytes, 3 are left"),
        (b"\0\1\1\2\1\0\0\0", "codec version 2, expected 1"),
        (b"\4\1\1\1\1\0\0\0", "unknown message type 4"),
    ],
)
def test_bad_message_start(message: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        reader(message).start_read_message()


def test_huge_lengths_are_refused_before_anything_is_allocated() -> None:
    huge = b"\xff\xff\xff\xff1234"
    with pytest.raises(ProtocolError, match="binary at offset 4 needs 4294967295 bytes, 4"):
        reader(huge).read_binary()
    with pytest.raises(ProtocolError, match="string|binary"):
        reader(huge).read_string()
    with pytest.raises(ProtocolError, match="list of 4294967295 items"):
        reader(huge).start_read_list()


def test_a_list_may_be_as_long_as_the_rest() -> None:
    assert reader(b"\3\0\0\0abc").start_read_list() == 3
    with pytest.raises(ProtocolError, match="list of 4 items"):
        reader(b"\4\0\0\0abc").start_read_list()


def test_strings_are_strict_utf8() -> None:
    with pytest.raises(ProtocolError, match="string at offset 0 is not UTF-8"):
        reader(b"\2\0\0\0\xc3\x28").read_string()
    with pytest.raises(ProtocolError, match="cannot be sent as UTF-8"):
        Codec().write_string("\ud800")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("uint8", 256), ("int8", -129), ("uint32", -1), ("uint64", 1 << 64), ("float", 1e39)],
)
def test_values_that_do_not_fit(kind: str, value: float) -> None:
    codec = Codec()
    with pytest.raises(ProtocolError, match=f"does not fit {kind}"):
        getattr(codec, f"write_{kind}")(value)
    assert codec.buffer == b""


def test_trailing_bytes() -> None:
    codec = reader(b"\1xyz")
    codec.read_uint8()
    with pytest.raises(ProtocolError, match="3 bytes follow the last argument at offset 1"):
        codec.expect_end()


def test_binary_is_bytes_whatever_the_buffer() -> None:
    codec = Codec()
    codec.buffer = bytearray(b"\2\0\0\0ab")
    value = codec.read_binary()
    assert value == b"ab"
    assert type(value) is bytes


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["call"])
def test_recorded_messages_of_a_stock_pair(vector: dict[str, Any]) -> None:
    request = reader(bytes.fromhex(vector["request"])[6:]).start_read_message()
    reply = reader(bytes.fromhex(vector["reply"])[6:]).start_read_message()
    assert (request.type, request.service) == (MessageType.kInvocationMessage, 1)
    assert reply == (MessageType.kReplyMessage, 1, request.request, request.sequence)


def test_a_recorded_status_reply() -> None:
    """Every field of one recorded reply, down to its end."""
    (vector,) = (one for one in VECTORS if one["call"] == "GetPLCstatus")
    codec = reader(bytes.fromhex(vector["reply"])[6:])
    codec.start_read_message()
    status = codec.read_int32()
    counts = [codec.read_uint32() for _ in range(4)]
    assert (status, counts, codec.read_uint32()) == (0, [0, 0, 0, 0], 0)
    codec.expect_end()
