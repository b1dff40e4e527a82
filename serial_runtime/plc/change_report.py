# SPDX-License-Identifier: MIT
"""What an online change does to each variable and task, found out before anything is changed.

Variables are matched by path. A value is kept, or converted where the new type holds all values of
the old one; never otherwise.
"""

from __future__ import annotations

from enum import IntEnum

from serial_runtime.board_change import Conversion, conversion
from serial_runtime.iec import type_name
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from serial_runtime.board_types import Image, Task, Variable


class Fate(IntEnum):
    """What becomes of something; the numbers travel in rpc/board.erpc."""

    KEPT = 1
    CONVERTED = 2
    RESET = 3  # its type has changed so that a value could be lost: it gets its initial value
    NEW = 4
    DROPPED = 5
    MOVED = 6  # its location is another one, beside what becomes of its value
    UNFORCED = 7
    TASK = 8
    OUTSIDE = 9  # of the program's C, without a row in its table


class Row(NamedTuple):
    """One thing, and what there is to be said."""

    fate: Fate
    name: str
    text: str


class Comparison(NamedTuple):
    """Of two versions of a program."""

    rows: list[Row]
    pairs: list[tuple[int, int]]  # indices of the variables whose values are copied: old, new


def compare(old: Image, new: Image, forced: Sequence[int] = ()) -> Comparison:
    """What the change from `old` to `new` means, `forced` being indices of the old one."""
    before = {variable.path: variable for variable in old.variables}
    held = {old.variables[index].path for index in forced}
    rows: list[Row] = []
    pairs: list[tuple[int, int]] = []
    for variable in new.variables:
        known = before.pop(variable.path, None)
        if known is None:
            rows.append(Row(Fate.NEW, variable.path, f"{_type(variable)}, its initial value"))
            continue
        kind = conversion(known, variable)
        rows += _known(known, variable, kind)
        if kind is not Conversion.NOT:
            pairs.append((known.index, variable.index))
        if variable.path in held and kind is not Conversion.SAME:
            rows.append(Row(Fate.UNFORCED, variable.path, "not forced any more: another type"))
    for path, variable in before.items():
        rows.append(Row(Fate.DROPPED, path, f"{_type(variable)}, its value is lost"))
        if path in held:
            rows.append(Row(Fate.UNFORCED, path, "not there any more"))
    return Comparison(rows + _tasks(old, new), pairs)


def outside(statics: Sequence[tuple[str, int]] | None) -> list[Row]:
    """What the old program keeps outside its table, as `board_change.statics` tells."""
    if statics is None:
        text = "the program's file has no symbols: what it keeps outside its table is not known"
        return [Row(Fate.OUTSIDE, "", text)]
    return [
        Row(Fate.OUTSIDE, name.partition(".")[0], f"{size} bytes without a row: begin anew")
        for name, size in statics
    ]


def carried_forces(old: Image, new: Image, forces: dict[int, bytes]) -> dict[int, bytes]:
    """The forces, by indices of the new version, of variables that are there with the same type."""
    after = {variable.path: variable for variable in new.variables}
    carried = {}
    for index, value in forces.items():
        variable = old.variables[index]
        same = after.get(variable.path)
        if same is not None and conversion(variable, same) is Conversion.SAME:
            carried[same.index] = value
    return carried


def _type(variable: Variable) -> str:
    return type_name(variable.type, variable.capacity)


def _known(old: Variable, new: Variable, kind: Conversion) -> list[Row]:
    types = f"{_type(old)} -> {_type(new)}"
    rows = []
    if kind is Conversion.SAME:
        rows.append(Row(Fate.KEPT, new.path, _type(new)))
    elif kind is Conversion.WIDER:
        rows.append(Row(Fate.CONVERTED, new.path, types))
    else:
        text = f"{types} could lose a value: it gets its initial value"
        rows.append(Row(Fate.RESET, new.path, text))
    if old.location != new.location:
        places = f"{old.location or 'no location'} -> {new.location or 'no location'}"
        rows.append(Row(Fate.MOVED, new.path, places))
    return rows


def _tasks(old: Image, new: Image) -> list[Row]:
    before: dict[str, Task] = {task.name: task for task in old.tasks}
    rows = []
    for task in new.tasks:
        known = before.pop(task.name, None)
        if known is None:
            rows.append(Row(Fate.TASK, task.name, f"new, every {_time(task.interval_ns)}"))
            continue
        changes = []
        if known.interval_ns != task.interval_ns:
            changes.append(f"every {_time(known.interval_ns)} -> {_time(task.interval_ns)}")
        if known.priority != task.priority:
            changes.append(f"priority {known.priority} -> {task.priority}")
        if changes:
            rows.append(Row(Fate.TASK, task.name, ", ".join(changes)))
    rows += [Row(Fate.TASK, name, "not there any more") for name in before]
    return rows


def _time(ns: int) -> str:
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns % size == 0:
            return f"{ns // size} {unit}"
    return f"{ns} ns"
