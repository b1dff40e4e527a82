# SPDX-License-Identifier: MIT
"""An emulated board as it leaves its maker: Debian, and nothing of ours.

The same machine that the rig has otherwise, without labgrid: what the board is changes under the
hands of the one test that installs it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from hil.boards.board import RigError
from hil.boards.terminal import Terminal
from hil.image.machine import Machine

_START_S = 60.0
_BOOT_S = 300.0


class BlankBoard:
    """Power it on, use the `console`, close it."""

    console: Terminal

    def __init__(self, machine: Machine, folder: Path) -> None:
        """`folder`: empty, with a short path, for its sockets and its disk."""
        self.line_socket = folder / "line.sock"
        self._machine, self._folder = machine, folder
        machine.make_disk(folder, image="bare.img")
        self._qemu: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def power_on(self, stick: Path | None = None) -> None:
        """Boot until root's shell answers at the console. `stick`: a file, to be /dev/vdb there."""
        extra = []
        if stick is not None:
            padded = self._folder / "stick.img"
            shutil.copy(stick, padded)
            with padded.open("ab") as file:
                file.write(bytes(-file.tell() % 512))
            extra = ["-drive", f"file={padded},format=raw,if=none,id=stick,readonly=on"]
            extra += ["-device", "virtio-blk-pci,drive=stick"]
        for one in self._folder.glob("*.sock"):
            one.unlink()
        with (self._folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                self._machine.arguments(self._folder, extra=extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connect(self._socket, self._folder / "console.sock")
        self.console = Terminal(self._socket.fileno(), self._socket.fileno())
        self.console.log_in(_BOOT_S)

    def wait_for_end(self, timeout_s: float = 120.0) -> None:
        """Until it has shut itself down; a reboot ends in that, too. RigError."""
        assert self._qemu is not None
        try:
            self._qemu.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise RigError(f"the board is still on after {timeout_s:.0f} s") from None
        self.close()

    def close(self) -> None:
        """Power off, at once."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, ours: socket.socket, path: Path) -> None:
        end_s = time.monotonic() + _START_S
        while True:
            try:
                ours.connect(str(path))
                return
            except OSError as error:
                assert self._qemu is not None
                if self._qemu.poll() is not None or time.monotonic() > end_s:
                    said = (self._folder / "qemu.log").read_text(errors="replace")[-600:]
                    raise RigError(f"QEMU does not start: {said}") from error
                time.sleep(0.02)
