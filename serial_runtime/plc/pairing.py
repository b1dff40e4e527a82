# SPDX-License-Identifier: MIT
"""The pairing window: for some minutes, one client on TCP may ask for the board's secret.

Somebody on the board opens it (``serial-runtime identity pair``) by a file in the program store,
which the runtime looks at when a client asks; whoever may write there may replace the program too.
The file tells a time of the monotonic clock and the boot it belongs to, so neither a clock that is
set nor a reboot opens a window again. The first client that is told the secret closes it: if that
was a stranger, the one it was opened for is refused and knows.
"""

from __future__ import annotations

import contextlib
import os
import time

from serial_runtime.errors import StoreError

FILE = "pairing"
MOST_S = 3600
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def open_window(store_dir: str, seconds: float) -> None:
    """Let one client pair within so many seconds. StoreError."""
    path = os.path.join(store_dir, FILE)
    end_ns = time.monotonic_ns() + round(seconds * 1e9)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ".new")
        # Exclusive: root follows no link that the runtime's user has put there.
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o644)  # the runtime may be another user
            file.write(f"{_boot_id()} {end_ns}\n")
        os.replace(path + ".new", path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def close_window(store_dir: str) -> bool:
    """Close the window for good; whether it was open. Of several callers one is told so."""
    path = os.path.join(store_dir, FILE)
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            boot_id, end_ns = file.read(200).split()
        os.unlink(path)
        left_ns = int(end_ns) - time.monotonic_ns()
        return boot_id == _boot_id() and 0 < left_ns <= MOST_S * 1_000_000_000
    except (OSError, ValueError):  # none, damaged, or one that cannot be closed
        with contextlib.suppress(OSError):
            os.unlink(path)
        return False


def _boot_id() -> str:
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
