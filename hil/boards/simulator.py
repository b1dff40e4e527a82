# SPDX-License-Identifier: MIT
"""The simulator as a labgrid target: the runtime is a process of this host; nothing is emulated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import attr
from labgrid.driver import Driver
from labgrid.driver.commandmixin import CommandMixin
from labgrid.driver.exception import ExecutionError
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, PowerProtocol
from labgrid.resource import Resource

from hil.boards.daemon import Daemon
from hil.boards.folders import run_folder
from hil.boards.line import LineDriver
from hil.boards.pins import PinsDriver
from serial_runtime.plant import Plant

_PROFILE = """\
[serial]
port = "{port}"
baud = {baud}

[io]
driver = "sim:{sim}"

[store]
dir = "{store}"
autostart = true

[retain]
interval_s = 1
"""


@target_factory.reg_resource
@attr.s(eq=False)
class SimulatedBoard(Resource):
    """A place for a runtime on this host. `folder` is below .hil/run unless it is absolute."""

    folder = attr.ib(default="simulator", validator=attr.validators.instance_of(str))


@target_factory.reg_driver
@attr.s(eq=False)
class SimulatorDriver(CommandMixin, Driver, PowerProtocol, CommandProtocol):
    """The runtime as a process: power, shell and service manager in one."""

    bindings = {"board": "SimulatedBoard", "line": LineDriver}
    console_log = ""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.boots = 0
        self._on = False

    def on_activate(self) -> None:
        self.folder = run_folder(self.board.folder)
        self.store = str(self.folder / "plc")
        self.sim = f"hil-{os.getpid()}"
        shutil.rmtree(self.store, ignore_errors=True)
        (self.folder / "journal.log").unlink(missing_ok=True)
        text = _PROFILE.format(
            port=self.line.board_end, baud=self.line.baud, sim=self.sim, store=self.store
        )
        self._daemon = Daemon(self.folder, text)

    def on_deactivate(self) -> None:
        self.off()

    # Power.

    @Driver.check_active
    def on(self) -> None:
        if not self._on:
            self._on = True
            self.boots += 1
            self._daemon.journal.unlink(missing_ok=True)
            self._daemon.start()

    @Driver.check_active
    def off(self) -> None:
        self._on = False
        self._daemon.cut()

    @Driver.check_active
    def cycle(self) -> None:
        self.off()
        self.on()

    # Shell.

    @Driver.check_active
    def run(
        self, command: str, timeout: float = 30.0, **_: object
    ) -> tuple[list[str], list[str], int]:
        bin_dir = str(Path(sys.executable).parent)
        try:
            done = subprocess.run(
                ["bash", "-c", command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
                cwd=self.folder,
                text=True,
                env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"},
            )
        except subprocess.TimeoutExpired as error:
            raise ExecutionError(f"{command}: not done within {timeout:g} s") from error
        return done.stdout.splitlines(), [], done.returncode

    @Driver.check_active
    def get_status(self) -> int:
        return 1

    # Service.

    @Driver.check_active
    def start(self) -> None:
        self._daemon.start()

    @Driver.check_active
    def stop(self) -> None:
        self._daemon.stop()

    @Driver.check_active
    def kill(self) -> None:
        self._daemon.kill()

    @Driver.check_active
    def pid(self) -> int:
        return self._daemon.pid()

    @Driver.check_active
    def configure(self, changes: dict[str, object]) -> None:
        self._daemon.configure(changes)

    @Driver.check_active
    def journal(self) -> str:
        file = self._daemon.journal
        return file.read_text(errors="replace") if file.exists() else ""

    def machine_versions(self) -> dict[str, str]:
        """Of what it runs on."""
        return {}


@target_factory.reg_driver
@attr.s(eq=False)
class SimPinsDriver(PinsDriver):
    """Pins by addresses of the process image, through `sim:`."""

    bindings = {"simulator": SimulatorDriver}

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._plant: Plant | None = None

    @property
    def plant(self) -> Plant:
        """The one plant there can be; who steps a plant model in lockstep uses this one."""
        if self._plant is None:
            self._plant = Plant.attach(self.simulator.sim, timeout_s=60.0)
        return self._plant

    def on_deactivate(self) -> None:
        if self._plant is not None:
            self._plant.close()
            self._plant = None

    def get_output(self, where: str) -> bool:
        self.plant.wait(0)
        return bool(self.plant[where])

    def set_input(self, where: str, level: bool) -> None:
        self.plant.write({where: level})
