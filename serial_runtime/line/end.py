# SPDX-License-Identifier: MIT
"""One end of the cable, mostly a pseudo terminal that programs open like a UART."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import termios
import tty
from typing import Protocol

# asm-generic (x86, Arm, RISC-V). The result of the second has both speeds as plain numbers.
_TIOCGPTPEER = 0x5441
_TCGETS2 = 0x802C542A
_OSPEED_INDEX = 10
TTY_HOLDS = 4095
"""Bytes a tty keeps for its reader (the kernel's line discipline); more wait before it."""


class End(Protocol):
    """What the cable needs of an end; used by its thread alone."""

    @property
    def master(self) -> int:
        """Descriptor to wait for, while the end is open."""

    def is_open(self) -> bool:
        """Whether there is somebody to read and write."""

    def read(self, size: int) -> bytes:
        """What has come, at most that much; never blocks."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """How much was taken; never blocks. What nobody is there for is lost, so taken."""

    def baud(self) -> int:
        """The rate it is set to; 0 when that cannot be told."""

    def unread(self) -> int:
        """Bytes that its reader has not taken; 0 when that cannot be told."""

    def close(self) -> None:
        """Pull it out."""


class PtyEnd:
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

    def baud(self) -> int:
        """The rate that programs have set at the slave; 38400 until one does."""
        state = array.array("i", [0] * 64)
        fcntl.ioctl(self.master, _TCGETS2, state)  # of a master it tells the slave's
        return state[_OSPEED_INDEX]

    def unread(self) -> int:
        """Bytes in the tty that its reader has not taken; 0 when that cannot be told.

        The kernel tells it at the slave only, so it is opened for a moment. A program that opened
        it with TIOCEXCL keeps everybody else out, us as well.
        """
        try:
            slave = fcntl.ioctl(self.master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            count = array.array("i", [0])
            fcntl.ioctl(slave, termios.FIONREAD, count)
            return count[0]
        finally:
            os.close(slave)

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.link)
        os.close(self.master)
