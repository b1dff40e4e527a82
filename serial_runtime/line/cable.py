# SPDX-License-Identifier: MIT
"""The virtual serial cable: two ttys, the line between them, and the thread that moves bytes."""

from __future__ import annotations

import fcntl
import heapq
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable

from serial_runtime.damage import Damage
from serial_runtime.errors import ConfigError
from serial_runtime.line.attached import attached_end
from serial_runtime.line.conditions import Conditions, Counters
from serial_runtime.line.direction import Direction
from serial_runtime.line.end import End, PtyEnd

# An end that nobody has open says "hang-up" all the time, so it is looked at this often instead.
_CLOSED_POLL_S = 0.01
BOARD = "board"
HOST = "host"
TO_BOARD = "to-board"
TO_HOST = "to-host"
BOTH = "both"
DIRECTIONS = (TO_BOARD, TO_HOST, BOTH)


class VirtualCable:
    """Two joined ttys; runs in a thread of its own from construction to :meth:`close`.

    ``baud`` paces the line (8N1), None passes bytes on at once. With ``follow`` the ports decide as
    on a real line: bytes take the time of the rate that the sender's tty is set to, and are garbage
    to a receiver that is set to another one. The ends appear as symlinks
    ``board`` and ``host`` in ``directory``, which is made when missing: ``board_end`` and
    ``host_end`` are their paths. With ``board`` that end is no tty of ours but attached to what is
    there: ``unix:PATH`` of a stream socket, such as an emulator's UART, or a serial device, behind
    which a real board is; ``board_end`` is that text then. The line is faultless until
    :meth:`set_conditions`; ``seed`` then decides where its faults strike. All methods may be called
    from any thread.

    Raises ConfigError for a rate that is not positive, for a directory that another cable uses and
    for a ``board`` that cannot be, OSError when no pty can be had.
    """

    def __init__(
        self,
        baud: float | None,
        directory: str | os.PathLike[str],
        seed: int = 0,
        follow: bool = False,
        board: str = "",
    ) -> None:
        check_rate(baud)
        if board and follow:
            raise ConfigError(f"{board} has no rate to follow; give the line a rate instead")
        self._attach = attached_end(board, baud) if board else None
        os.makedirs(directory, exist_ok=True)
        self._lock_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            raise ConfigError(f"another cable has its ends in {directory}") from None
        self._board = board
        self._links = {end: os.path.join(os.fspath(directory), end) for end in (BOARD, HOST)}
        self.baud = baud
        self._ends: dict[str, End] = {}
        self._lines = {
            TO_BOARD: Direction(HOST, BOARD, baud, f"{seed}/{TO_BOARD}", follow),
            TO_HOST: Direction(BOARD, HOST, baud, f"{seed}/{TO_HOST}", follow),
        }
        self._replug: list[tuple[float, str]] = []  # a heap: when, which end
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._jobs: list[Callable[[], None]] = []
        self._jobs_lock = threading.Lock()
        self._stopping = False
        self._plug((BOARD, HOST))
        self._thread = threading.Thread(target=self._run, name="virtual-cable", daemon=True)
        self._thread.start()

    @property
    def board_end(self) -> str:
        """Path of the board's tty, which vanishes while unplugged, or what is attached there."""
        return self._board or self._links[BOARD]

    @property
    def host_end(self) -> str:
        """Path of the host's tty; it vanishes while unplugged."""
        return self._links[HOST]

    def set_conditions(self, direction: str, conditions: Conditions) -> None:
        """Make one direction (``"to-board"``, ``"to-host"``), or ``"both"``, so from now on.

        Raises ConfigError for another direction, as all methods that take one.
        """
        self._each(direction, lambda line, now_s: line.set_conditions(conditions, now_s))

    def conditions(self, direction: str) -> Conditions:
        """How one direction is now."""
        return self._one(direction).conditions

    def counters(self, direction: str) -> Counters:
        """What happened in one direction since the cable was laid."""
        line = self._one(direction)
        found: list[Counters] = []
        self._call(lambda: found.append(line.counters()))
        return found[0]

    def damage(self, direction: str) -> Damage:
        """For faults at exact places of one direction; they count the bytes the line carries."""
        return self._one(direction).damage

    def send_break(self, direction: str) -> None:
        """A break, now."""
        self._each(direction, lambda line, now_s: line.send_break(now_s))

    def stall(self, direction: str, duration_s: float) -> None:
        """Let nothing move for a while, from now."""
        self._each(direction, lambda line, now_s: line.stall(duration_s, now_s))

    def set_baud(self, baud: float | None) -> None:
        """Another rate from now on. ConfigError for one that is not positive, or not the device's.

        A device that is attached has it from when it is opened again: unplug and plug it.
        """
        check_rate(baud)
        if self._board:
            self._attach = attached_end(self._board, baud)
        self.baud = baud
        self._each(BOTH, lambda line, now_s: line.pace.set_baud(baud, now_s))

    def unplug(self, *ends: str) -> None:
        """Pull the ends named (``"board"``, ``"host"``; default both) out.

        Their device paths vanish, programs that have them open see a hang-up, and bytes under way
        are lost. Returns when that is done; an end already out stays out.
        """
        self._call(lambda: self._unplug(ends or (BOARD, HOST)))

    def plug(self, *ends: str) -> None:
        """Plug the ends named (default both) in again, under the same paths."""
        self._call(lambda: self._plug(ends or (BOARD, HOST)))

    def close(self) -> None:
        """Remove the cable; idempotent."""
        with self._jobs_lock:
            if self._stopping:
                return
            self._stopping = True
            os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._unplug((BOARD, HOST))
        os.close(self._wake)
        os.close(self._lock_fd)

    def __enter__(self) -> VirtualCable:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, direction: str) -> Direction:
        if direction not in self._lines:
            raise ConfigError(f"{direction!r} is no direction; there are {', '.join(self._lines)}")
        return self._lines[direction]

    def _each(self, direction: str, action: Callable[[Direction, float], None]) -> None:
        """Do this to the directions named, with the time."""
        lines = self._lines.values() if direction == BOTH else (self._one(direction),)

        def job() -> None:
            for line in lines:
                action(line, time.monotonic())

        self._call(job)

    def _call(self, job: Callable[[], None]) -> None:
        """Run ``job`` in the cable's thread, which alone uses the descriptors; wait for it."""
        done = threading.Event()
        failures: list[OSError] = []

        def run() -> None:
            try:
                job()
            except OSError as error:
                failures.append(error)
            finally:
                done.set()

        with self._jobs_lock:
            if self._stopping:
                raise ConfigError("the cable is closed")
            self._jobs.append(run)
            os.eventfd_write(self._wake, 1)
        done.wait()
        if failures:
            raise failures[0]

    def _plug(self, ends: Iterable[str]) -> None:
        for end in ends:
            if end not in self._ends:
                attach = self._attach if end == BOARD else None
                self._ends[end] = attach() if attach else PtyEnd(self._links[end])

    def _unplug(self, ends: Iterable[str]) -> None:
        for end in ends:
            if end in self._ends:
                self._ends.pop(end).close()
        for line in self._lines.values():
            line.clear()

    def _upset(self, now_s: float) -> float:
        """What time brings by itself: faults, and ends put in again; when the next of those is."""
        for line in self._lines.values():
            if line.upset(now_s) and line.target in self._ends:
                self._unplug((line.target,))
                line.disconnected()
                heapq.heappush(self._replug, (now_s + line.conditions.disconnect_s, line.target))
        while self._replug and self._replug[0][0] <= now_s:
            self._plug((heapq.heappop(self._replug)[1],))
        return self._replug[0][0] if self._replug else math.inf

    def _run(self) -> None:
        stopping = False
        while not stopping:
            now_s = time.monotonic()
            next_s = self._upset(now_s)
            readers: list[int] = [self._wake]
            writers: list[int] = []
            for line in self._lines.values():
                from_end, to_end = self._ends.get(line.source), self._ends.get(line.target)
                full = line.carry(from_end, to_end, now_s)
                if full is not None:
                    writers.append(full)
                next_s = min(next_s, line.next_s())
                if from_end is None or len(line.pace.queue) >= line.pace.room:
                    continue
                if from_end.is_open():
                    readers.append(from_end.master)
                else:
                    next_s = min(next_s, now_s + _CLOSED_POLL_S)
            wait_s = None if next_s == math.inf else max(0.0, next_s - time.monotonic())
            # select, for its timeout is in microseconds where poll's is in milliseconds.
            ready, _, _ = select.select(readers, writers, (), wait_s)
            if self._wake in ready:
                os.eventfd_read(self._wake)
                with self._jobs_lock:
                    jobs, self._jobs = self._jobs, []
                    stopping = self._stopping
                for job in jobs:
                    job()


def check_rate(baud: float | None) -> None:
    """ConfigError unless ``baud`` is None or a positive number."""
    if baud is not None and not 0 < baud < math.inf:
        raise ConfigError(f"a cable cannot run at {baud} baud; give a positive rate")
