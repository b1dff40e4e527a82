# SPDX-License-Identifier: MIT
"""IEC values: text, value and wire form agree in every direction."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import serial_runtime
from serial_runtime import iec
from serial_runtime.errors import ProtocolError, VariableError
from serial_runtime.iec import IecType

FLT_MAX = (2 - 2**-23) * 2.0**127
DAY = 86_400_000_000_000
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def values(kind: IecType) -> st.SearchStrategy[object]:
    """Every value a variable of this type can hold and a literal can write."""
    if kind == IecType.BOOL:
        return st.booleans()
    if kind == IecType.REAL:
        return st.floats(width=32)
    if kind == IecType.LREAL:
        return st.floats()
    if kind in (IecType.TIME, IecType.DT):
        return INT64
    if kind == IecType.DATE:
        return st.integers(-(1 << 63) // DAY + 1, (1 << 63) // DAY).map(lambda day: day * DAY)
    if kind == IecType.TOD:
        return st.integers(0, DAY - 1)
    if kind == IecType.STRING:
        return st.text(st.characters(max_codepoint=255), max_size=254)
    bits = 8 * iec.wire_size(kind)
    signed = kind in (IecType.SINT, IecType.INT, IecType.DINT, IecType.LINT)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high)


TYPED = st.sampled_from(list(IecType)).flatmap(lambda k: st.tuples(st.just(k), values(k)))


def same(a: object, b: object) -> bool:
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a + b))


@given(TYPED)
def test_parse_takes_back_what_format_writes(case) -> None:
    kind, value = case
    packed = iec.parse(kind, iec.format(kind, value), 254)
    back, end = iec.unpack(kind, packed)
    assert same(back, value)
    assert end == len(packed)


@given(TYPED)
def test_unpack_takes_back_what_pack_writes_at_any_offset(case) -> None:
    kind, value = case
    packed = iec.pack(kind, value)
    back, end = iec.unpack(kind, b"xyz" + packed + b"!", 3)
    assert same(back, value)
    assert end == 3 + len(packed)
    assert len(packed) == iec.wire_size(kind) or kind == IecType.STRING


@given(TYPED, st.data())
def test_a_cut_value_is_a_protocol_error(case, data) -> None:
    kind, value = case
    packed = iec.pack(kind, value)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ProtocolError, match="cut"):
        iec.unpack(kind, packed[:cut])


@given(st.sampled_from(list(IecType)), st.text(max_size=30))
def test_any_text_is_a_value_or_a_variable_error(kind, text) -> None:
    try:
        packed = iec.parse(kind, text)
    except VariableError as error:
        says = str(error)
    else:
        says = kind.name
        assert iec.unpack(kind, packed)[1] == len(packed)
    assert kind.name in says


@given(st.lists(TYPED, max_size=8))
def test_unpack_all(cases) -> None:
    kinds = [kind for kind, _ in cases]
    packed = b"".join(iec.pack(kind, value) for kind, value in cases)
    got = iec.unpack_all(kinds, packed)
    assert all(same(a, b) for a, (_, b) in zip(got, cases, strict=True))
    with pytest.raises(ProtocolError, match="too many"):
        iec.unpack_all(kinds, packed + b"\0")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (IecType.BOOL, "true", True),
        (IecType.BOOL, "BOOL#0", False),
        (IecType.INT, "16#FF", 255),
        (IecType.INT, "-1_000", -1000),
        (IecType.SINT, "SINT#-128", -128),
        (IecType.BYTE, "2#1010_1010", 0xAA),
        (IecType.WORD, "WORD#8#17", 15),
        (IecType.LREAL, "-2.5e3", -2500.0),
        (IecType.REAL, "3", 3.0),
        (IecType.TIME, "T#1s500ms", 1_500_000_000),
        (IecType.TIME, "time#1.5s", 1_500_000_000),
        (IecType.TIME, "-1d_2h", -93_600_000_000_000),
        (IecType.TIME, "90m", 5_400_000_000_000),
        (IecType.DATE, "D#1970-01-02", DAY),
        (IecType.DATE, "1969-12-31", -DAY),
        (IecType.TOD, "TOD#12:30:00", 45_000_000_000_000),
        (IecType.TOD, "TIME_OF_DAY#00:00:00.000000001", 1),
        (IecType.DT, "DT#1970-01-01-00:00:01.5", 1_500_000_000),
        (IecType.DT, "1970-01-02T00:00", DAY),
        (IecType.STRING, "'a$'b$$$0A$n'", "a'b$\n\n"),
        (IecType.STRING, "bare text", "bare text"),
        (IecType.STRING, "''", ""),
        (IecType.STRING, "STRING#'q'", "q"),
        (IecType.STRING, "string#''", ""),
        (IecType.REAL, "REAL#3.4028235e38", FLT_MAX),
    ],
)
def test_literals(kind: IecType, text: str, value: object) -> None:
    assert iec.unpack(kind, iec.parse(kind, text))[0] == value


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (IecType.INT, "40000", "40000 does not fit INT, .*-32768 to 32767.*for example 100"),
        (IecType.INT, "1.5", "'1.5' is no INT: .*-32768 to 32767.*for example"),
        (IecType.INT, "1__0", "is no INT"),
        (IecType.USINT, "-1", "0 to 255"),
        (IecType.BOOL, "2", "TRUE or FALSE.*for example TRUE"),
        (IecType.REAL, "1e39", "3.4e38"),
        (IecType.LREAL, "1e999", "too large"),
        (IecType.TIME, "5", "number and a unit.*T#1s500ms"),
        (IecType.TIME, "T#1s1h", "large to small"),
        (IecType.TIME, "T#1.5h3s", "only the last"),
        (IecType.TIME, "T#0.1ns", "finer than 1 ns"),
        (IecType.TIME, "T#200000d", "does not fit TIME"),
        (IecType.DATE, "D#2026-02-30", "is no DATE.*D#2026-01-31"),
        (IecType.DATE, "D#2300-01-01", "1677-09-22 to 2262-04-11"),
        (IecType.TOD, "TOD#24:00:00", "hours go to 23"),
        (IecType.DT, "DT#2026-01-31", "time of day is missing; .*DT#2026-01-31-12:30:00"),
        (IecType.STRING, "STRING#bare", "in quotes"),
        (IecType.STRING, "'open", "closing quote"),
        (IecType.STRING, "'a'b'", r"written \$'"),
        (IecType.STRING, "'$q'", "two hex digits"),
        (IecType.STRING, "100 €", "'€' is not a character of a STRING"),
    ],
)
def test_errors_name_type_range_and_example(kind: IecType, text: str, says: str) -> None:
    with pytest.raises(VariableError, match=says):
        iec.parse(kind, text)


def test_a_text_must_fit_the_capacity() -> None:
    assert iec.parse(IecType.STRING, "'12345'", 5) == b"\x0512345"
    with pytest.raises(VariableError, match=r"6 characters; STRING\[5\] takes 5"):
        iec.parse(IecType.STRING, "'123456'", 5)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IecType.INT, "5"),
        (IecType.STRING, 5),
        (IecType.INT, 1.5),
        (IecType.TIME, 1.5),
        (IecType.DATE, 1),
        (IecType.TOD, DAY),
        (IecType.BOOL, 2),
    ],
)
def test_pack_refuses_the_wrong_kind_of_value(kind: IecType, value) -> None:
    with pytest.raises(VariableError, match=kind.name):
        iec.pack(kind, value)


def test_wire_form_of_a_negative_time_is_floored() -> None:
    assert iec.pack(IecType.TIME, -1) == struct.pack("<qq", -1, 999_999_999)


@pytest.mark.parametrize("pair", [(0, -1), (0, 1_000_000_000), (1 << 62, 0)])
def test_unpack_refuses_a_time_outside_its_form(pair: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError, match="not a TIME"):
        iec.unpack(IecType.TIME, struct.pack("<qq", *pair))


def test_unpack_refuses_a_string_longer_than_there_are() -> None:
    assert iec.unpack(IecType.STRING, b"\xfe" + bytes(254))[1] == 255
    with pytest.raises(ProtocolError, match="too long"):
        iec.unpack(IecType.STRING, b"\xff" + bytes(255))


def test_the_largest_real_can_be_shown() -> None:
    assert iec.format(IecType.REAL, FLT_MAX) == "3.4028235E+38"
    assert iec.format(IecType.REAL, -FLT_MAX) == "-3.4028235E+38"


def test_a_faulty_programs_times_can_still_be_shown() -> None:
    assert iec.format(IecType.DATE, DAY + 5) == "D#1970-01-02"
    assert iec.format(IecType.TOD, -1_000_000_000) == "TOD#-00:00:01"
    assert iec.format(IecType.TOD, DAY) == "TOD#24:00:00"


def test_names() -> None:
    assert iec.type_name(20, 12) == "STRING[12]"
    assert iec.type_name(4) == "DINT"
    with pytest.raises(ProtocolError, match="type 21"):
        iec.iec_type(21)


def test_types_are_those_of_the_abi() -> None:
    header = (Path(serial_runtime.get_include()) / "plc_abi.h").read_text()
    abi = {name: int(n) for name, n in re.findall(r"SR_TYPE_(\w+) = (\d+)", header)}
    assert abi == {kind.name: kind.value for kind in IecType}
