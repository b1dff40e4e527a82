# SPDX-License-Identifier: MIT
"""The proof that the line runs at its rate: raw bytes, both ways at once, against the clock.

The cable is a process of its own, as its users have it. A rate is what arrived after the first
read, by the time from the first read to the last one: so neither the start nor the tty's buffers
count.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path

from serial_runtime.errors import ConfigError

BAUDS = (9600, 115200, 921600, 3_000_000)
LEAST = 0.998
_PIECE = 4096


class _Way:
    """One direction under test: two threads push and take bytes until they are told to stop."""

    def __init__(self, from_fd: int, to_fd: int) -> None:
        self._from, self._to = from_fd, to_fd
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._push, self._take)]
        self.first_s = self.last_s = 0.0
        self.count = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def rate_Bps(self) -> float:
        """Bytes per second that arrived."""
        return self.count / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0

    def _push(self) -> None:
        data = bytes(_PIECE)
        while not self._stop.is_set():
            if select.select((), (self._from,), (), 0.1)[1]:
                os.write(self._from, data)

    def _take(self) -> None:
        while not self._stop.is_set():
            if select.select((self._to,), (), (), 0.1)[0]:
                got = len(os.read(self._to, _PIECE))
                self.last_s = time.monotonic()
                if self.first_s:
                    self.count += got
                else:
                    self.first_s = self.last_s


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def measure(baud: int, seconds: float, *options: str) -> tuple[float, float, float]:
    """Rates to board and host as ratios to the nominal one, and the cable's CPU (1 is a core)."""
    with tempfile.TemporaryDirectory(prefix="serial-line-") as folder:
        command = [sys.executable, "-m", "serial_runtime.line", "--dir", folder]
        command += ["--baud", str(baud), *options]
        cable = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert cable.stdout is not None
            ends = [cable.stdout.readline().strip() for _ in range(3)][:2]
            board, host = (os.open(end, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for end in ends)
            for fd in (board, host):
                tty.setraw(fd)
            ways = _Way(host, board), _Way(board, host)
            used_s, began_s = _cpu_s(cable.pid), time.monotonic()
            for way in ways:
                way.start()
            time.sleep(seconds)
            for way in ways:
                way.stop()
            cpu = (_cpu_s(cable.pid) - used_s) / (time.monotonic() - began_s)
            os.close(board)
            os.close(host)
        finally:
            cable.terminate()
            cable.communicate()
    to_board, to_host = (way.rate_Bps() / (baud / 10) for way in ways)
    return to_board, to_host, cpu


def prove(seconds: float) -> int:
    """Print the rates; 0 when all are at least 0.998 of nominal. ConfigError."""
    if not 0.1 <= seconds <= 3600:
        raise ConfigError(f"cannot measure for {seconds} s; give 0.1 to 3600")
    worst = 1.0
    print(f"raw bytes both ways for {seconds:g} s, rate / nominal rate (at least {LEAST})")
    print(f"{'baud':>9}  to board   to host   CPU of the cable")
    for baud in BAUDS:
        to_board, to_host, cpu = measure(baud, seconds)
        print(f"{baud:>9}  {to_board:8.4f}  {to_host:8.4f}   {cpu:.1%} of a core", flush=True)
        worst = min(worst, to_board, to_host)
    return 0 if worst >= LEAST else 1
