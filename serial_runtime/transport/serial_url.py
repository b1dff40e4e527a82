# SPDX-License-Identifier: MIT
"""Ports that pyserial opens by a URL of its own, used through its object."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from serial_runtime.errors import LinkClosed, LinkTimeout

_BITS_PER_BYTE = 10
_SLICE_S = 0.2
_READ_SIZE = 4096


class UrlTransport:
    """A port behind one of pyserial's URL handlers; see ``Transport``."""

    kind = "serial"
    identity = ""
    reliable = False

    def __init__(
        self, port: Any, name: str, baud: int, on_close: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.line_rate_Bps: float | None = baud / _BITS_PER_BYTE
        self.turnaround_s: float | None = None
        self._port = port
        self._on_close = on_close
        self._closing = False
        self._interrupted = False
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def read(self, timeout_s: float | None) -> bytes:
        """See ``Transport``. Notices what another thread wants within 0.2 s."""
        limit_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        with self._reading:
            while True:
                self._check_open()
                left_s = limit_s - time.monotonic()
                try:
                    self._port.timeout = max(0.0, min(left_s, _SLICE_S))
                    data: bytes = self._port.read(1)
                except OSError as error:
                    raise LinkClosed(f"{self.name}: {error}") from error
                if data:
                    # Not in_waiting: for some handlers that is never more than 1. What this read
                    # finds broken the next one will find broken again.
                    with contextlib.suppress(OSError):
                        self._port.timeout = 0
                        data += self._port.read(_READ_SIZE)
                    return data
                if left_s <= 0 or self._interrupted:
                    self._interrupted = False
                    return b""

    def interrupt(self) -> None:
        """See ``Transport``."""
        self._interrupted = True

    def write(self, data: bytes) -> None:
        """See ``Transport``."""
        self._check_open()
        try:
            self._port.write(data)
        except OSError as error:
            if type(error).__name__ == "SerialTimeoutException":
                raise LinkTimeout(f"{self.name}: the line does not take the bytes") from error
            raise LinkClosed(f"{self.name}: {error}") from error

    def close(self) -> None:
        """See ``Transport``."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        with self._reading:
            self._port.close()
        if self._on_close:
            self._on_close()

    def _check_open(self) -> None:
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
