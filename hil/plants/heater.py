# SPDX-License-Identifier: MIT
"""A heater: a mass that loses heat to its surroundings, and a sensor that sees it late."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import ClassVar

from hil.plants.model import Channel, Value, milliampere_in_ua

_FULL_SCALE_C = 150.0
_TRIP_C, _RESET_C = 110.0, 100.0


class HeaterPlant:
    """First order with dead time. Each step is exact for a power that is constant over it, so its
    length matters to nothing but how often the PLC is heard.

    The power is digital (`heat`, which a program may modulate) or analog (`power`, 0 to 10000); the
    larger of the two counts. A safety thermostat opens at 110 degrees and closes at 100.
    """

    name: ClassVar[str] = "heater"
    inputs: ClassVar[tuple[Channel, ...]] = (
        Channel("temperature_raw", "%IW10", text="transmitter, uA: 0 to 150 degrees"),
        Channel("setpoint_raw", "%IW11", text="the operator's wish, 0.1 degrees"),
        Channel("thermostat_ok", "%IX0.0", text="safety thermostat, opens when too hot"),
        Channel("enable", "%IX0.1", text="the operator's switch"),
    )
    outputs: ClassVar[tuple[Channel, ...]] = (
        Channel("heat", "%QX0.0", text="contactor or solid state relay"),
        Channel("alarm", "%QX0.1"),
        Channel("power", "%QW10", text="0 to 10000"),
    )
    GAIN_C = 120.0  # above ambient, at full power, for ever
    TIME_S = 90.0  # time constant
    DELAY_S = 4.0  # from heater to sensor

    def __init__(self, temperature_c: float = 20.0) -> None:
        self.disturbances: dict[str, Value] = {
            "ambient_c": 20.0,
            "loss": 1.0,  # times the heat lost: an open door
            "setpoint_c": 60.0,
            "enable": True,
            "stuck_on": False,  # a welded contact
        }
        self._mass_c = temperature_c
        self._energy = 0.0  # of full power, s
        self._closed = True
        self._share = 0.0
        # What the sensor has not seen yet, as (seconds, degrees at their end), oldest first.
        self._pipe: deque[tuple[float, float]] = deque([(self.DELAY_S, temperature_c)])
        self._sensor_c = temperature_c

    def step(self, dt_s: float, outputs: Mapping[str, Value]) -> dict[str, Value]:
        """See `Model`."""
        outside = self.disturbances
        share = max(float(bool(outputs["heat"])), min(max(outputs["power"] / 10000, 0.0), 1.0))
        if outside["stuck_on"]:
            share = 1.0
        if not self._closed:
            share = 0.0  # it is in the power's circuit
        loss = float(outside["loss"])
        rests_c = float(outside["ambient_c"]) + self.GAIN_C * share / loss
        self._mass_c = rests_c + (self._mass_c - rests_c) * math.exp(-dt_s * loss / self.TIME_S)
        self._share, self._energy = share, self._energy + share * dt_s
        self._delay(dt_s)
        if self._mass_c >= _TRIP_C:
            self._closed = False
        elif self._mass_c <= _RESET_C:
            self._closed = True
        return self.read()

    def _delay(self, dt_s: float) -> None:
        """The sensor sees what the mass was DELAY_S ago, linear between the steps."""
        self._pipe.append((dt_s, self._mass_c))
        left_s = dt_s
        while left_s > 0:
            piece_s, end_c = self._pipe[0]
            if piece_s > left_s:
                self._sensor_c += (end_c - self._sensor_c) * left_s / piece_s
                self._pipe[0] = (piece_s - left_s, end_c)
                return
            self._pipe.popleft()
            self._sensor_c = end_c
            left_s -= piece_s

    def read(self) -> dict[str, Value]:
        """See `Model`."""
        return {
            "temperature_raw": milliampere_in_ua(self._sensor_c / _FULL_SCALE_C),
            "setpoint_raw": round(float(self.disturbances["setpoint_c"]) * 10),
            "thermostat_ok": self._closed,
            "enable": bool(self.disturbances["enable"]),
        }

    def state(self) -> dict[str, Value]:
        """See `Model`."""
        return {
            "temperature_c": self._mass_c,
            "sensor_c": self._sensor_c,
            "heating": self._share,
            "full_power_s": self._energy,
        }
