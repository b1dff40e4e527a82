# SPDX-License-Identifier: MIT
"""The types that scripts of the IDE use: their memory, and values to and fro."""

from __future__ import annotations

import ctypes
from datetime import timedelta

import pytest

from serial_runtime.extensions.typemapping import TypeTranslator

LONG = ctypes.sizeof(ctypes.c_long)
SIZES = {
    1: "BOOL STEP TRANSITION ACTION SINT USINT BYTE",
    2: "INT UINT WORD",
    4: "DINT UDINT DWORD REAL",
    8: "LINT ULINT LWORD LREAL",
    127: "STRING",
    2 * LONG: "TIME TOD DATE DT",
}


def test_every_type_has_the_size_of_matiecs() -> None:
    sizes = {name: size for size, names in SIZES.items() for name in names.split()}
    assert {name: ctypes.sizeof(kind) for name, (kind, _, _) in TypeTranslator.items()} == sizes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BOOL", True), ("SINT", -128), ("ULINT", 2**64 - 1), ("LREAL", 0.1), ("REAL", -0.5),
        ("STRING", "caf\xe9"), ("STRING", ""), ("STRING", "a\0b"),
        ("TIME", timedelta(milliseconds=-1)), ("DT", timedelta(days=20000, microseconds=1)),
    ],
)  # fmt: skip
def test_there_and_back(name: str, value: object) -> None:
    kind, unpack, pack = TypeTranslator[name]
    instance = pack(kind, value)
    assert isinstance(instance, kind)
    assert unpack(instance) == value


def test_a_long_string_is_cut() -> None:
    kind, unpack, pack = TypeTranslator["STRING"]
    assert unpack(pack(kind, "x" * 300)) == "x" * 126
    assert bytes(pack(kind, b"ab"))[:3] == b"\x02ab"
