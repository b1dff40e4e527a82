# SPDX-License-Identifier: MIT
"""The log the IDE reads: four levels, each with a running count and a bounded history.

Messages are numbered from 0 per level; the oldest are forgotten when a level's memory is full,
the count goes on. Messages of the PLC program arrive from the shim's rings, the runtime's own
through `add`. Any thread: a lock protects the histories (critical sections are short).
"""

from __future__ import annotations

import threading
import time
from collections import deque

from serial_runtime.board_types import LogRecord
from serial_runtime.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CRITICAL, WARNING, INFO, DEBUG = range(4)
LEVELS = ("critical", "warning", "info", "debug")
_LEVEL_BYTES = 16 * 1024  # as matiec's rings
_OVERHEAD_BYTES = 16  # tick, sec, nsec and a length beside each text


class Log:
    """The history of all four levels."""

    def __init__(self, level_bytes: int = _LEVEL_BYTES) -> None:
        self._lock = threading.Lock()
        self._level_bytes = level_bytes
        self._history: tuple[deque[LogRecord], ...] = tuple(deque() for _ in LEVELS)
        self._counts = [0, 0, 0, 0]
        self._used = [0, 0, 0, 0]

    def add(self, level: int, text: str, tick: int = 0) -> None:
        """A message of the runtime, stamped with the wall clock; what is no UTF-8 becomes "?"."""
        sec, nsec = divmod(time.time_ns(), 1_000_000_000)
        text = text.encode("utf-8", "replace").decode()
        self.extend((LogRecord(level, tick, sec, nsec, text),))

    def extend(self, records: Iterable[LogRecord]) -> None:
        """Messages as they are, in order."""
        with self._lock:
            for record in records:
                level = min(max(record.level, CRITICAL), DEBUG)
                size = _size(record)
                if size > self._level_bytes:
                    keep = record.text.encode("utf-8", "replace")[: self._level_bytes // 2]
                    record = record._replace(text=keep.decode("utf-8", "ignore") + " [cut]")
                    size = _size(record)
                history = self._history[level]
                history.append(record)
                self._counts[level] += 1
                self._used[level] += size
                while self._used[level] > self._level_bytes:
                    self._used[level] -= _size(history.popleft())

    def counts(self) -> tuple[int, int, int, int]:
        """Messages so far per level, forgotten ones included."""
        with self._lock:
            critical, warning, info, debug = self._counts
        return critical, warning, info, debug

    def message(self, level: int, number: int) -> LogRecord:
        """One message. StateError when it is not there (yet, or any more)."""
        if not CRITICAL <= level <= DEBUG:
            raise StateError(f"log level {level} does not exist: 0 (critical) to 3 (debug)")
        with self._lock:
            count, history = self._counts[level], self._history[level]
            first = count - len(history)
            if not first <= number < count:
                have = f"{first} to {count - 1}" if history else "none"
                raise StateError(f"no {LEVELS[level]} message {number}: there are {have}")
            return history[number - first]

    def save(self) -> tuple[list[LogRecord], list[int]]:
        """The messages that are there, by their time, and the counts."""
        with self._lock:
            records = [record for history in self._history for record in history]
            counts = list(self._counts)
        return sorted(records, key=lambda record: (record.sec, record.nsec)), counts

    def restore(self, records: Sequence[LogRecord], counts: Sequence[int]) -> None:
        """Go on with what `save` gave: the numbers of the messages stay."""
        self.extend(records)
        with self._lock:
            for level, count in enumerate(counts):
                self._counts[level] += count - sum(record.level == level for record in records)

    def reset(self) -> None:
        """Forget everything; numbers begin at 0 again."""
        with self._lock:
            for history in self._history:
                history.clear()
            self._counts = [0, 0, 0, 0]
            self._used = [0, 0, 0, 0]


def _size(record: LogRecord) -> int:
    return len(record.text.encode("utf-8", "replace")) + _OVERHEAD_BYTES
