# SPDX-License-Identifier: MIT
"""The fixture `plant`: a plant at whatever board the session has."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hil.plants import lockstep, wired
from hil.plants.model import Model
from hil.plants.profile import Profile, load
from hil.plants.registers import Registers
from hil.plants.run import Run
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

_SECOND_UART = "/dev/ttyS1"


class Bench:
    """Runs plants against the board; hands each run on to the report."""

    def __init__(
        self,
        board: Any,
        pins: Callable[[], wired.Pins],
        modbus: Path | None,
        keep: Callable[[Run], None],
    ) -> None:
        """`board` as the fixture, `pins` gives the fixture; `modbus`: socket of its second UART."""
        self._board = board
        self._pins = pins
        self._modbus = modbus
        self.keep = keep

    def run(
        self,
        model: Model,
        image: bytes,
        profile: Profile | str | Path,
        *,
        seconds: float = 0.0,
        every: int = 1,
        period_s: float = 0.02,
        keep: bool = True,
    ) -> Run:
        """The program, with this plant, through this profile; `Run.check` asserts its limits.

        On the simulator in lockstep, exact; on other boards at their wires, in real time, steps of
        `period_s`. `seconds`: instead of the profile's. `every`: one cycle of so many is
        recorded, in lockstep. `keep`: the report has the run and what its limits require.
        PlantError.
        """
        if not isinstance(profile, Profile):
            profile = load(profile)
        if seconds:
            profile = profile._replace(seconds=seconds)
        if self._board.kind == "simulator":
            with self.in_lockstep() as (plc, io):
                plc.download(image)
                run = lockstep.run(plc, io, model, profile, every=every)
        else:
            run = self._wired(model, image, profile, period_s)
        run.program = hashlib.md5(image, usedforsecurity=False).hexdigest()
        if keep:
            self.keep(run)
        return run

    @contextmanager
    def in_lockstep(self) -> Iterator[tuple[Client, str]]:
        """The simulator with a plant as its clock: a client by TCP, and the NAME of the plant."""
        io = f"plant-{os.getpid()}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            tcp = f"127.0.0.1:{probe.getsockname()[1]}"
        with self._configured({"io.driver": f"lockstep:{io}", "tcp.listen": tcp}):
            with self._board.connected():
                pass  # it answers on the line: its TCP server is up as well
            with connect(f"ERPC://{tcp}", timeout_s=60.0) as plc:
                yield plc, io

    def _wired(self, model: Model, image: bytes, profile: Profile, period_s: float) -> Run:
        if not wired.wires_of(model).registers or self._modbus is None:
            return self._run_wired(model, image, profile, period_s, None)
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(self._modbus))
        registers = Registers(line)
        try:
            with self._configured(wired.changes_for(model, _SECOND_UART)):
                return self._run_wired(model, image, profile, period_s, registers)
        finally:
            registers.close()

    def _run_wired(
        self,
        model: Model,
        image: bytes,
        profile: Profile,
        period_s: float,
        registers: Registers | None,
    ) -> Run:
        with self._board.connected() as plc:
            if plc.status().status == Status.Started:
                plc.stop()
            plc.download(image)
            return wired.run(plc, model, profile, self._pins(), registers, period_s=period_s)

    @contextmanager
    def _configured(self, changes: dict[str, object]) -> Iterator[None]:
        service = self._board.service
        service.stop()
        service.configure({"store.autostart": False, **changes})
        try:
            service.start()
            yield
        finally:
            service.stop()
            service.configure({})
            service.start()
