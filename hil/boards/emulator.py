# SPDX-License-Identifier: MIT
"""An emulated board as a labgrid target: power, console and pins of a QEMU machine."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from labgrid.resource import Resource
from labgrid.util import PtxExpect
from pexpect import TIMEOUT

from hil.boards.board import RigError
from hil.boards.folders import run_folder
from hil.boards.pins import PinsDriver
from hil.boards.qmp import Qmp, Qtest
from hil.image.machine import MACHINES

_START_S = 60.0


@target_factory.reg_resource
@attr.s(eq=False)
class EmulatedBoard(Resource):
    """A place for an emulator.

    `machine` as `hil.image.machine` names it. `folder` is below .hil/run unless it is absolute.
    `images`: another folder than the one that `python -m hil.image` fills.
    """

    machine = attr.ib(validator=attr.validators.in_(list(MACHINES)))
    folder = attr.ib(default="", validator=attr.validators.instance_of(str))
    images = attr.ib(default="", validator=attr.validators.instance_of(str))


@target_factory.reg_driver
@attr.s(eq=False)
class EmulatorDriver(ConsoleExpectMixin, Driver, PowerProtocol, ConsoleProtocol):
    """QEMU; its disk is new when the driver is activated, and keeps what power cuts left.

    Power off is SIGKILL: nothing that the guest has not flushed gets to the disk's file, but what
    QEMU has handed to this host's kernel does.
    """

    bindings = {"board": "EmulatedBoard"}
    priorities = {ConsoleProtocol: 0}

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.txdelay, self.txchunk = 0.0, 1
        self.boots = 0
        self._qemu: subprocess.Popen[bytes] | None = None
        self._console: _Console | None = None
        self.pins: list[PinsDriver] = []

    def on_activate(self) -> None:
        self.folder = run_folder(self.board.folder or self.board.machine)
        self.line_socket = str(self.folder / "line.sock")
        self.console_log = str(self.folder / "console.log")
        self.machine = MACHINES[self.board.machine]
        self._images = Path(self.board.images) if self.board.images else self.machine.images
        self.machine.make_disk(self.folder, self._images)
        for log in ("console.log", "qemu.log"):
            (self.folder / log).unlink(missing_ok=True)

    def on_deactivate(self) -> None:
        self.off()

    def resolve_conflicts(self, client: Any) -> None:
        """None: one client uses the console, the others the line and the pins."""

    @Driver.check_active
    def on(self) -> None:
        if self._qemu is not None and self._qemu.poll() is None:
            return
        for one in self.folder.glob("*.sock"):
            one.unlink()
        with (self.folder / "qemu.log").open("ab") as errors:
            self._qemu = subprocess.Popen(
                self.machine.arguments(self.folder, images=self._images),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self.boots += 1
        self._console = _Console(self._wait_for(self.folder / "console.sock"))
        self._expect = PtxExpect(self)
        self.qmp = Qmp(str(self._wait_for(self.folder / "qmp.sock")))
        self.qtest = Qtest(str(self._wait_for(self.folder / "qtest.sock")))
        for pins in self.pins:
            pins.drive_again()

    @Driver.check_active
    def off(self) -> None:
        if self._qemu is None:
            return
        self._qemu.kill()
        self._qemu.wait()
        self._qemu = None
        if self._console is not None:
            for one in (self._console, self.qmp, self.qtest):
                one.close()
            self._console = None

    @Driver.check_active
    def cycle(self) -> None:
        self.off()
        self.on()

    def machine_versions(self) -> dict[str, str]:
        """Of what it runs on."""
        said = subprocess.run(
            [self.machine.qemu, "--version"], capture_output=True, text=True, check=True
        )
        return {"emulator": said.stdout.splitlines()[0]}

    def _wait_for(self, path: Path) -> Path:
        end_s = time.monotonic() + _START_S
        while not path.exists():
            if self._qemu is None or self._qemu.poll() is not None or time.monotonic() > end_s:
                said = (self.folder / "qemu.log").read_text(errors="replace")[-600:]
                self._qemu = None
                raise RigError(f"QEMU does not start, see {self.folder}/qemu.log: {said}")
            time.sleep(0.02)
        return path

    # What ConsoleExpectMixin wants.

    def _read(self, size: int = 1, timeout: float = 10.0, max_size: int | None = None) -> bytes:
        if self._console is None:
            raise RigError("the board has no power")
        data = self._console.read(timeout, max_size or 4096)
        if not data:
            raise TIMEOUT(f"Timeout of {timeout:.2f} seconds exceeded")
        return data

    def _write(self, data: bytes) -> int:
        if self._console is None:
            raise RigError("the board has no power")
        return self._console.write(data)


class _Console:
    """Reads all the time: a console that is full holds up the whole machine."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._data = bytearray()
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def read(self, timeout_s: float, size: int) -> bytes:
        """At least a byte, unless none comes in this time."""
        with self._came:
            self._came.wait_for(lambda: self._data, timeout_s)
            data = bytes(self._data[:size])
            del self._data[:size]
        return data

    def write(self, data: bytes) -> int:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise RigError("the emulator has ended") from error
        return len(data)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                data = self._socket.recv(4096)
            except OSError:
                return
            if not data:
                return
            with self._came:
                self._data += data
                self._came.notify_all()


@attr.s(eq=False)
class _EmulatedPins(PinsDriver):
    """Driven again when the board has power again."""

    bindings = {"emulator": EmulatorDriver}

    def on_activate(self) -> None:
        self.emulator.pins.append(self)

    def on_deactivate(self) -> None:
        self.emulator.pins.remove(self)


@target_factory.reg_driver
@attr.s(eq=False)
class Pl061PinsDriver(_EmulatedPins):
    """The 8 lines of the PL061 of QEMU's `virt`, by number, through qtest."""

    _DATA = 0x9030000 + (0xFF << 2)  # a read with all lines in the mask

    def get_output(self, where: int) -> bool:
        return bool(int(self.emulator.qtest.execute(f"readl {self._DATA:#x}"), 16) >> where & 1)

    def set_input(self, where: int, level: bool) -> None:
        self.emulator.qtest.execute(
            f"set_irq_in {self._path()} unnamed-gpio-in {where} {int(level)}"
        )

    def _path(self) -> str:
        for one in self.emulator.qmp.execute("qom-list", path="/machine/unattached"):
            if one["type"] == "child<pl061>":
                return f"/machine/unattached/{one['name']}"
        raise RigError("this machine has no PL061")


@target_factory.reg_driver
@attr.s(eq=False)
class AspeedPinsDriver(_EmulatedPins):
    """Lines of an Aspeed GPIO controller by name, such as gpioA0, through QMP."""

    _PATH = "/machine/soc/gpio"

    def get_output(self, where: str) -> bool:
        return bool(self.emulator.qmp.execute("qom-get", path=self._PATH, property=where))

    def set_input(self, where: str, level: bool) -> None:
        self.emulator.qmp.execute("qom-set", path=self._PATH, property=where, value=level)
