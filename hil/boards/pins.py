# SPDX-License-Identifier: MIT
"""Pins: what the drivers of simulator, emulators and fixtures share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from pymodbus.client import ModbusTcpClient

from hil.boards.board import RigError


@attr.s(eq=False)
class PinsDriver(Driver):
    """`inputs` and `outputs`, as the board sees them: name of a wire -> where it is."""

    inputs = attr.ib(factory=dict, validator=attr.validators.instance_of(dict))
    outputs = attr.ib(factory=dict, validator=attr.validators.instance_of(dict))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.driven: dict[str, bool] = {}

    def __getitem__(self, name: str) -> bool:
        if name in self.outputs:
            return self.get_output(self.outputs[name])
        self._check(name, self.inputs)
        return self.driven.get(name, False)

    def __setitem__(self, name: str, level: bool) -> None:
        self._check(name, self.inputs)
        self.set_input(self.inputs[name], level)
        self.driven[name] = level

    def release(self) -> None:
        """All inputs low."""
        for name, level in self.driven.items():
            if level:
                self[name] = False

    def drive_again(self) -> None:
        """After a power cycle: the wires are as they were."""
        for name, level in self.driven.items():
            self.set_input(self.inputs[name], level)

    def _check(self, name: str, names: dict[str, Any]) -> None:
        if name not in names:
            raise KeyError(
                f"no pin {name!r}: inputs of the board are {', '.join(self.inputs) or 'none'}; "
                f"outputs are {', '.join(self.outputs) or 'none'}"
            )

    @abstractmethod
    def get_output(self, where: Any) -> bool:
        """The level the board puts out there."""

    @abstractmethod
    def set_input(self, where: Any, level: bool) -> None:
        """Drive the board's input there."""


@target_factory.reg_driver
@attr.s(eq=False)
class ModbusPinsDriver(PinsDriver):
    """A remote I/O module on Modbus TCP, wired to a real board.

    `inputs` of the board are coils of the module, `outputs` are its discrete inputs, by address.
    """

    host = attr.ib(kw_only=True, validator=attr.validators.instance_of(str))
    port = attr.ib(default=502, kw_only=True, validator=attr.validators.instance_of(int))
    unit = attr.ib(default=1, kw_only=True, validator=attr.validators.instance_of(int))

    def on_activate(self) -> None:
        self._client: Any = ModbusTcpClient(self.host, port=self.port)
        if not self._client.connect():
            raise RigError(f"no Modbus module answers at {self.host}:{self.port}")

    def on_deactivate(self) -> None:
        self._client.close()

    def get_output(self, where: int) -> bool:
        answer = self._client.read_discrete_inputs(where, count=1, device_id=self.unit)
        if answer.isError():
            raise RigError(f"discrete input {where} of {self.host}: {answer}")
        return bool(answer.bits[0])

    def set_input(self, where: int, level: bool) -> None:
        answer = self._client.write_coil(where, level, device_id=self.unit)
        if answer.isError():
            raise RigError(f"coil {where} of {self.host}: {answer}")
