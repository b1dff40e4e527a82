# SPDX-License-Identifier: MIT
"""A virtual serial cable: two pseudo terminals joined by a line of a real baud rate.

For the demo, tests and benchmarks. Each end is a tty that programs open like a UART; between them
bytes take 10 bit times each (start, 8 data, stop), counted on an absolute clock, so the rate is
exact however irregularly the cable is scheduled. Delivery is in groups of up to a millisecond, the
last bytes of a burst at their own time.

Like on a real line, what arrives where nobody has the port open is lost. Unlike on one, an open
port whose reader is slow pushes back: the line waits, nothing is lost (a tty takes a few kB unread;
the cable itself holds back what the line carries in 50 ms).

``python -m serial_runtime.line --baud 115200 --dir DIR`` runs a cable as a process, so that its
timing does not depend on anybody's GIL.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterable, Sequence

from serial_runtime.errors import ConfigError

_BITS_PER_BYTE = 10
_GROUP_S = 0.001
# What a direction reads ahead of the line, so that a late wake-up costs no line time.
_AHEAD_S = 0.05
_AHEAD_MOST = 8192
_AHEAD_LEAST = 64
# An end that nobody has open says "hang-up" all the time, so it is looked at this often instead.
_CLOSED_POLL_S = 0.01
BOARD = "board"
HOST = "host"


class _End:
    """One pty: the cable holds the master, programs open the slave by a stable symlink."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.master, slave = os.openpty()
        try:
            # Raw from the start: in cooked mode the tty would echo what the line delivers.
            tty.setraw(slave)
            os.set_blocking(self.master, False)
            path = os.ttyname(slave)
        finally:
            os.close(slave)
        self._poll = select.poll()
        self._poll.register(self.master, 0)
        temporary = f"{link}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.symlink(path, temporary)
        os.replace(temporary, link)

    def is_open(self) -> bool:
        """Whether a program has the slave open."""
        return not self._poll.poll(0)

    def read(self, size: int) -> bytes:
        try:
            return os.read(self.master, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:  # closed meanwhile
                return b""
            raise

    def write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno == errno.EIO:  # closed meanwhile: lost
                return len(data)
            raise

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.link)
        os.close(self.master)


class _Direction:
    """Bytes on their way from one end to the other. Times are monotonic seconds."""

    def __init__(self, rate_Bps: float | None) -> None:
        self._rate = rate_Bps
        self.queue = bytearray()
        # The line sends byte n of the present burst until start + (n + 1) / rate.
        self._start_s = 0.0
        self._sent = 0
        if rate_Bps is None:
            self.room = 65536
            self._group = 1
        else:
            self.room = int(min(_AHEAD_MOST, max(_AHEAD_LEAST, rate_Bps * _AHEAD_S)))
            self._group = max(1, int(rate_Bps * _GROUP_S))

    def put(self, data: bytes, now_s: float) -> None:
        """Bytes the sender handed over."""
        if not self.queue and self._rate is not None:
            free_s = self._start_s + self._sent / self._rate
            if now_s > free_s:
                self._start_s, self._sent = now_s, 0
        self.queue += data

    def due(self, now_s: float) -> int:
        """How many queued bytes the line has carried by now."""
        if self._rate is None:
            return len(self.queue)
        carried = int((now_s - self._start_s) * self._rate) - self._sent
        return max(0, min(len(self.queue), carried))

    def next_s(self) -> float:
        """When the next group, or the end of the burst, is due."""
        if self._rate is None:
            return 0.0
        return self._start_s + (self._sent + min(len(self.queue), self._group)) / self._rate

    def take(self, count: int) -> None:
        """``count`` bytes were delivered."""
        del self.queue[:count]
        self._sent += count

    def hold(self, now_s: float) -> None:
        """The receiving end is full: the line stands still until now."""
        if self._rate is not None:
            self._start_s, self._sent = now_s, 0


class VirtualCable:
    """Two joined ttys; runs in a thread of its own from construction to :meth:`close`.

    ``baud`` paces the line (8N1), None passes bytes on at once. The ends appear as symlinks
    ``board`` and ``host`` in ``directory``, which is made when missing: ``board_end`` and
    ``host_end`` are their paths. All methods may be called from any thread.

    Raises ConfigError for a rate that is not positive and for a directory that another cable uses,
    OSError when no pty can be had.
    """

    def __init__(self, baud: float | None, directory: str | os.PathLike[str]) -> None:
        if baud is not None and not 0 < baud < float("inf"):
            raise ConfigError(f"a cable cannot run at {baud} baud; give a positive rate")
        os.makedirs(directory, exist_ok=True)
        self._lock_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            raise ConfigError(f"another cable has its ends in {directory}") from None
        self._links = {end: os.path.join(os.fspath(directory), end) for end in (BOARD, HOST)}
        self.baud = baud
        self._rate = None if baud is None else baud / _BITS_PER_BYTE
        self._ends: dict[str, _End] = {}
        self._paths: list[tuple[str, _Direction, str]] = []
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._jobs: list[Callable[[], None]] = []
        self._jobs_lock = threading.Lock()
        self._stopping = False
        self._reset_lines()
        self._plug((BOARD, HOST))
        self._thread = threading.Thread(target=self._run, name="virtual-cable", daemon=True)
        self._thread.start()

    @property
    def board_end(self) -> str:
        """Path of the board's tty; it vanishes while unplugged."""
        return self._links[BOARD]

    @property
    def host_end(self) -> str:
        """Path of the host's tty; it vanishes while unplugged."""
        return self._links[HOST]

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
                self._ends[end] = _End(self._links[end])

    def _unplug(self, ends: Iterable[str]) -> None:
        for end in ends:
            if end in self._ends:
                self._ends.pop(end).close()
        self._reset_lines()

    def _reset_lines(self) -> None:
        self._paths = [
            (HOST, _Direction(self._rate), BOARD),
            (BOARD, _Direction(self._rate), HOST),
        ]

    def _run(self) -> None:
        stopping = False
        while not stopping:
            now_s = time.monotonic()
            next_s = float("inf")
            readers: list[int] = [self._wake]
            writers: list[int] = []
            for source, line, target in self._paths:
                from_end, to_end = self._ends.get(source), self._ends.get(target)
                full = self._carry(from_end, line, to_end, now_s)
                if full is not None:
                    writers.append(full)
                elif line.queue:
                    next_s = min(next_s, line.next_s())
                if from_end is None or len(line.queue) >= line.room:
                    continue
                if from_end.is_open():
                    readers.append(from_end.master)
                else:
                    next_s = min(next_s, now_s + _CLOSED_POLL_S)
            wait_s = None if next_s == float("inf") else max(0.0, next_s - time.monotonic())
            # select, for its timeout is in microseconds where poll's is in milliseconds.
            ready, _, _ = select.select(readers, writers, (), wait_s)
            if self._wake in ready:
                os.eventfd_read(self._wake)
                with self._jobs_lock:
                    jobs, self._jobs = self._jobs, []
                    stopping = self._stopping
                for job in jobs:
                    job()

    def _carry(
        self, source: _End | None, line: _Direction, target: _End | None, now_s: float
    ) -> int | None:
        """Take bytes in and deliver what is due; return the descriptor that is full, if it is."""
        if source is not None:
            # Before delivering, so that a late wake-up sees no gap where the sender made none.
            room = line.room - len(line.queue) + line.due(now_s)
            if room > 0 and (data := source.read(room)):
                line.put(data, now_s)
        due = line.due(now_s)
        if not due:
            return None
        if target is None or not target.is_open():
            line.take(due)
            return None
        taken = target.write(line.queue[:due])
        line.take(taken)
        if taken == due:
            return None
        line.hold(now_s)
        return target.master


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cable until stdin ends or SIGTERM; the lines ``unplug`` and ``plug`` do just that."""
    import argparse
    import signal
    import sys

    parser = argparse.ArgumentParser(
        prog="python -m serial_runtime.line",
        description="A virtual serial cable: two ttys joined by a line of a real baud rate. Prints "
        "the board's and the host's device path, then READY; runs until stdin ends or SIGTERM. "
        "The lines 'unplug' and 'plug' on stdin (with 'board' or 'host' for one end) pull it out "
        "and put it in again, and are answered with OK.",
    )
    parser.add_argument(
        "--baud", type=float, default=115200, help="rate; 0: as fast as it goes (default 115200)"
    )
    parser.add_argument("--dir", required=True, help="folder for the links 'board' and 'host'")
    options = parser.parse_args(arguments)

    def end(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        laid = VirtualCable(options.baud or None, options.dir)
    except (ConfigError, OSError) as error:
        parser.error(str(error))
    with laid as cable:
        print(cable.board_end, cable.host_end, "READY", sep="\n", flush=True)
        actions = {"plug": cable.plug, "unplug": cable.unplug}
        for words in map(str.split, sys.stdin):
            if words and words[0] in actions and set(words[1:]) <= {BOARD, HOST}:
                actions[words[0]](*words[1:])
                print("OK", flush=True)
            elif words:
                print("commands: plug [board|host], unplug [board|host]", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
