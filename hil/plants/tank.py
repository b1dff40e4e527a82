# SPDX-License-Identifier: MIT
"""The tank of the demo: inlet valve, two pumps, a level to be held (serial_runtime/demo)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hil.plants.model import Channel, Value
from serial_runtime.demo.plant import Tank, outputs


class TankPlant:
    """Levels in m, flows in l/s."""

    name: ClassVar[str] = "tank"
    inputs: ClassVar[tuple[Channel, ...]] = (
        Channel("level_raw", "%IW0", text="level transmitter, uA"),
        Channel("flow_raw", "%IW1", text="inflow transmitter, uA"),
        Channel("pump1_ok", "%IX16.0", text="motor protection of pump 1"),
        Channel("pump2_ok", "%IX16.1", text="motor protection of pump 2"),
        Channel("not_dry", "%IX16.2", text="float switch at 0.05 m"),
        Channel("not_full", "%IX16.3", text="float switch at 1.95 m"),
        Channel("ack_button", "%IX16.4", text="operator's button"),
    )
    outputs: ClassVar[tuple[Channel, ...]] = (
        Channel("pump1_speed", "%QW0", text="0 to 10000"),
        Channel("pump2_speed", "%QW1", text="0 to 10000"),
        Channel("pump1_run", "%QX16.0"),
        Channel("pump2_run", "%QX16.1"),
        Channel("inlet", "%QX16.2"),
        Channel("horn", "%QX16.3"),
        Channel("lamp", "%QX16.4"),
    )
    _places: ClassVar[dict[str, str]] = {channel.name: channel.address for channel in outputs}

    def __init__(self, level_m: float = 0.5) -> None:
        self._tank = Tank(level_m)
        self.disturbances: dict[str, Value] = {
            "supply_lps": Tank.SUPPLY_LPS,
            "pump1_ok": True,
            "pump2_ok": True,
            "ack_button": False,
        }

    def step(self, dt_s: float, outputs_: Mapping[str, Value]) -> dict[str, Value]:
        """See `Model`."""
        tank, outside = self._tank, self.disturbances
        tank.SUPPLY_LPS = float(outside["supply_lps"])
        tank.pump_ok = [bool(outside["pump1_ok"]), bool(outside["pump2_ok"])]
        tank.step(dt_s, *outputs({self._places[name]: int(v) for name, v in outputs_.items()}))
        return self.read()

    def read(self) -> dict[str, Value]:
        """See `Model`."""
        inputs = self._tank.inputs()
        found: dict[str, Value] = {
            channel.name: inputs[channel.address]
            for channel in self.inputs
            if channel.address in inputs
        }
        found["ack_button"] = bool(self.disturbances["ack_button"])
        return found

    def state(self) -> dict[str, Value]:
        """See `Model`."""
        tank = self._tank
        return {
            "level_m": tank.level_m,
            "inflow_lps": tank.inflow_lps,
            "outflow_lps": tank.outflow_lps,
        }
