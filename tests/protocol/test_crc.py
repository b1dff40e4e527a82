# SPDX-License-Identifier: MIT
"""The CRC against its published check value and two other implementations."""

from __future__ import annotations

import crcmod
import pytest
from erpc.crc16 import Crc16
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.protocol.crc import crc16


def test_check_value() -> None:
    assert crc16(b"123456789") == 0x89AC


def test_nothing_gives_the_initial_value() -> None:
    assert crc16(b"") == 0xEF4A


CRCMOD = crcmod.mkCrcFun(0x11021, initCrc=0xEF4A, rev=False, xorOut=0)


@given(st.binary(max_size=300))
def test_equals_other_implementations(data: bytes) -> None:
    assert crc16(data) == CRCMOD(data) == Crc16().computeCRC16(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_takes_any_bytes(kind: type) -> None:
    assert crc16(kind(b"123456789")) == 0x89AC


def test_takes_a_slice_of_a_view() -> None:
    assert crc16(memoryview(b"xx123456789yy")[2:-2]) == 0x89AC
