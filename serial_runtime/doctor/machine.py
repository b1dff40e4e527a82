# SPDX-License-Identifier: MIT
"""The one door to the facts: everything a check wants to know of the machine goes through here.

A test gives another root directory and another `ioctl`. Paths are those of the real machine.
"""

from __future__ import annotations

import fcntl
import os
import stat

from serial_runtime.named_tuple import NamedTuple
from serial_runtime.transport.owners import Owner, bridge_place, owners


class Node(NamedTuple):
    """A file below /dev."""

    is_character_device: bool
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


class Process(NamedTuple):
    """What anybody may see of a process."""

    pid: int
    name: str
    tty: int  # device number of its controlling tty, 0: none
    rt_priority: int  # 0: not real time
    command: str  # its arguments, "" of a kernel thread


def numbers(text: str) -> set[int]:
    """ "0,2-3" as numbers; what is none counts for nothing, as "(null)"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), int(last or first) + 1))
    return found


class Machine:
    """This machine. Methods named without an error give something empty when a fact is missing."""

    def __init__(self, root: str = "") -> None:
        self._root = root

    def text(self, path: str) -> str:
        """What a file says, stripped; "" when it cannot be read."""
        try:
            with open(self._root + path, encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """What a directory holds, sorted."""
        try:
            return sorted(os.listdir(self._root + path))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Whether something is there, be it a dangling link."""
        return os.path.lexists(self._root + path)

    def is_folder(self, path: str) -> bool:
        """Whether it is a directory."""
        return os.path.isdir(self._root + path)

    def resolve(self, path: str) -> str:
        """The path behind symbolic links."""
        root = os.path.realpath(self._root) if self._root else ""
        return os.path.realpath(self._root + path).removeprefix(root)

    def node(self, path: str) -> Node:
        """What a device file is. OSError."""
        found = os.stat(self._root + path)
        device = found.st_rdev
        return Node(
            stat.S_ISCHR(found.st_mode),
            os.major(device),
            os.minor(device),
            stat.S_IMODE(found.st_mode),
            found.st_uid,
            found.st_gid,
        )

    def may_use(self, path: str) -> bool:
        """Whether this user may read and write it."""
        return os.access(self._root + path, os.R_OK | os.W_OK)

    def group(self, gid: int) -> str:
        """The name of a group, or its number."""
        import grp

        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    def user(self) -> str:
        """Who we are."""
        import pwd

        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return str(os.geteuid())

    def owners(self, path: str) -> list[Owner]:
        """Who has a device open, this process not counted."""
        found = owners(self._root + path, self._root + "/proc")
        return [owner for owner in found if owner.pid != os.getpid()]

    def bridge_place(self, pid: int) -> str:
        """Where a process listens if it is a bridge, else ""."""
        return bridge_place(pid, self._root + "/proc")

    def processes(self) -> list[Process]:
        """All processes."""
        pids = filter(str.isdigit, self.names("/proc"))
        return [found for pid in pids for found in self._process(int(pid))]

    def open(self, path: str) -> int:
        """Open a port without waiting for its modem lines; a descriptor. OSError."""
        return os.open(self._root + path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def close(self, fd: int) -> None:
        """Close a descriptor of `open`."""
        os.close(fd)

    def ioctl(self, fd: int, request: int, state: bytearray) -> None:
        """The system call; changes `state`. OSError."""
        fcntl.ioctl(fd, request, state)

    def _process(self, pid: int) -> list[Process]:
        # /proc/PID/stat, see proc(5): the name is in brackets and may hold any character.
        head, _, rest = self.text(f"/proc/{pid}/stat").rpartition(")")
        fields = rest.split()
        if len(fields) < 39:
            return []
        command = self.text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        name = head.partition("(")[2]
        return [Process(pid, name, int(fields[4]), int(fields[37]), command)]
