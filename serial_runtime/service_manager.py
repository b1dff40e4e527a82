# SPDX-License-Identifier: MIT
"""Tells systemd, or who speaks like it, how the runtime is: Type=notify, see sd_notify(3).

Datagrams to the socket in $NOTIFY_SOCKET; without one nothing is sent. Signs of life for
WatchdogSec= come from the worker's loop alone, so that a worker that is stuck is noticed: the
service manager then kills the process, its guard makes the outputs safe, and it is started anew.
Nothing here waits, and no failure of the other end matters to the runtime.
"""

from __future__ import annotations

import contextlib
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIGNS_PER_LIMIT = 4


class ServiceManager:
    """The one that has started this process. Any thread; `alive` is the worker's."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # a name without a file
            self._address = f"\0{self._address[1:]}"
        self._limit_s = _watchdog_s(environment) if self._address else 0.0
        self._due_s = clock()
        self._status = ""

    def ready(self) -> None:
        """Calls are taken from now on; also after `reloading`."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """The worker works, and what it has in hand; called often, sent seldom."""
        now_s = self._clock()
        if self._limit_s and now_s >= self._due_s:
            self._due_s = now_s + self._limit_s / _SIGNS_PER_LIMIT
            self._send("WATCHDOG=1")
        if status != self._status:
            self._status = status
            self._send("STATUS=" + " ".join(status.split()))

    def reloading(self) -> None:
        """The process executes itself again; its number stays."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Restarting itself")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1\nSTATUS=Stopping")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # Only what is in C of `socket`: the rest makes enums of many constants, a tenth of the time
        # from start to ready on a small board.
        import _socket

        with contextlib.suppress(OSError):
            one = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
            try:
                one.setblocking(False)
                one.sendto(text.encode(), self._address)
            finally:
                one.close()


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """WatchdogSec= of the unit, 0: none, or not for this process."""
    limit, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (limit.isascii() and limit.isdigit()) or process not in ("", str(os.getpid())):
        return 0.0
    return int(limit) / 1e6
