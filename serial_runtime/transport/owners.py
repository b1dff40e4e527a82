# SPDX-License-Identifier: MIT
"""Who has a device open, read from /proc. Other users' processes are seen by root only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise

from serial_runtime.named_tuple import NamedTuple


class Owner(NamedTuple):
    """A process."""

    pid: int
    name: str


def owners(port: str, proc: str = "/proc") -> list[Owner]:
    """The processes that have `port` open, as far as this user may see them."""
    device = os.path.realpath(port)
    found = []
    for pid in filter(str.isdigit, os.listdir(proc)):
        # Processes and descriptors come and go, and most are not ours to see.
        with contextlib.suppress(OSError):
            if device in _open_files(f"{proc}/{pid}/fd"):
                with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                    found.append(Owner(int(pid), comm.read().strip()))
    return found


def bridge_place(pid: int, proc: str = "/proc") -> str:
    """Where a process listens that is a `serial-runtime bridge`, by its command line; else ""."""
    try:
        with open(f"{proc}/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    except OSError:
        return ""
    if not any(
        command == "bridge" and program.endswith(("serial-runtime", "serial_runtime"))
        for program, command in pairwise(words)
    ):
        return ""
    place = "127.0.0.1:3000"
    for option, value in pairwise(part for word in words for part in word.split("=", 1)):
        if option == "--listen":
            place = value
    return place


def _open_files(folder: str) -> Iterator[str]:
    for one in os.listdir(folder):
        with contextlib.suppress(OSError):
            yield os.readlink(f"{folder}/{one}")


def kernel_prints_on(port: str, proc: str = "/proc") -> bool:
    """Whether a tty is a console of the kernel."""
    name = os.path.basename(os.path.realpath(port))
    try:
        with open(f"{proc}/consoles", encoding="utf-8", errors="replace") as file:
            return any(line.split()[:1] == [name] for line in file)
    except OSError:
        return False


def login_on(device: int, proc: str = "/proc") -> str:
    """The name of a process whose controlling terminal is this device (st_rdev), "": none.

    That is what a login has, and unlike its open files everybody may see it.
    """
    major, minor = os.major(device), os.minor(device)
    number = minor & 0xFF | major << 8 | (minor & ~0xFF) << 12  # as proc(5) has it
    for pid in filter(str.isdigit, os.listdir(proc)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
                head, _, rest = file.read().rpartition(")")
            if int(rest.split()[4]) == number:
                return head.partition("(")[2]
    return ""
