# SPDX-License-Identifier: MIT
"""Tells who was not let in, without letting them fill the log."""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_S = 10.0


class Refusals:
    """Passes on one message in `_PAUSE_S`; it says how many were left out before. Any thread."""

    def __init__(self, log: Callable[[str], object]) -> None:
        self._log = log
        self._lock = threading.Lock()  # protects the following
        self._told_s = -_PAUSE_S
        self._untold = 0

    def tell(self, text: str) -> None:
        """Pass this on, or count it."""
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._told_s + _PAUSE_S:
                self._untold += 1
                return
            untold, self._untold, self._told_s = self._untold, 0, now_s
        self._log(f"{text} ({untold} such messages left out before)" if untold else text)
