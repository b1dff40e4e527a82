# SPDX-License-Identifier: MIT
"""A machine made of a directory and of a UART that answers ioctls."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from serial_runtime.doctor.machine import Machine, Node
from serial_runtime.transport import tty_ioctl

TTYS1 = (4, 65)


class FakeUart:
    """A 16550A at 1.8432 MHz, as a driver presents it."""

    def __init__(self) -> None:
        self.baud = 9600
        self.iflag = self.cflag = 0
        self.highest = 115200
        self.type, self.irq, self.flags, self.fifo, self.baud_base = 4, 34, 0, 16, 115200
        self.counts = [0] * 11  # cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf
        self.rs485: bytes | None = None
        self.is_tty = True
        self.bauds: list[int] = []  # all that were set

    def ioctl(self, fd: int, request: int, state: bytearray) -> None:
        if request == tty_ioctl.TCGETS2 and self.is_tty:
            rates = (self.baud, self.baud)
            state[:] = struct.pack("=4I20s2I", self.iflag, 0, self.cflag, 0, b"", *rates)
        elif request == tty_ioctl.TCSETS2:
            self.bauds.append(int.from_bytes(state[40:44], "little"))
            self.baud = min(self.bauds[-1], self.highest)
        elif request == tty_ioctl.TIOCGSERIAL and self.type >= 0:
            head = (self.type, 0, 0, self.irq, self.flags, self.fifo, 0, self.baud_base)
            state[:] = struct.pack("@iiIiiiii", *head).ljust(len(state), b"\0")
        elif request == tty_ioctl.TIOCGICOUNT and self.counts:
            state[:] = struct.pack("@11i", *self.counts).ljust(len(state), b"\0")
        elif request == tty_ioctl.TIOCGRS485 and self.rs485 is not None:
            state[:] = self.rs485.ljust(len(state), b"\0")
        else:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


class FakeMachine(Machine):
    """Files below a directory; one port, /dev/ttyS1, with a UART behind it."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.root = root
        self.uart = FakeUart()
        self.device, self.mode, self.gid = TTYS1, 0o660, 20
        self.permitted = True
        self.open_error = 0
        self.opened = 0
        self.write("/dev/ttyS1", "")
        self.write("/proc/cmdline", "root=/dev/sda1 quiet")
        self.write("/proc/consoles", "tty0                 -WU (EC  p  )    4:1")
        self.write("/sys/devices/soc/serial1/tty/ttyS1/x", "")
        self.link("/sys/devices/soc/serial1/driver", "/sys/bus/platform/drivers/of_serial")
        self.link("/sys/class/tty/ttyS1/device", "/sys/devices/soc/serial1")

    def write(self, path: str, text: str) -> None:
        place = self.root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def link(self, path: str, target: str) -> None:
        place = self.root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(self.root / target[1:])

    def process(
        self, pid: int, name: str, tty: int = 0, priority: int = 0, command: str = ""
    ) -> None:
        fields = ["S", "1", "1", "1", str(tty), *["0"] * 32, str(priority), "1"]
        self.write(f"/proc/{pid}/stat", f"{pid} ({name}) {' '.join(fields)}")
        self.write(f"/proc/{pid}/comm", name)
        self.write(f"/proc/{pid}/cmdline", command.replace(" ", "\0"))
        self.write(f"/proc/{pid}/fd/.keep", "")

    def node(self, path: str) -> Node:
        is_character_device = (self.root / path[1:]).stat().st_size == 0
        return Node(is_character_device, *self.device, self.mode, 0, self.gid)

    def may_use(self, path: str) -> bool:
        return self.permitted

    def group(self, gid: int) -> str:
        return {0: "root", 5: "tty", 20: "dialout"}[gid]

    def user(self) -> str:
        return "plc"

    def open(self, path: str) -> int:
        if self.open_error:
            raise OSError(self.open_error, os.strerror(self.open_error))
        self.opened += 1
        return 77

    def close(self, fd: int) -> None:
        assert fd == 77
        self.opened -= 1

    def ioctl(self, fd: int, request: int, state: bytearray) -> None:
        assert fd == 77
        self.uart.ioctl(fd, request, state)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)
