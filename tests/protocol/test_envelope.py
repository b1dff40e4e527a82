# SPDX-License-Identifier: MIT
"""Envelopes, and the refusals in them."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime import errors
from serial_runtime.protocol import envelope, refusal
from serial_runtime.protocol.envelope import decode, encode


def test_the_bytes_of_an_envelope() -> None:
    body = encode(envelope.CALL, 3, 0x11111111, 0x22222222, 1, 4, 0x8001, b"arg")
    head = struct.pack("<IIIIIBBH", 0x01020000, 3, 0x11111111, 0x22222222, 0, 1, 4, 0x8001)
    crc = struct.pack("<I", zlib.crc32(head + b"arg"))
    assert body == head[:16] + crc + head[20:] + b"arg"


@given(
    st.tuples(
        st.sampled_from([envelope.CALL, envelope.ONEWAY, envelope.REPLY]),
        *[st.integers(0, 2**32 - 1)] * 3,
        *[st.integers(0, 255)] * 2,
        st.integers(0, 65535),
        st.binary(max_size=50),
    )
)
def test_decode_undoes_encode(fields: tuple[int, int, int, int, int, int, int, bytes]) -> None:
    assert tuple(decode(encode(*fields))) == fields


@given(st.binary(max_size=40), st.integers(0, 8 * 64 - 1))
def test_any_flipped_bit_is_seen(payload: bytes, bit: int) -> None:
    body = bytearray(encode(envelope.CALL, 1, 2, 3, 1, 4, 0, payload))
    body[bit // 8 % len(body)] ^= 1 << bit % 8
    with pytest.raises(errors.ProtocolError):
        decode(bytes(body))


@given(st.binary(max_size=60))
def test_other_bytes_are_no_envelope(data: bytes) -> None:
    with pytest.raises(errors.ProtocolError):
        decode(data)


@pytest.mark.parametrize("kind", refusal.CODES.values())
def test_a_refusal_keeps_class_and_sentence(kind: type[errors.SerialRuntimeError]) -> None:
    if kind is errors.BoardError:
        error: errors.SerialRuntimeError = errors.BoardError(22, "bad ü")
    else:
        error = kind("bad ü")
    back = refusal.decode_refusal(refusal.encode_refusal(error))
    assert type(back) is kind
    assert str(back) == "bad ü"
    assert getattr(back, "errno", 22) == 22


def test_classes_without_a_code_travel_as_their_base_and_unknown_codes_as_call_refused() -> None:
    class New(errors.BlobError):
        pass

    assert type(refusal.decode_refusal(refusal.encode_refusal(New("x")))) is errors.BlobError
    unknown = struct.pack("<HHI", 999, 0, 1) + b"x"
    assert type(refusal.decode_refusal(unknown)) is errors.CallRefused
    assert type(refusal.decode_refusal(b"\1")) is errors.ProtocolError


def test_every_error_with_a_code_is_still_there() -> None:
    """The codes are for ever: 1 to 19 so far."""
    assert sorted(refusal.CODES) == list(range(1, 20))
    assert refusal.CODES[3] is errors.StateError
    assert refusal.CODES[17] is errors.WorkerBusy
    assert refusal.CODES[18] is errors.TableChanged
    assert refusal.CODES[19] is errors.LinkError
