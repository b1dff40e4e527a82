# SPDX-License-Identifier: MIT
"""Retained values: taken from the running program, kept in files, given back at a start.

A value belongs to a path and a type, not to a program: an edited program gets those that still
fit. What the present program has no variable for is an *orphan*; orphans are kept too, up to
`_MOST_ORPHANS`, so that going back to the former program finds them.

The cycle copies the values at the end of one of its cycles (``Board.ask_retained``), at most every
`interval_s`; if they have changed they are written, on a thread of its own, for a disk takes its
time and the worker may be serving a line. A stop waits for the write of the last cycle's values. A
disk that takes nothing is told, and tried again; it stops nothing.
"""

from __future__ import annotations

import threading
import time
from types import MappingProxyType

from serial_runtime.board_types import BoardState
from serial_runtime.errors import BoardError, StateError, StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.log import CRITICAL, INFO, WARNING
from serial_runtime.plc.retain_file import NOTHING, Kept, Key, layout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serial_runtime.board import Board, Image, Variable
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.retain_file import RetainFiles

_RETAIN = 1  # enum sr_variable_option
_STRING = 20  # enum sr_type
_MOST_ORPHANS = 1000
_MOST_NAMED = 8  # in one line of the log
_NEVER = -1
_NONE: Mapping[int, bytes] = MappingProxyType({})


class RetainStatus(NamedTuple):
    """How keeping goes. `orphans` of the `kept` values belong to no present variable."""

    enabled: bool
    kept: int
    orphans: int
    writes: int  # by this process
    written_ago_ns: int  # -1: not by this process
    trouble: str  # why nothing is kept or written now, else ""


class RetainedValue(NamedTuple):
    """One kept value, in wire form."""

    key: Key
    value: bytes
    orphan: bool


class Retain:
    """Worker thread only."""

    def __init__(
        self,
        board: Board,
        log: Log,
        files: RetainFiles | None,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `files` nothing is kept."""
        self._board = board
        self._log = log
        self._files = files
        self._interval_s = interval_s
        self._clock = clock
        self._kept = NOTHING  # what the files shall hold
        self._stored = NOTHING  # what they do hold
        self._keys: list[Key] = []  # of the program started last, in the board's order
        self._taken = b""  # what the board gave last
        self._asked = False
        self._due_s = 0.0
        self._writing: _Writing | None = None
        self._writes = 0
        self._written_s = float(_NEVER)
        self._trouble = ""
        if files is not None:
            self._kept = self._stored = files.read()
            for sentence in files.damage:
                log.add(WARNING, f"retained values: {sentence}")

    # ---- a program's life --------------------------------------------------------------------

    def values_for(self, image: Image, md5: str) -> dict[int, bytes]:
        """What a warm start gives back, by index."""
        values: dict[int, bytes] = {}
        if image.own_cycle:
            return values
        texts = {key: value for key, value in self._kept.values.items() if key.type == _STRING}
        for row in image.variables:
            # A Beremiz object tells in its init which ones it keeps; the board leaves out the rest.
            if not (image.beremiz or row.options & _RETAIN):
                continue
            key = _key(row, image, md5)
            value = self._kept.values.get(key)
            if value is None and row.type == _STRING:
                value = _fitting(key, texts)
            if value is not None:
                values[row.index] = value
        return values

    def forget(self, image: Image, md5: str) -> None:
        """For a cold start: drop what the variables of `image` would get. Waits for the disk.

        StateError: the program keeps its values itself.
        """
        if image.own_cycle:
            raise StateError(
                "no cold start: this program keeps its retain variables itself, in "
                "retain_buffer_file and retain_buffer_file.bak of the runtime's working directory; "
                'delete both while the program is stopped, or set beremiz.cycle to "hosted" in the '
                "profile"
            )
        if self._files is None:
            return
        rows = [row for row in image.variables if image.beremiz or row.options & _RETAIN]
        keys = {_key(row, image, md5) for row in rows}
        texts = {key.path for key in keys if key.type == _STRING}  # of any length
        left = {
            key: value
            for key, value in self._kept.values.items()
            if key not in keys and not (key.type == _STRING and key.path in texts)
        }
        orphans = sum(1 for one in self.values() if one.orphan and one.key in left)
        self._settle()
        self._kept, self._taken = Kept(self._kept.layout, orphans, left), b""
        self._begin_write()
        self._settle()

    def follow(
        self, image: Image, md5: str, given: Mapping[int, bytes] = _NONE, at_once: bool = True
    ) -> None:
        """The table of variables is that of `image` now: after a start or an online change.

        `given`: values that its variables were started with. `at_once`: what is kept is outdated,
        do not wait for the interval.
        """
        if self._files is None:
            return
        if image.own_cycle:  # what is kept belongs to others, and waits for them
            self._keys, self._asked, self._taken = [], False, b""
            return
        indices = self._board.retained()
        self._keys = [_key(image.variables[index], image, md5) for index in indices]
        self._asked, self._taken = False, b""
        self._due_s = self._clock() + (0.0 if at_once else self._interval_s)
        layout = layout_of(self._keys)
        restored = given.keys() & set(indices)
        if layout != self._kept.layout:
            self._tell_orphans(image, restored)
        self._arrange(layout, dict(self._kept.values))
        if restored:
            count = len(restored)
            self._log.add(INFO, f"{count} of {len(indices)} retain variables got their values")

    def housekeeping(self) -> None:
        """Every now and then: ask, take, write. Never waits."""
        if self._files is None:
            return
        if self._writing is not None:
            if not self._writing.done:
                return
            self._finish()
        if self._board.state != BoardState.RUNNING:
            self._asked = False
        if self._asked:
            if self._take():
                self._due_s = self._clock() + self._interval_s  # the answer may have been slow
                self._begin_write()
        elif self._clock() >= self._due_s:
            self._due_s = self._clock() + self._interval_s
            if self._board.state == BoardState.RUNNING and self._keys:
                self._ask()
            else:
                self._begin_write()  # again, if the disk did not take it

    def stopped(self) -> None:
        """The program has ended, by a stop or a fault: write what was taken of it. Waits."""
        if self._files is None:
            return
        self._settle()
        self._take()
        self._begin_write()
        self._settle()

    def clear(self) -> None:
        """Forget all values, orphans too. StateError while a program runs; StoreError."""
        if self._files is None:
            raise StateError("no retain variables are kept here (profile key retain.enabled)")
        if self._board.state == BoardState.RUNNING:
            raise StateError(
                "the program runs, and its values would be kept again: stop it first, or start it "
                "cold"
            )
        self._settle()
        for _ in range(2):  # no file shall hold them
            self._files.write(NOTHING)
            self._wrote(NOTHING)
            self._kept, self._taken = NOTHING, b""

    def close(self) -> None:
        """Wait for the last write, and release the files."""
        if self._files is not None:
            self._settle()
            self._files.close()

    def status(self) -> RetainStatus:
        """How keeping goes."""
        ago_ns = _NEVER
        if self._written_s != _NEVER:
            ago_ns = int((self._clock() - self._written_s) * 1e9)
        count, orphans = len(self._kept.values), self._kept.orphans
        enabled = self._files is not None
        return RetainStatus(enabled, count, orphans, self._writes, ago_ns, self._trouble)

    def values(self) -> list[RetainedValue]:
        """What is kept; orphans first."""
        return [
            RetainedValue(key, value, place < self._kept.orphans)
            for place, (key, value) in enumerate(self._kept.values.items())
        ]

    # ---- inside ------------------------------------------------------------------------------

    def _arrange(self, layout: int, values: dict[Key, bytes]) -> None:
        """Make `values` what is kept: those without a present variable first."""
        present = dict.fromkeys(self._keys)
        orphans = {key: value for key, value in values.items() if key not in present}
        surplus = len(orphans) - _MOST_ORPHANS
        if surplus > 0:
            self._log.add(WARNING, f"{surplus} retained values without a variable are gone")
            orphans = dict(list(orphans.items())[surplus:])
        ours = {key: values[key] for key in present if key in values}
        self._kept = Kept(layout, len(orphans), {**orphans, **ours})

    def _tell_orphans(self, image: Image, restored: set[int]) -> None:
        """Of values that had a variable before: why they have none now."""
        rows = {row.path: row for row in image.variables}
        used = {
            image.variables[index].path for index in restored
        }  # a STRING of another length, too
        present = set(self._keys)
        reasons = [
            _reason(one.key, rows.get(one.key.path))
            for one in self.values()
            if not (one.orphan or one.key in present or one.key.path in used)
        ]
        if not reasons:
            return
        more = f" and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
        self._log.add(
            WARNING,
            f"retained values that this program has no variable for: "
            f"{', '.join(reasons[:_MOST_NAMED])}{more}; they are kept for one that has",
        )

    def _ask(self) -> None:
        try:
            self._board.ask_retained()
            self._asked = True
        except BoardError as error:
            self._fail(f"retain variables are not kept: {error}")

    def _take(self) -> bool:
        """Take the values asked for, if they are there."""
        found = self._board.take_retained() if self._keys else None
        if found is None:
            return False
        self._asked = False
        if found[1] != self._taken:
            values = _cut(self._keys, found[1])
            if len(values) != len(self._keys):  # of a table that `follow` was not told of
                return False
            self._arrange(self._kept.layout, {**self._kept.values, **values})
            self._taken = found[1]
        return True

    def _begin_write(self) -> None:
        if self._kept != self._stored:
            assert self._files is not None
            self._writing = _Writing(self._files, self._kept)

    def _finish(self) -> None:
        """A write has ended, or is waited for."""
        assert self._writing is not None
        writing, self._writing = self._writing, None
        error = writing.wait()
        if error:
            self._fail(f"retain variables are not written: {error}")
        else:
            self._wrote(writing.kept)

    def _settle(self) -> None:
        if self._writing is not None:
            self._finish()

    def _wrote(self, kept: Kept) -> None:
        self._stored = kept
        self._writes += 1
        self._written_s = self._clock()
        if self._trouble:
            self._trouble = ""
            self._log.add(INFO, "retain variables are written again")

    def _fail(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._log.add(CRITICAL, f"{trouble}; the program is not affected, it is tried again")


class _Writing:
    """One write of the files, on a thread of its own."""

    def __init__(self, files: RetainFiles, kept: Kept) -> None:
        self.kept = kept
        self._error = "out of memory"  # unless it comes to another end
        self._done = threading.Event()
        thread = threading.Thread(target=self._run, args=(files,), name="retain", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had
            self._done.set()

    def _run(self, files: RetainFiles) -> None:
        try:
            files.write(self.kept)
            self._error = ""
        except StoreError as error:
            self._error = str(error)
        finally:
            self._done.set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self) -> str:
        """Why it failed, or ""."""
        self._done.wait()
        return self._error


def _key(row: Variable, image: Image, md5: str) -> Key:
    """What the row's value is kept under. The number of a variable without a name means something
    in its own program only."""
    path = row.path
    if image.beremiz and path == f"VAR.{row.index}":
        path = f"{md5}:{path}"
    return Key(path, row.type, row.capacity)


def _fitting(key: Key, texts: dict[Key, bytes]) -> bytes | None:
    """The value of a STRING of another length, if it is short enough."""
    fitting = [
        value
        for other, value in texts.items()
        if other.path == key.path and len(value) - 1 <= key.capacity
    ]
    return fitting[-1] if fitting else None


def _reason(key: Key, row: Variable | None) -> str:
    from serial_runtime.iec import type_name

    if row is None:
        return key.path
    was, now = type_name(key.type, key.capacity), type_name(row.type, row.capacity)
    return f"{key.path} (it is {now}, was {was})" if was != now else f"{key.path} (not RETAIN)"


def _cut(keys: list[Key], data: bytes) -> dict[Key, bytes]:
    """The values of these variables, one behind the other in `data`; none: they do not fill it."""
    from serial_runtime.iec import IecType, wire_size

    sizes = {kind.value: wire_size(kind) for kind in IecType}
    values, at = {}, 0
    for key in keys:
        end = at + sizes[key.type] + (sum(data[at : at + 1]) if key.type == _STRING else 0)
        values[key] = data[at:end]
        at = end
    return values if at == len(data) else {}
