# SPDX-License-Identifier: MIT
"""A line that the board's kernel prints on, and on which a login reads and writes: calls go on."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.server import Server
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.worker import Worker

CALLS = 60
KERNEL = b"[  171.575477] usb 1-1: new high-speed USB device number 4 using dwc2\r\n"
LOGIN = b"\r\nDebian GNU/Linux 12 board ttyS0\r\n\r\nboard login: Password: \r\nLogin incorrect\r\n"


class Console:
    """A line of two ptys; the board's kernel and a login use it, too."""

    def __init__(self, folder: Path) -> None:
        self.masters: list[int] = []
        self.ends: list[str] = []
        for name in ("ttyHost", "ttyBoard"):
            master, slave = os.openpty()
            tty.setraw(slave)
            (folder / name).symlink_to(os.ttyname(slave))
            self.masters.append(master)
            self.ends.append(str(folder / name))
        self.kernel_every = self.login_every = 0  # messages; 0: it is silent
        self.printed = self.eaten = 0
        self._end, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _pass_on(self) -> None:
        host, board = self.masters
        up = down = 0
        while True:
            ready = select.select([host, board, self._end], [], [])[0]
            if self._end in ready:
                return
            if host in ready:
                data = os.read(host, 4096)
                down += 1
                if self.login_every and down % self.login_every == 0:
                    self.eaten += len(data) // 2  # the login's share, which it answers
                    data = data[: len(data) // 2]
                    os.write(host, LOGIN)
                os.write(board, data)
            if board in ready:
                data = os.read(board, 4096)
                up += 1
                if self.kernel_every and up % self.kernel_every == 0:
                    place = up * 7 % (len(data) + 1)  # before, amid or behind a frame
                    data = data[:place] + KERNEL + data[place:]
                    self.printed += 1
                os.write(host, data)

    def close(self) -> None:
        os.write(self._stop, b"x")
        self._thread.join(60)


@pytest.fixture
def console(plc, tmp_path: Path) -> Iterator[Console]:
    """With a board behind it."""
    worker = Worker()
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    console = Console(tmp_path)
    server = Server(plc, ServerSessions(1), About("bench-1", "0.0", "fake", 0), worker=worker)
    server.listen(SerialListener(console.ends[1], 115200), parallel=False)
    with contextlib.closing(console):
        yield console
    server.close()
    worker.stop()
    thread.join(60)


@pytest.mark.parametrize(("kernel", "login"), [(3, 0), (0, 5), (4, 9)])
def test_calls_go_on(console: Console, kernel: int, login: int) -> None:
    with connect(f"ERPC://{console.ends[0]}:115200", timeout_s=60.0) as client:
        before = client.status()
        console.kernel_every, console.login_every = kernel, login
        for _ in range(CALLS):
            assert client.status() == before
        console.kernel_every = console.login_every = 0
        assert client.status() == before
        assert bool(console.printed) == bool(kernel)
        assert bool(console.eaten) == bool(login)
        # What was not ours has been told from what was, at either end.
        assert client.link.figures.discarded_bytes >= len(KERNEL) * console.printed
