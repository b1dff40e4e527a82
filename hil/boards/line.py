# SPDX-License-Identifier: MIT
"""The line emulator between host and board, a process; see docs/line.md for what it can do."""

from __future__ import annotations

import time
from collections.abc import Callable

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.resource import SerialPort

from hil.boards.board import RigError
from hil.boards.folders import run_folder
from hil.soak.processes import Line


@target_factory.reg_driver
@attr.s(eq=False)
class LineDriver(Driver):
    """Attached to an emulator's UART, a serial port, or (nothing bound) with a tty for the board.

    `baud` is the line's rate: of an emulated board the only pace there is, of a real one the
    port's. `folder` is below .hil/run unless it is absolute; an emulator's line is in its own.
    """

    bindings = {"end": {"EmulatorDriver", "SerialPort", None}}
    baud = attr.ib(default=115200, validator=attr.validators.instance_of(int))
    seed = attr.ib(default=0, validator=attr.validators.instance_of(int))
    folder = attr.ib(default="", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.on_order: Callable[[str], object] = lambda command: None  # told every fault

    def on_activate(self) -> None:
        where, folder = "", self.folder or "line"
        if isinstance(self.end, SerialPort):
            where = self.end.port
        elif self.end is not None:
            where = f"unix:{self.end.line_socket}"
            folder = self.folder or self.end.folder
        attach = ("--board", where) if where else ()
        self._line = Line(run_folder(folder), self.baud, self.seed, *attach)
        self.board_end, self.host_end = self._line.board_end, self._line.host_end

    def on_deactivate(self) -> None:
        self._line.kill()

    @property
    def uri(self) -> str:
        """Of the host's end."""
        return f"ERPC://{self.host_end}:{self.baud}"

    @Driver.check_active
    def order(self, command: str) -> str:
        """A command of `serial-runtime line`. RigError when it is refused."""
        if not self._line.running:
            raise RigError("the line emulator has ended; its log is line.log beside the line")
        self.on_order(f"line: {command}")
        return self._line.order(command)

    @Driver.check_active
    def clear(self) -> None:
        """Faultless, at its rate, and plugged in at both ends."""
        for command in ("clear", f"baud {self.baud}", "plug"):
            self.order(command)

    @Driver.check_active
    def unplug(self, end: str = "host") -> None:
        """Pull an end out: "host" or "board"; the host's tty vanishes, a board sees silence."""
        self.order(f"unplug {end}")

    @Driver.check_active
    def plug(self) -> None:
        """Both ends are in again."""
        self.order("plug")

    @Driver.check_active
    def counters(self) -> dict[str, dict[str, int]]:
        """What happened so far: "to-board" and "to-host"."""
        return self._line.counters()

    @Driver.check_active
    def wait_carried(self, direction: str, count: int, timeout_s: float = 60.0) -> None:
        """Until so many more bytes have gone "to-board" or "to-host". RigError: they do not."""
        end_s = time.monotonic() + timeout_s
        goal = self.counters()[direction]["carried"] + count
        while (now := self.counters()[direction]["carried"]) < goal:
            if time.monotonic() > end_s:
                raise RigError(f"{goal - now} of {count} bytes {direction} did not come")
            time.sleep(0.002)
