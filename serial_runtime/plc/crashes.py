# SPDX-License-Identifier: MIT
"""How often in a row the program has crashed, so that one that always does is left alone.

    crashes    how many in a row, and why the last one: durable
    running    a program runs, or the process died while one did: the kernel's boot id

A crash is a fault of the program, or the end of the process while a program ran. A loss of power is
none: `running` then names another boot. It is written without waiting for the disk, since what ends
a process alone leaves the kernel's copy of the file alone.

A run that lasts `stable_s`, or somebody's order, ends the row. Worker thread only.
"""

from __future__ import annotations

import contextlib
import os
import time

from serial_runtime.plc.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_LONGEST = 1000  # characters of a reason that are kept
_DIED = "the runtime's process died while the program ran"


class Crashes:
    """The row of crashes in one store directory. A disk that fails is told once (`trouble`)."""

    def __init__(
        self,
        directory: str,
        *,
        limit: int = 3,
        stable_s: float = 60.0,
        disk: Disk | None = None,
        boot_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find out how the process before this one ended. `limit` 0: never a safe mode."""
        self.limit = limit
        self.count = 0
        self.reason = ""  # of the last one
        self.trouble = ""  # why it could not be written, until somebody has told it
        self._stable_s = stable_s
        self._directory = directory
        self._count_path = os.path.join(directory, "crashes")
        self._mark_path = os.path.join(directory, "running")
        self._disk = disk if disk is not None else Disk()
        self._boot_id = (_text_of(_BOOT_ID) if boot_id is None else boot_id).strip()
        self._clock = clock
        self._marked = False
        self._began_s = 0.0
        number, _, reason = _text_of(self._count_path).partition("\n")
        if number.isascii() and number.isdigit():
            self.count, self.reason = min(int(number), 1_000_000), reason.strip()
        if _text_of(self._mark_path).strip() == self._boot_id and self._boot_id:
            self._add(_DIED)
        self._unmark()

    @property
    def safe_mode(self) -> bool:
        """Nothing is to be started but by somebody's order."""
        return 0 < self.limit <= self.count

    def begins(self) -> None:
        """The program is about to start."""
        with self._told():
            self._disk.write_at(self._mark_path, 0, self._boot_id.encode())
        self._marked = True
        self._began_s = self._clock()

    def runs(self) -> None:
        """It still does; to be called every now and then."""
        if self.count and self._marked and self._clock() - self._began_s >= self._stable_s:
            self.clear()

    def ended(self) -> None:
        """It was stopped, or did not start."""
        if self._marked:
            self._unmark()

    def faulted(self, reason: str) -> None:
        """It crashed, the process lives. Counted once."""
        if self._marked:
            self._add(reason)
            self._unmark()

    def clear(self) -> None:
        """Somebody gives an order, or all is well: the row is over."""
        if not self.count:
            return
        self.count, self.reason = 0, ""
        with self._told():
            self._disk.remove(self._count_path)
            self._disk.sync_directory(self._directory)

    def _add(self, reason: str) -> None:
        self.count += 1
        self.reason = " ".join(reason.split())[:_LONGEST]
        new = self._count_path + ".new"
        with self._told():
            self._disk.remove(new)
            self._disk.write(new, f"{self.count}\n{self.reason}\n".encode())
            self._disk.replace(new, self._count_path)
            self._disk.sync_directory(self._directory)

    def _unmark(self) -> None:
        self._marked = False
        with self._told():
            self._disk.remove(self._mark_path)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = f"crashes cannot be counted in {self._directory}: {error.strerror}"


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4 * _LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""
