# SPDX-License-Identifier: MIT
"""The variables that a native program shares with its Python process.

Scripts name them while they are executed; the worker has the board share them, with its next
housekeeping. From then on the board shows their values and counts their changes, cycle by cycle.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from serial_runtime import iec
from serial_runtime.board import Board
from serial_runtime.board_types import SharedValue, Variable
from serial_runtime.errors import VariableError
from serial_runtime.named_tuple import NamedTuple

_INPUT = 1  # enum sr_direction: the next cycle would overwrite what is written
_TIMES = (iec.IecType.TIME, iec.IecType.DATE, iec.IecType.TOD, iec.IecType.DT)

PlainValue = bool | int | float | str


class Change(NamedTuple):
    """What a callback is told: how often it changed, the value before that, and the present one."""

    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    first: PlainValue
    last: PlainValue


class SharedVariables:
    """Those of one process. The Python thread calls all methods but `share_with_board`."""

    def __init__(self, board: Board, table: Mapping[str, Variable]) -> None:
        self._board = board
        self._table = table
        self._names: dict[str, Variable] = {}
        self._watched: dict[str, SharedValue | None] = {}  # as the callbacks know them
        self._writes: dict[str, bytes] = {}  # not yet in the cycle
        self._door = threading.Lock()  # protects the two below, which both threads change
        self._wanted: dict[str, Variable] = {}  # what the board shall share, unless it does
        self._shared: tuple[int, tuple[str, ...]] = 0, ()  # generation of its list, and the names

    def share_with_board(self) -> None:
        """The worker: have the board share what was asked for. VariableError."""
        with self._door:
            wanted, self._wanted = self._wanted, {}
            if wanted:
                generation = self._board.share([variable.index for variable in wanted.values()])
                self._shared = generation, tuple(wanted)

    @property
    def pending(self) -> bool:
        """The worker has something to do."""
        return bool(self._wanted)

    def share(self, name: str, path: str, watched: bool) -> bool:
        """From soon on; whether it is one of the four time types. VariableError: no such path."""
        variable = self._table.get(path) or self._table.get(path.upper())
        if variable is None:
            raise VariableError(f"{path}: the program has no such variable")
        self._names[name] = variable
        if watched:
            self._watched[name] = None
        with self._door:
            self._wanted = dict(self._names)
        return variable.type in _TIMES

    def read(self) -> dict[str, PlainValue] | None:
        """All of them, of one cycle; None: not yet."""
        values = self._values()
        if values is None:
            return None
        return {name: self._plain(name, value) for name, value in values.items()}

    def write(self, name: str, value: Any) -> None:
        """With `apply_writes`. VariableError."""
        variable = self._names.get(name)
        if variable is None:
            raise VariableError(f"{name} is not shared: share({name!r}, PATH)")
        if variable.direction == _INPUT:
            raise VariableError(f"{name} is an input, which the next cycle would overwrite")
        if not isinstance(value, (bool, int, float, str)):
            raise VariableError(f"{value!r} does not fit {name}")
        capacity = variable.capacity or iec.MAX_CAPACITY
        self._writes[name] = iec.pack(variable.type, value, capacity)

    def apply_writes(self) -> bool:
        """Hand them to the cycle; False: it does not take all of them now."""
        generation, names = self._shared
        for name in [name for name in self._writes if name in names]:
            if not self._board.write_shared(generation, names.index(name), self._writes[name]):
                return False
            del self._writes[name]
        return True

    @property
    def unsettled(self) -> bool:
        """A variable is watched, and its first value not known yet."""
        return None in self._watched.values()

    def changes(self) -> list[Change]:
        """Of the watched ones, since the last time."""
        values = self._values() if self._watched else None
        if values is None:
            return []
        found = []
        for name, before in self._watched.items():
            now = self._watched[name] = values[name]
            if before is not None and now.changes != before.changes:
                count = (now.changes - before.changes) & 0xFFFFFFFF
                found.append(Change(name, count, self._plain(name, before), self._plain(name, now)))
        return found

    def _values(self) -> dict[str, SharedValue] | None:
        if not self._names:
            return {}
        with self._door:
            if self._wanted:
                return None
            generation, names = self._shared
        values = self._board.read_shared(generation)
        return None if values is None else dict(zip(names, values, strict=True))

    def _plain(self, name: str, value: SharedValue) -> PlainValue:
        return iec.unpack(self._names[name].type, value.value)[0]
