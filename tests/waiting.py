# SPDX-License-Identifier: MIT
"""Waiting for what other threads and processes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONG_S = 60.0  # however busy the machine is; never waited out


def wait_for(condition: Callable[[], object]) -> None:
    """Until it is true; it is asked 100 times a second."""
    pause = threading.Event()
    end_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end_s, f"the condition did not come true within {LONG_S} s"
        pause.wait(0.01)
