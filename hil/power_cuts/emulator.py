# SPDX-License-Identifier: MIT
"""An emulated board whose power can be cut: the emulator is killed, its disk stays as it is then.

What the board has in memory is lost. What its disk took is there: QEMU has handed it to this
host's kernel. What a disk's own cache would lose besides is the matter of ``write_log``.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hil.image.machine import MACHINES
from serial_runtime.errors import LinkClosed, LinkError, SerialRuntimeError
from serial_runtime.rpc.client import Client
from serial_runtime.transport.base import FdTransport

_PROBE_S = 1.5
_CALL_S = 120.0  # a host may have little time for the emulator
_UP_S = 240.0
_POLL_S = 0.1


class Emulator:
    """One board, on or off, with a raw disk, its sockets and its console's log in one folder."""

    def __init__(self, machine: str, run: Path, log: Path | None = None) -> None:
        """A new board, off. `log`: where its disk's writes are noted. PackagingError: no image."""
        self.run = run
        self.disk = run / "disk.raw"
        self.at_step: Callable[[str], None] = lambda kind: None
        """Called when a "request" was sent, and before the first bytes after it are taken: its
        "reply", if no others are under way."""
        self._popen: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        run.mkdir(parents=True, exist_ok=True)
        kind = MACHINES[machine]
        overlay = kind.make_disk(run)
        subprocess.run(["qemu-img", "convert", "-O", "raw", overlay, self.disk], check=True)
        overlay.unlink()
        self._command = kind.arguments(run, disk=self.disk)
        if log is not None:
            log.write_bytes(b"")
            plain = f"file={self.disk},format=raw"
            noted = (
                "driver=blklogwrites,file.driver=raw,file.file.driver=file,"
                f"file.file.filename={self.disk},log.driver=file,log.filename={log}"
            )
            self._command = [word.replace(plain, noted) for word in self._command]

    def on(self) -> None:
        """Switch the power on."""
        assert self._popen is None
        for path in self.run.glob("*.sock"):
            path.unlink()
        with (self.run / "emulator.log").open("ab") as log:
            self._popen = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def cut(self) -> None:
        """Cut the power. Idempotent; any thread."""
        with self._lock:
            popen, self._popen = self._popen, None  # who loses the line by it sees why
            if popen is not None:
                popen.kill()
                popen.wait()

    @property
    def powered(self) -> bool:
        """Whether it is on."""
        return self._popen is not None

    def client(self) -> Client:
        """A client of the runtime, as soon as it answers.

        LinkError with the console's end; LinkClosed when the power was cut.
        """
        limit_s = time.monotonic() + _UP_S
        while True:
            with contextlib.suppress(SerialRuntimeError):
                Client(self._open, _PROBE_S, 0.0).close()
                return Client(self._open, _CALL_S, 0.0)
            popen = self._popen
            if popen is None:
                raise LinkClosed("the power was cut")
            if popen.poll() is not None:
                raise LinkError(f"the emulator has ended: see {self.run / 'emulator.log'}")
            if time.monotonic() > limit_s:
                console = (self.run / "console.log").read_text(errors="replace")[-1500:]
                raise LinkError(f"no runtime answers {_UP_S:.0f} s after power on:\n{console}")
            time.sleep(_POLL_S)

    def _open(self) -> _Line:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(self.run / "line.sock"))
        except OSError as error:
            line.close()
            raise LinkError(f"no emulated line: {error.strerror}") from error
        return _Line(line.detach(), self)


class _Line(FdTransport):
    """The host's end of the emulated UART, which tells what passes."""

    def __init__(self, fd: int, board: Emulator) -> None:
        super().__init__(fd, "the board's line", kind="serial")
        self._board = board
        self._asked = False

    def write(self, data: bytes) -> None:
        super().write(data)
        self._asked = True
        self._board.at_step("request")

    def read(self, timeout_s: float | None) -> bytes:
        data = super().read(timeout_s)
        if data and self._asked:
            self._asked = False
            self._board.at_step("reply")
        return data
