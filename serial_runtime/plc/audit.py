# SPDX-License-Identifier: MIT
"""The audit log: who changed what, in a file of the program store, of mode 0600.

    audit.log, audit.log.1      a line of JSON for each changing call, the newer file first

Both files together are bounded: a full one takes the place of the older. A thread of its own
writes, so that neither a call nor the cycle waits for a disk; it comes with the first entry. What
it wrote is synchronised at once, but once a second at most: who is refused as often as he likes
must not wear out a card. So a power cut costs the entries of the last moments. A disk that takes
nothing costs entries too, and nothing else: they are counted, and the next line that can be written
tells how many.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FILE = "audit.log"
_MOST_WAITING = 256  # entries that wait for the disk
_PAUSE_S = 1.0  # between two writes
_CLOSE_S = 2.0
_DONE = "done"


class Entry(NamedTuple):
    """One call, or several alike."""

    way: str  # kind of the transport
    address: str
    identity: str  # proven, else ""
    bridged: bool  # made for others by a bridge
    call: str
    detail: str  # what was changed, as far as it is short
    outcome: str  # "done", or why not


class AuditLog:
    """The audit log of one runtime. Any thread."""

    def __init__(
        self, directory: str, most_bytes: int, on_trouble: Callable[[str], object]
    ) -> None:
        """`most_bytes` of both files. `on_trouble` is told, once, when entries are lost."""
        self._path = os.path.join(directory, FILE)
        self._most_bytes = most_bytes // 2
        self._on_trouble = on_trouble
        self._lock = threading.Lock()  # protects the next five
        self._waiting: list[tuple[float, Entry, int]] = []  # time, entry, how often
        self._places: dict[Entry, int] = {}  # of the last like it among these
        self._lost = 0
        self._told = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()

    def note(self, entry: Entry) -> None:
        """Write an entry soon; never waits. Equal ones that wait together become one line.

        Of calls that were done only those in succession, for their order matters.
        """
        with self._lock:
            place = self._places.get(entry, -1)
            if place >= 0 and (entry.outcome != _DONE or place == len(self._waiting) - 1):
                time_s, _, times = self._waiting[place]
                self._waiting[place] = time_s, entry, times + 1
            elif len(self._waiting) >= _MOST_WAITING:
                self._lost += 1
            else:
                self._places[entry] = len(self._waiting)
                self._waiting.append((time.time(), entry, 1))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Write what waits, as far as the disk takes it within 2 s. Nothing is noted after it."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing.is_set()
            with self._lock:
                batch, self._waiting = self._waiting, []
                self._places.clear()
                lost, self._lost = self._lost, 0
            if batch:
                self._write_batch(batch, lost)
            if closing:
                return
            self._closing.wait(_PAUSE_S)

    def _write_batch(self, batch: list[tuple[float, Entry, int]], lost: int) -> None:
        try:
            self._write(_lines(batch, lost))
            return
        except OSError as error:
            reason = error.strerror
        with self._lock:
            self._lost += lost + len(batch)
            told, self._told = self._told, True
        if not told:
            self._on_trouble(f"the audit log loses entries: {self._path}: {reason}")

    def _write(self, data: bytes) -> None:
        fd = self._open()
        try:
            size = os.fstat(fd).st_size
            if size and size + len(data) > self._most_bytes:
                os.replace(self._path, self._path + ".1")
                os.close(fd)
                fd, size = self._open(), 0
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = b"\n" + data  # a power cut left half of a line: the next one is its own
            try:
                if os.write(fd, data) != len(data):
                    raise OSError(0, "it is full")
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, size)  # no half of a line
                raise
        finally:
            os.close(fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def read(directory: str) -> Iterator[dict[str, Any]]:
    """The entries that are kept, oldest first. OSError. A line that is damaged is passed over."""
    import json

    for name in (FILE + ".1", FILE):
        with (
            contextlib.suppress(FileNotFoundError),
            open(os.path.join(directory, name), "rb") as file,
        ):
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)


def _lines(batch: list[tuple[float, Entry, int]], lost: int) -> bytes:
    import json

    rows: list[dict[str, Any]] = []
    if lost:
        rows.append({"time": _text(time.time()), "lost": lost})
    for time_s, entry, times in batch:
        row = {"time": _text(time_s), **entry._asdict()}
        rows.append({**row, "times": times} if times > 1 else row)
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _text(time_s: float) -> str:
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03}Z"
