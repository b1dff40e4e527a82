# SPDX-License-Identifier: MIT
"""Where the rig keeps what runs: sockets, disks, logs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hil.boards.board import RigError

ROOT = Path(__file__).resolve().parent.parent.parent
HIL = ROOT / ".hil"
_SOCKET_PATH_BYTES = 107
_LONGEST_NAME = "console.sock"
_LOOK_S = 0.2
_locks: dict[Path, int] = {}


def run_folder(name: str | Path) -> Path:
    """The folder of a board, below .hil/run unless `name` is absolute; ours until we end.

    RigError: another process has it, or sockets in it would have too long a path.
    """
    folder = HIL / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    if len(os.fsencode(folder / _LONGEST_NAME)) > _SOCKET_PATH_BYTES:
        raise RigError(
            f"the path {folder} is too long for sockets; give the board in the environment file "
            "a shorter `folder`, such as /tmp/board1"
        )
    if folder not in _locks:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RigError(
                f"another session uses the board in {folder}; wait for its end, or give this one "
                "another `folder` in the environment file"
            ) from None
        _locks[folder] = lock
    return folder


@contextlib.contextmanager
def boot_slot() -> Iterator[None]:
    """Boards of this host boot a few at a time: one for each processor that we may use."""
    folder = HIL / "run" / "boots"
    folder.mkdir(parents=True, exist_ok=True)
    slots = [os.open(folder / str(n), os.O_RDWR | os.O_CREAT) for n in range(_processors())]
    try:
        while not any(map(_locked, slots)):
            time.sleep(_LOOK_S)
        yield
    finally:
        for slot in slots:
            os.close(slot)


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _locked(slot: int) -> bool:
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
