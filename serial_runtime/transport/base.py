# SPDX-License-Identifier: MIT
"""The one implementation of a transport for file descriptors.

A tty and a connected socket behave alike once opened: non-blocking reads and writes, ``poll``, a
hang-up. So :class:`FdTransport` serves both; pyserial and the socket module only open them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time

from serial_runtime.errors import LinkClosed, LinkTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeGuard

    from serial_runtime.transport.interface import RatedTransport, Transport

_READ_SIZE = 16384
_TAKE_SIZE = 1024  # few calls: other work waits behind them
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


def is_rated(transport: Transport) -> TypeGuard[RatedTransport]:
    """Whether its rate can be changed."""
    return hasattr(transport, "switch_rate")


def milliseconds(timeout_s: float | None) -> int | None:
    """Convert for ``poll``: whole milliseconds, rounded up so that a short wait is one."""
    if timeout_s is None:
        return None
    return max(0, -int(-timeout_s * 1000 // 1))


class FdTransport:
    """A transport over a file descriptor, which it owns from now on.

    ``write_base_s`` and ``line_rate_Bps`` make the deadline of a write: the base plus three times
    what the line needs for the data. ``on_close`` runs once, after the descriptor is closed.
    """

    identity = ""

    def __init__(
        self,
        fd: int,
        name: str,
        *,
        kind: str,
        line_rate_Bps: float | None = None,
        write_base_s: float = 10.0,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.reliable = kind != "serial"
        self.line_rate_Bps = line_rate_Bps
        self.turnaround_s: float | None = None
        self._fd = fd
        self._write_base_s = write_base_s
        self._on_close = on_close
        os.set_blocking(fd, False)
        # Readable once close() was called, for good: it wakes both sides.
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._nudge = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # see interrupt()
        self._nudged = False
        self._closing = False
        self._closing_lock = threading.Lock()
        self._is_lent = False
        self._released = False
        # Held while a thread uses the descriptor: close() frees its number only after that.
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._input = select.poll()
        self._output = select.poll()
        for poll, events in ((self._input, select.POLLIN), (self._output, select.POLLOUT)):
            poll.register(fd, events)
            poll.register(self._wake, select.POLLIN)
        self._input.register(self._nudge, select.POLLIN)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{' closed' if self._closing else ''}>"

    # Another thread may take over the reading for a while, without the locks of `read`: the
    # thread that lends waits meanwhile (rpc.link_server and worker.attend).

    @contextlib.contextmanager
    def lent(self) -> Iterator[tuple[int, ...]]:
        """The descriptors to poll for `take`. `close` takes effect at the end of this block."""
        try:
            with self._reading:
                with self._closing_lock:
                    if self._closing:
                        raise LinkClosed(f"{self.name} is closed")
                    self._is_lent = True
                try:
                    yield self._fd, self._wake, self._nudge
                finally:
                    with self._closing_lock:
                        self._is_lent = False
        finally:
            if self._closing:
                self._release()

    def take(self) -> bytes:
        """While lent: what has arrived, or ``b""``; LinkClosed as `read`. Never waits."""
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        if self._nudged:
            self._unnudge()
        return self._read_some(_TAKE_SIZE)

    def offer(self, data: bytes) -> int:
        """While lent: write as much as the line takes at once; how many bytes. Never waits."""
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        return self._write_some(data)

    @property
    def fd(self) -> int:
        """The descriptor, for handing it to a re-executed process. LinkClosed when closed."""
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        return self._fd

    def read(self, timeout_s: float | None) -> bytes:
        """See :class:`Transport`."""
        limit_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._reading:
            while True:
                if not self._wait(self._input, timeout_s):
                    return b""
                if self._nudged:
                    self._unnudge()
                    return self._read_some(_READ_SIZE)
                data = self._read_some(_READ_SIZE)
                if data:
                    return data
                # Somebody else took the bytes, or they were not for us: keep waiting.
                if limit_s is not None:
                    timeout_s = max(0.0, limit_s - time.monotonic())

    def write(self, data: bytes) -> None:
        """See :class:`Transport`."""
        with self._writing:
            if self._closing:
                raise LinkClosed(f"{self.name} is closed")
            done = self._write_some(data)
            if done == len(data):
                return
            allowed_s = self._write_base_s
            if self.line_rate_Bps:
                allowed_s += 3.0 * len(data) / self.line_rate_Bps
            limit_s = time.monotonic() + allowed_s
            rest = memoryview(data)[done:]
            while rest:
                if not self._wait(self._output, limit_s - time.monotonic()):
                    raise LinkTimeout(
                        f"{self.name}: {len(rest)} of {len(data)} bytes not taken by the line "
                        f"within {allowed_s:.1f} s"
                    )
                rest = rest[self._write_some(rest) :]

    def interrupt(self) -> None:
        """See :class:`Transport`."""
        with self._closing_lock:
            if not (self._closing or self._nudged):
                self._nudged = True
                os.eventfd_write(self._nudge, 1)

    def _unnudge(self) -> None:
        with self._closing_lock:
            os.eventfd_read(self._nudge)
            self._nudged = False

    def close(self) -> None:
        """See :class:`Transport`."""
        with self._closing_lock:
            if self._closing:
                return
            self._closing = True
            os.eventfd_write(self._wake, 1)
            if self._is_lent:
                return
        self._release()

    def detach(self) -> int:
        """Give up the descriptor, which stays open; `read` and `write` end as after ``close``.

        Not a byte is read from it any more when this returns. LinkClosed when it is closed.
        """
        with self._closing_lock:
            if self._closing:
                raise LinkClosed(f"{self.name} is closed")
            self._closing = True
            os.eventfd_write(self._wake, 1)
        with self._reading, self._writing:
            self._released = True
            os.close(self._wake)
            os.close(self._nudge)
        return self._fd

    def _release(self) -> None:
        """Close in earnest, once nobody uses the descriptor."""
        with self._reading, self._writing:
            if self._released:
                return
            self._released = True
            self._before_close()
            os.close(self._fd)
            os.close(self._wake)
            os.close(self._nudge)
        if self._on_close:
            self._on_close()

    def _before_close(self) -> None:
        """A subclass's last words to the descriptor."""

    def _wait(self, poll: select.poll, timeout_s: float | None) -> bool:
        """Whether the descriptor is ready; LinkClosed when it is closed or broken."""
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        ready = dict(poll.poll(milliseconds(timeout_s)))
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        events = ready.get(self._fd, 0)
        if events & _GONE and not events & select.POLLIN:
            raise LinkClosed(f"{self.name}: the other end hung up or the device is gone")
        return bool(ready)

    def _read_some(self, size: int) -> bytes:
        """What has arrived, ``b""`` when nothing has; LinkClosed."""
        try:
            data = os.read(self._fd, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise LinkClosed(f"{self.name}: the other end hung up")
        return data

    def _write_some(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> LinkClosed:
        if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO):
            return LinkClosed(f"{self.name}: the device is gone ({error.strerror})")
        return LinkClosed(f"{self.name}: {error.strerror}")
