# SPDX-License-Identifier: MIT
"""Waiting for what other threads and processes do."""

from __future__ import annotations

import threading
from collections.abc import Callable


def wait_for(condition: Callable[[], object]) -> None:
    """Until it is true; it is asked 100 times a second."""
    pause = threading.Event()
    for _ in range(1500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("the condition did not come true within 15 s")
