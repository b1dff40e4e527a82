# SPDX-License-Identifier: MIT
"""IEC 61131-3 values: wire form, Python value and text.

Python values: BOOL ``bool``; integers and bit strings ``int``; REAL and LREAL ``float``; TIME,
DATE, TOD and DT ``int`` nanoseconds (the last two since 1970-01-01 where they are dates; TOD
since midnight); STRING ``str`` of Latin-1 characters (IEC 61131-3: row 00 of ISO/IEC 10646).

Wire form: little-endian; BOOL one byte 0 or 1; the four time types as two signed 64-bit numbers,
seconds (rounded down) and nanoseconds 0..999999999; STRING one length byte, then that many
characters. It is the form of trace samples, forces and snapshots in both services.

`parse` and `pack` raise VariableError with the type, its range and an example; `unpack` raises
ProtocolError, for the bytes come from the peer.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from serial_runtime.errors import ProtocolError, VariableError
from serial_runtime.iec.text import EXAMPLES, Value, from_text, to_text
from serial_runtime.iec.text import shortest as shortest


class IecType(IntEnum):
    """`enum sr_type` of plc_abi.h."""

    BOOL = 1
    SINT = 2
    INT = 3
    DINT = 4
    LINT = 5
    USINT = 6
    UINT = 7
    UDINT = 8
    ULINT = 9
    BYTE = 10
    WORD = 11
    DWORD = 12
    LWORD = 13
    REAL = 14
    LREAL = 15
    TIME = 16
    DATE = 17
    TOD = 18
    DT = 19
    STRING = 20


_FORMATS = {
    IecType.SINT: "<b",
    IecType.INT: "<h",
    IecType.DINT: "<i",
    IecType.LINT: "<q",
    IecType.USINT: "<B",
    IecType.UINT: "<H",
    IecType.UDINT: "<I",
    IecType.ULINT: "<Q",
    IecType.BYTE: "<B",
    IecType.WORD: "<H",
    IecType.DWORD: "<I",
    IecType.LWORD: "<Q",
    IecType.REAL: "<f",
    IecType.LREAL: "<d",
}
_TIMES = (IecType.TIME, IecType.DATE, IecType.TOD, IecType.DT)
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_INT64 = range(-(1 << 63), 1 << 63)
MAX_CAPACITY = 254


def iec_type(number: int) -> IecType:
    """The type with this number. ProtocolError for one this version does not know."""
    try:
        return IecType(number)
    except ValueError:
        raise ProtocolError(
            f"the board names variable type {number}, which this version does not know"
        ) from None


def type_name(kind: int, capacity: int = 0) -> str:
    """``DINT``, ``STRING[20]``."""
    name = iec_type(kind).name
    return f"{name}[{capacity}]" if kind == IecType.STRING and capacity else name


def wire_size(kind: int) -> int:
    """Bytes on the wire. A STRING has no fixed size: its smallest, 1, is returned."""
    if kind in (IecType.BOOL, IecType.STRING):
        return 1
    if kind in _TIMES:
        return 16
    return struct.calcsize(_FORMATS[iec_type(kind)])


def layout(kind: int) -> struct.Struct:
    """The wire form of any type but STRING; what it unpacks compares like the values do."""
    if kind == IecType.BOOL:
        return struct.Struct("<B")
    return struct.Struct("<qq" if kind in _TIMES else _FORMATS[iec_type(kind)])


def unpack(kind: int, data: bytes | memoryview, offset: int = 0) -> tuple[Value, int]:
    """The value at `offset` and the offset behind it. ProtocolError when it is cut or invalid."""
    kind = iec_type(kind)
    end = offset + wire_size(kind)
    if end > len(data):
        raise ProtocolError(f"the {kind.name} is cut: {len(data) - offset} bytes are left")
    if kind == IecType.BOOL:
        return data[offset] != 0, end
    if kind == IecType.STRING:
        end += data[offset]
        if end > len(data) or data[offset] > MAX_CAPACITY:
            raise ProtocolError(f"a STRING of {data[offset]} characters is cut, or too long")
        return bytes(data[offset + 1 : end]).decode("latin-1"), end
    if kind in _TIMES:
        seconds, nanoseconds = struct.unpack_from("<qq", data, offset)
        value = seconds * _SECOND + nanoseconds
        if not 0 <= nanoseconds < _SECOND or value not in _INT64:
            raise ProtocolError(f"not a {kind.name}: {seconds} s and {nanoseconds} ns")
        return value, end
    number: int | float = struct.unpack_from(_FORMATS[kind], data, offset)[0]
    return number, end


def unpack_all(kinds: list[IecType] | tuple[IecType, ...], data: bytes) -> list[Value]:
    """Values packed back to back. ProtocolError when `data` is shorter or longer than they are."""
    values = []
    offset = 0
    for kind in kinds:
        value, offset = unpack(kind, data, offset)
        values.append(value)
    if offset != len(data):
        raise ProtocolError(f"{len(data) - offset} bytes too many behind {len(values)} values")
    return values


def pack(kind: int, value: Value, capacity: int = MAX_CAPACITY) -> bytes:
    """The wire form. VariableError when the value does not fit the type (or `capacity`)."""
    kind = iec_type(kind)
    if kind == IecType.STRING:
        if not isinstance(value, str):
            raise _misfit(kind, value)
        return _pack_string(value, capacity)
    if isinstance(value, str):
        raise _misfit(kind, value)
    if kind == IecType.BOOL:
        if value not in (0, 1):
            raise _misfit(kind, value)
        return bytes([int(value)])
    if kind in _TIMES:
        if (
            not isinstance(value, int)
            or value not in _INT64
            or (kind == IecType.DATE and value % _DAY)
            or (kind == IecType.TOD and not 0 <= value < _DAY)
        ):
            raise _misfit(kind, value)
        return struct.pack("<qq", *divmod(value, _SECOND))
    try:
        return struct.pack(_FORMATS[kind], value)
    except (struct.error, OverflowError):
        raise _misfit(kind, value) from None


def parse(kind: int, text: str, capacity: int = MAX_CAPACITY) -> bytes:
    """The wire form of an IEC literal; see text.py for what is accepted."""
    kind = iec_type(kind)
    try:
        value = from_text(kind.name, text)
    except ValueError as problem:
        reason = str(problem) or f"it takes {takes(kind)}"
        raise VariableError(
            f"{text!r} is no {kind.name}: {reason}; for example {_example(kind)}"
        ) from None
    return pack(kind, value, capacity)


def format(kind: int, value: Value) -> str:
    """The IEC literal of a value, which `parse` takes back."""
    return to_text(iec_type(kind).name, value)


def takes(kind: int) -> str:
    """The range of a type, in words: ``-32768 to 32767``."""
    kind = iec_type(kind)
    if kind == IecType.BOOL:
        return "TRUE or FALSE"
    if kind == IecType.STRING:
        return "Latin-1 characters"
    if kind == IecType.REAL:
        return "numbers up to 3.4e38"
    if kind == IecType.LREAL:
        return "numbers up to 1.7e308"
    if kind == IecType.TOD:
        return "times from 00:00:00 to 23:59:59.999999999"
    if kind == IecType.TIME:
        return f"durations up to {to_text('TIME', _INT64[-1])} either way"
    if kind in (IecType.DATE, IecType.DT):
        return "dates from 1677-09-22 to 2262-04-11"
    bits = 8 * wire_size(kind)
    if kind in (IecType.SINT, IecType.INT, IecType.DINT, IecType.LINT):
        return f"whole numbers from {-(1 << bits - 1)} to {(1 << bits - 1) - 1}"
    return f"whole numbers from 0 to {(1 << bits) - 1}"


def _example(kind: IecType) -> str:
    return EXAMPLES.get(kind.name, "100, 16#64 or 2#1100")


def _misfit(kind: IecType, value: Value) -> VariableError:
    shown = to_text(kind.name, value) if kind in _TIMES and isinstance(value, int) else repr(value)
    return VariableError(
        f"{shown} does not fit {kind.name}, which takes {takes(kind)}; for example {_example(kind)}"
    )


def _pack_string(text: str, capacity: int) -> bytes:
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise VariableError(
            f"{text[error.start]!r} is not a character of a STRING, which takes Latin-1 only; "
            f"for example {_example(IecType.STRING)}"
        ) from None
    if len(data) > capacity:
        raise VariableError(
            f"the text has {len(data)} characters; STRING[{capacity}] takes {capacity} at most"
        )
    return bytes([len(data)]) + data
