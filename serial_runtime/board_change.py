# SPDX-License-Identifier: MIT
"""Online change of the board's program, seen from Python: what ``board`` has no room for.

The steps are those of shim.h: open, rehearse, make, then keep or drop. Worker thread only, but
``conversion``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from enum import IntEnum

from serial_runtime.board_native import TEXT_BYTES, Why, ffi, image_of, lib, orders_of, text_of
from serial_runtime.board_types import Image, Variable
from serial_runtime.errors import BoardError
from serial_runtime.named_tuple import NamedTuple

_STATICS_BYTES = 1 << 15


class Phase(IntEnum):
    """How far a change is; enum change_phase and what shim.h adds."""

    NONE = -2
    OPEN = -1
    REHEARSING = 0
    READY = 1
    ORDERED = 2
    WITHDRAWN = 3
    SWITCHING = 4
    PROBATION = 5
    CONFIRMED = 6
    ROLLED_BACK = 7
    RELEASED = 8


class ChangeState(NamedTuple):
    """Figures as in struct board_change."""

    phase: Phase
    copy_ns: int
    busy_ns: int
    cycles_left: int
    period_ns: int


class Conversion(IntEnum):
    """enum convert: whether a value of one type can become one of another."""

    NOT = 0
    SAME = 1
    WIDER = 2


def conversion(before: Variable, after: Variable) -> Conversion:
    """What happens to a value on its way from one variable to another. Any thread."""
    return Conversion(
        lib.board_conversion(before.type, before.capacity, after.type, after.capacity)
    )


def open_change(path: str) -> Image:
    """Open a new version of the running program. ImageError, StateError; nothing is changed."""
    why = Why()
    native = ffi.new("struct board_image *")
    result = lib.board_open_change(os.fsencode(path), native, why.buffer, TEXT_BYTES)
    why.check_image(result)
    return image_of(native, lib.board_change_task, lib.board_change_variable)


def statics() -> list[tuple[str, int]] | None:
    """What the running program keeps outside its table: names and bytes. None: it does not tell."""
    text = ffi.new("char[]", _STATICS_BYTES)
    result = lib.board_statics(text, _STATICS_BYTES)
    if result == -errno.ENODATA:
        return None
    if result < 0:
        raise BoardError(-result, "cannot look for variables outside the program's table")
    lines = text_of(text).splitlines()
    return [(name, int(size)) for name, _, size in (line.rpartition(" ") for line in lines)]


def rehearse_change(pairs: Sequence[tuple[int, int]], probation: int) -> None:
    """Have the cycle measure the copy of these variables (old index, new index)."""
    why = Why()
    native = ffi.new("struct change_pair[]", max(len(pairs), 1))
    for place, (before, after) in enumerate(pairs):
        native[place] = (before, after)
    why.check(lib.board_rehearse_change(native, len(pairs), probation, why.buffer, TEXT_BYTES))


def change_state() -> ChangeState:
    """How far it is."""
    native = ffi.new("struct board_change *")
    lib.board_change_state(native)
    return ChangeState(
        Phase(native.phase),
        native.copy_ns,
        native.busy_ns,
        native.cycles_left,
        native.period_ns,
    )


def make_change(forces: Mapping[int, bytes]) -> None:
    """Run the new program in place of the old one, with these forces of its variables.

    StateError: it cannot be done now, or not without missing a deadline; ProgramFault: the new
    program's init crashed or refused. The old one runs on then.
    """
    why = Why()
    orders, _keep = orders_of(forces)
    why.check(lib.board_make_change(orders, len(forces), why.buffer, TEXT_BYTES))


def keep_change() -> None:
    """End the probation: the old program is closed. StateError: it was taken back."""
    why = Why()
    why.check(lib.board_keep_change(why.buffer, TEXT_BYTES))


def drop_change() -> str:
    """The old program is the board's. Returns why the new one was taken back; "": by order."""
    why = Why()
    why.check(lib.board_drop_change(why.buffer, TEXT_BYTES))
    return why.text()
