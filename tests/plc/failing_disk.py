# SPDX-License-Identifier: MIT
"""A disk that loses power after any operation, and forgets what was not synced.

File contents: `write` and `take` are whole and durable, or (cut in the middle) half there. What
`write_at` put anywhere is lost from the middle of the file on: gone, or zeros.
Directory entries: kept in the order they were made, but those of a directory that was not
synced since may be undone from any of them on, as a journalling file system may.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from serial_runtime.plc.disk import Disk


class PowerCut(BaseException):
    """Not an Exception: nothing may handle it."""


class FailingDisk(Disk):
    """Real files below; `graveyard` (same file system) keeps what may come back."""

    def __init__(self, graveyard: Path) -> None:
        graveyard.mkdir(exist_ok=True)
        self._graveyard = graveyard
        self._buried = 0
        self._undo: list[tuple[str, Callable[[], None]]] = []
        self._loose: set[str] = set()  # files that `write_at` wrote
        self.zeros = False  # what becomes of their ends
        self.operations = 0
        self.cut_after = -1  # operations; -1: never

    def lose(self, unsynced_kept: int) -> None:
        """The power was cut: undo what was not synced, but for the first `unsynced_kept`."""
        for _, undo in reversed(self._undo[unsynced_kept:]):
            undo()
        self._undo.clear()
        for path in filter(os.path.exists, self._loose):
            size = os.path.getsize(path)
            os.truncate(path, size // 2)
            if self.zeros:
                os.truncate(path, size)
        self._loose.clear()

    @property
    def unsynced(self) -> int:
        return len(self._undo)

    def _count(self) -> None:
        if self.operations == self.cut_after:
            raise PowerCut
        self.operations += 1

    def _bury(self, path: str) -> Callable[[], None]:
        """Take something away; the result brings it back."""
        self._buried += 1
        grave = self._graveyard / str(self._buried)
        os.rename(path, grave)
        return lambda: os.rename(grave, path)

    def _note(self, path: str, undo: Callable[[], None]) -> None:
        self._undo.append((os.path.dirname(path), undo))

    def _made(self, path: str) -> None:
        def undo() -> None:
            if os.path.lexists(path):
                self._bury(path)

        self._note(path, undo)

    def make_directory(self, path: str) -> None:
        self._count()
        if not os.path.isdir(path):
            super().make_directory(path)
            self._made(path)

    def write(self, path: str, data: bytes) -> None:
        if self.operations == self.cut_after:
            Path(path).write_bytes(data[: len(data) // 2])
            self._made(path)
        self._count()
        super().write(path, data)
        self._made(path)

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        if not os.path.exists(path):
            self._made(path)
        self._loose.add(path)
        if self.operations == self.cut_after:
            super().write_at(path, offset, data[: len(data) // 2])
        self._count()
        super().write_at(path, offset, data)

    def take(self, source: str, target: str) -> None:
        self._count()
        super().take(source, target)
        self._made(target)

    def copy(self, source: str, target: str) -> None:
        self._count()
        super().copy(source, target)
        self._made(target)

    def replace(self, source: str, target: str) -> None:
        self._count()
        back = self._bury(target) if os.path.exists(target) else None
        os.rename(source, target)

        def undo() -> None:
            os.rename(target, source)
            if back is not None:
                back()

        self._note(target, undo)

    def remove(self, path: str) -> None:
        self._count()
        if os.path.lexists(path):
            self._note(path, self._bury(path))

    def remove_tree(self, path: str) -> None:
        if not os.path.isdir(path):
            return
        for entry in sorted(os.listdir(path)):
            inner = os.path.join(path, entry)
            if os.path.isdir(inner):
                self.remove_tree(inner)
            else:
                self.remove(inner)
        self._count()
        self._note(path, self._bury(path))

    def sync_directory(self, path: str) -> None:
        self._count()
        super().sync_directory(path)
        self._undo = [(directory, undo) for directory, undo in self._undo if directory != path]
