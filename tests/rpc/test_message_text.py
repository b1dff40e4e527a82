# SPDX-License-Identifier: MIT
"""Messages in words: calls and replies of both kinds, damaged ones, and no secret."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import StateError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.refusal import encode_refusal
from serial_runtime.rpc.message_text import describe, lines


def plain(method: int, kind: int, arguments: bytes = b"", service: int = 1) -> bytes:
    return struct.pack("<II", 1 << 24 | service << 16 | method << 8 | kind, 7) + arguments


def call(method: int, flags: int = 0, payload: bytes = b"", service: int = 1) -> bytes:
    return envelope.encode(envelope.CALL, 12, 0xABC, 0x1000, service, method, flags, payload)


def reply(status: int, payload: bytes = b"", method: int = 4) -> bytes:
    return envelope.encode(envelope.REPLY, 12, 0xABC, 0x1000, 1, method, status, payload)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (plain(4, 0), "call ide.GetPLCstatus, sequence 7, no arguments"),
        (plain(14, 2, b"\1\0\0\0\0"), "reply ide.StopPLC, sequence 7, 5 bytes: 01 00 00 00 00"),
        (plain(99, 1), "call without reply service 1 method 99, sequence 7, no arguments"),
        (
            call(4),
            "call ide.GetPLCstatus, number 12, session 00000abc, boot 00001000, back 0, "
            "no arguments",
        ),
        (
            call(2, envelope.ORDERED | 3, bytes(40), 2),
            "call board.GetBoardStatus, number 12, session 00000abc, boot 00001000, back 3, "
            "ordered, 40 bytes: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ...",
        ),
        (
            reply(envelope.DONE | envelope.RESTARTS),
            "reply ide.GetPLCstatus, number 12, session 00000abc, boot 00001000, done, "
            "the board restarts, no arguments",
        ),
        (
            reply(envelope.REFUSED, encode_refusal(StateError("it runs"))),
            "reply ide.GetPLCstatus, number 12, session 00000abc, boot 00001000, refused, "
            "'it runs'",
        ),
        (
            reply(envelope.IN_PROGRESS | 25 << envelope.TOOK_SHIFT),
            "reply ide.GetPLCstatus, number 12, session 00000abc, boot 00001000, in progress, "
            "worked 25 ms, no arguments",
        ),
        (b"\1\2\3", "3 bytes that are no message: 01 02 03"),
    ],
)
def test_a_message(body: bytes, text: str) -> None:
    assert describe(body) == text


def test_a_damaged_envelope_is_told() -> None:
    body = bytearray(call(4))
    body[9] ^= 1
    assert describe(bytes(body)).startswith("the envelope's CRC is ")


def test_hello_and_bye_have_names() -> None:
    assert describe(call(envelope.HELLO, service=2)).startswith("call hello,")
    assert describe(call(envelope.BYE, service=2)).startswith("call bye,")


def test_no_secret_is_shown() -> None:
    secret = struct.pack("<I2sI3s", 2, b"me", 3, b"PSK")
    for body in (plain(3, 2, secret), reply(envelope.DONE, secret, method=3)):
        assert describe(body).endswith("13 bytes, not shown")
        assert b"PSK".hex(" ") not in describe(body)


def test_times_and_remarks() -> None:
    messages = [(10.0, ">", plain(4, 0), ""), (10.25, "<", b"", "untrusted")]
    assert lines(messages, 12.0) == [
        "   -2.000 s > call ide.GetPLCstatus, sequence 7, no arguments",
        "   -1.750 s < 0 bytes that are no message:   (untrusted)",
    ]


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_described_in_one_line(data: bytes, as_reply: bool) -> None:
    status = envelope.REFUSED if as_reply else 0
    for body in (data, b"\0\0\2\1" + data, reply(status, data), call(4, 0xFFFF, data)):
        assert "\n" not in describe(body)
