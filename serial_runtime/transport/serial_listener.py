# SPDX-License-Identifier: MIT
"""The board's end of a serial line: it is waited for, opened, watched, and opened again."""

from __future__ import annotations

import errno
import os
import threading
import time

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout
from serial_runtime.transport import tty_ioctl
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.line_watch import LineWatch
from serial_runtime.transport.serial import (
    ABSENT,
    BUSY,
    HalfDuplex,
    SerialTransport,
    Unopened,
    check_baud,
    open_serial,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.transport.interface import Transport

_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 0.5


class SerialListener:
    """The board's end of a serial line: ``accept`` opens the device, again after an unplug.

    A line has one peer at a time: ``accept`` waits until the transport it returned before is
    closed. While the device is missing it waits for it; ``waiting_for`` says so in words. Before
    the first success a device that is in use or not permitted is an error, afterwards it is waited
    for as well: a device coming back belongs to udev and its friends for a moment.

    ``inherited_fd``: descriptor of the same device, kept open over ``execve``; the first
    ``accept`` uses it as it is, so no setting changes and no waiting byte is lost. ``on_wait`` is
    told why the device does not open, once for each reason.

    Raises ConfigError for an unknown baud rate.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        inherited_fd: int | None = None,
        on_wait: Callable[[str], None] = lambda reason: None,
        half_duplex: HalfDuplex | None = None,
    ) -> None:
        check_baud(baud)
        self.name = f"{port} at {baud} baud"
        self.waiting_for = ""
        self._port = port
        self._baud = baud
        self._inherited_fd = inherited_fd
        self._on_wait = on_wait
        self._half_duplex = half_duplex
        self._watch = LineWatch(port)
        self._changed = threading.Condition()
        self._current: Transport | None = None
        self._opened_before = inherited_fd is not None
        self._closing = False

    @property
    def fd(self) -> int:
        """Descriptor of the open device; make it inheritable before ``execve``.

        Raises LinkClosed while no device is open.
        """
        current = self._current
        if not isinstance(current, FdTransport):
            raise LinkClosed(f"{self.name} is not open")
        return current.fd

    @property
    def troubles(self) -> list[str]:
        """Why it is not open; or what others do to it, as `look` has seen it last."""
        if self._current is None:
            return [self.waiting_for] if self.waiting_for else []
        return self._watch.troubles

    def look(self) -> list[str]:
        """Every now and then, one thread: see `LineWatch.look`."""
        current = self._current
        return self._watch.look(current) if isinstance(current, SerialTransport) else []

    def accept(self, timeout_s: float | None) -> Transport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        limit_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        pause_s = _FIRST_RETRY_S
        with self._changed:
            while True:
                if self._closing:
                    raise LinkClosed(f"listener on {self.name} is closed")
                if self._current is None:
                    try:
                        return self._open()
                    except LinkError as error:
                        if self.waiting_for != str(error):
                            self.waiting_for = str(error)
                            self._on_wait(self.waiting_for)
                        if not (isinstance(error, Unopened) and self._may_retry(error.code)):
                            raise
                    wait_s = pause_s
                    pause_s = min(2 * pause_s, _LONGEST_RETRY_S)
                else:
                    self.waiting_for = f"{self.name} is still served"
                    wait_s = float("inf")
                left_s = min(wait_s, limit_s - time.monotonic())
                if left_s <= 0:
                    raise LinkTimeout(self.waiting_for)
                self._changed.wait(None if left_s == float("inf") else left_s)

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`. An accepted transport stays."""
        with self._changed:
            if not self._closing and self._inherited_fd is not None:
                os.close(self._inherited_fd)
                self._inherited_fd = None
            self._closing = True
            self._changed.notify_all()

    def _open(self) -> Transport:
        fd, self._inherited_fd = self._inherited_fd, None
        transport: Transport
        if fd is not None and _is_device(fd, self._port):
            os.set_inheritable(fd, False)
            # It may run at a rate that a client has agreed on with the process before.
            baud = tty_ioctl.baud_of(fd) or self._baud
            transport = SerialTransport(fd, self._port, baud, self._forget, self._half_duplex)
            transport.home_baud = self._baud
        else:
            if fd is not None:
                os.close(fd)
            transport = open_serial(self._port, self._baud, self._forget, self._half_duplex)
        self._current = transport
        self._opened_before = True
        self.waiting_for = ""
        return transport

    def _may_retry(self, code: int) -> bool:
        if code in ABSENT or code == errno.ECONNREFUSED:
            return True
        return self._opened_before and code in (*BUSY, errno.EACCES, errno.EPERM)

    def _forget(self) -> None:
        with self._changed:
            self._current = None
            self._changed.notify_all()


def _is_device(fd: int, port: str) -> bool:
    """Whether ``fd`` still is what ``port`` names."""
    try:
        return os.isatty(fd) and os.fstat(fd).st_rdev == os.stat(port).st_rdev
    except OSError:
        return False
