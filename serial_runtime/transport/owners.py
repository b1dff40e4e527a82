# SPDX-License-Identifier: MIT
"""Who has a device open, read from /proc. Other users' processes are seen by root only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple


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


def _open_files(folder: str) -> Iterator[str]:
    for one in os.listdir(folder):
        with contextlib.suppress(OSError):
            yield os.readlink(f"{folder}/{one}")
