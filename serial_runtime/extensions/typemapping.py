# SPDX-License-Identifier: MIT
"""IEC types as ctypes: what scripts of the Beremiz IDE import as ``runtime.typemapping``.

``TypeTranslator[IEC name]`` is a ctypes class, a function from an instance of it to a Python
value, and one from the class and a Python value to an instance. The memory is that of matiec's
objects: a STRING has a length byte and 126 characters, the four times have two C longs and are
``timedelta`` here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from datetime import timedelta
from typing import Any

_STRING_CHARACTERS = 126

Translation = tuple[type, Callable[[Any], Any], Callable[[Any, Any], Any]]


class IEC_STRING(ctypes.Structure):  # noqa: N801  the name scripts know
    """A STRING: its length and its characters, UTF-8."""

    _fields_ = [("len", ctypes.c_uint8), ("body", ctypes.c_char * _STRING_CHARACTERS)]


class IEC_TIME(ctypes.Structure):  # noqa: N801
    """TIME, DATE, TOD and DT: seconds and nanoseconds."""

    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]


def _unpack_string(value: IEC_STRING) -> str:
    return bytes(value)[1 : 1 + value.len].decode("utf-8", "replace")


def _pack_string(kind: type[IEC_STRING], value: str | bytes) -> IEC_STRING:
    data = value.encode() if isinstance(value, str) else value
    data = data[:_STRING_CHARACTERS]
    # Not by its fields: ctypes would end the characters at the first NUL.
    return kind.from_buffer_copy(bytes([len(data)]) + data.ljust(_STRING_CHARACTERS, b"\0"))


def _unpack_time(value: IEC_TIME) -> timedelta:
    return timedelta(seconds=value.s, microseconds=value.ns / 1000)


def _pack_time(kind: type[IEC_TIME], value: timedelta) -> IEC_TIME:
    # Of a negative time only the days are negative, so the nanoseconds never are.
    return kind(value.days * 86_400 + value.seconds, value.microseconds * 1000)


def _number(kind: type) -> Translation:
    return kind, lambda instance: instance.value, lambda kind, value: kind(value)


_TIME: Translation = (IEC_TIME, _unpack_time, _pack_time)

TypeTranslator: dict[str, Translation] = {
    "BOOL": (ctypes.c_uint8, lambda x: bool(x.value), lambda kind, value: kind(bool(value))),
    **{name: _number(ctypes.c_uint8) for name in ("STEP", "TRANSITION", "ACTION")},
    **{name: _number(ctypes.c_uint8) for name in ("USINT", "BYTE")},
    **{name: _number(ctypes.c_uint16) for name in ("UINT", "WORD")},
    **{name: _number(ctypes.c_uint32) for name in ("UDINT", "DWORD")},
    **{name: _number(ctypes.c_uint64) for name in ("ULINT", "LWORD")},
    "SINT": _number(ctypes.c_int8),
    "INT": _number(ctypes.c_int16),
    "DINT": _number(ctypes.c_int32),
    "LINT": _number(ctypes.c_int64),
    "REAL": _number(ctypes.c_float),
    "LREAL": _number(ctypes.c_double),
    "STRING": (IEC_STRING, _unpack_string, _pack_string),
    **dict.fromkeys(("TIME", "DATE", "TOD", "DT"), _TIME),
}
