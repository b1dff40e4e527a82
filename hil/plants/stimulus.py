# SPDX-License-Identifier: MIT
"""Carries a profile's events out, against the tick: the same events give the same signals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hil.plants.model import Model, PlantError, Value, near
from hil.plants.profile import PLC, Event

Forcer = Callable[[str, Value | None], object]
_NOBODY: Forcer = lambda path, value: None  # noqa: E731


class _Ramp(NamedTuple):
    from_: float
    event: Event


class Stimulus:
    """The events of one run, at one model."""

    def __init__(
        self, events: tuple[Event, ...], model: Model, period_ns: int, force: Forcer = _NOBODY
    ) -> None:
        """`force` is given variables of the PLC (without `plc:`). PlantError: a wrong channel."""
        self._model = model
        self._period_ns = period_ns
        self._force = force
        self._low = {channel.name: channel.low for channel in model.inputs}
        self._digital = {channel.name: channel.digital for channel in model.inputs}
        for event in events:
            self._check(event)
        # Stable: of two at one time the later in the file wins.
        self._coming = sorted(events, key=lambda event: event.time_s)
        self._ramps: dict[str, _Ramp] = {}
        self._faults: dict[str, tuple[Event, random.Random]] = {}
        self._stuck: dict[str, Value] = {}
        self.happened: list[tuple[int, Event]] = []  # by tick

    def _check(self, event: Event) -> None:
        where = f"{event.where}: " if event.where else ""
        if event.channel.startswith(PLC):
            if event.fault or event.ramp_s:
                raise PlantError(f"{where}{event.channel}: a variable of the PLC is forced at once")
            return
        known: Mapping[str, object] = self._low if event.fault else self._model.disturbances
        if event.channel in known:
            value = self._model.disturbances.get(event.channel)
            if event.ramp_s and isinstance(value, bool):
                raise PlantError(
                    f"{where}channel {event.channel}: it is on or off, and has no ramp"
                )
            return
        what = "sensor" if event.fault else "disturbance"
        raise PlantError(
            f"{where}channel {event.channel!r} is no {what} of the {self._model.name}: "
            f"{near(event.channel, known)}"
        )

    def tick_of(self, event: Event) -> int:
        """The first tick at which it holds."""
        return -(-round(event.time_s * 1e9) // self._period_ns)

    def before(self, tick: int) -> None:
        """What happens to the plant before its step to this tick."""
        while self._coming and self.tick_of(self._coming[0]) <= tick:
            self._begin(self._coming.pop(0), tick)
        outside = self._model.disturbances
        for name, (from_, event) in list(self._ramps.items()):
            past_s = tick * self._period_ns / 1e9 - event.time_s
            share = min(past_s / event.ramp_s, 1.0)
            outside[name] = from_ + (float(event.value) - from_) * share
            if share == 1.0:
                del self._ramps[name]

    def _begin(self, event: Event, tick: int) -> None:
        self.happened.append((tick, event))
        name = event.channel
        if name.startswith(PLC):
            self._force(name.removeprefix(PLC), None if event.release else event.value)
        elif event.fault:
            self._stuck.pop(name, None)
            self._faults[name] = (event, random.Random(event.seed))
            if event.fault == "none":
                del self._faults[name]
        elif event.ramp_s:
            self._ramps[name] = _Ramp(float(self._model.disturbances[name]), event)
        else:
            self._ramps.pop(name, None)
            self._model.disturbances[name] = event.value

    def spoil(self, inputs: dict[str, Value]) -> dict[str, Value]:
        """The inputs as faulty sensors and wires show them."""
        for name, (event, source) in self._faults.items():
            if event.fault == "stuck":
                inputs[name] = self._stuck.setdefault(name, inputs[name])
            elif event.fault == "break":
                inputs[name] = False if self._digital[name] else self._low[name]
            elif self._digital[name]:
                # `value` is the share of samples that are wrong.
                inputs[name] = bool(inputs[name]) != (source.random() < float(event.value))
            else:
                noisy = int(inputs[name]) + round(source.gauss(0.0, float(event.value)))
                inputs[name] = min(max(noisy, 0), 0xFFFF)
        return inputs
