# SPDX-License-Identifier: MIT
"""A plant at the wires of a board that has a clock of its own: pins, and registers for analog ones.

Nothing is exact here. The plant's time is the clock of the rig; its step is as long as the last one
took, but when the rig was held up for longer the plant stood still. What the board drives is seen
up to a step late, what it is shown up to a step and a scan, and variables of the PLC are placed by
their tick, with the delay of one call of the line as error.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from hil.plants.lockstep import Variables
from hil.plants.model import Model, PlantError, Value
from hil.plants.profile import Profile
from hil.plants.record import row_of, signals_of
from hil.plants.registers import UNIT, Registers
from hil.plants.run import Judge, Run
from hil.plants.stimulus import Stimulus
from serial_runtime.rpc.client import Client

_LONGEST_STEPS = 2  # nominal ones: what moves further in one may pass a sensor unseen


class Pins(Protocol):
    """As `hil.boards.board.Pins`."""

    def __getitem__(self, name: str) -> bool:
        """A level."""

    def __setitem__(self, name: str, level: bool) -> None:
        """Drive an input of the board."""


class Wires(NamedTuple):
    """Where the channels of a plant are: at pins, or places in Modbus tables."""

    pins: dict[str, str]
    registers: dict[str, int]


def wires_of(model: Model) -> Wires:
    """By address: %IX0.2 is DI2, %QX0.1 is DO1 (0 to 3); the others go by Modbus, each of the four
    tables in the order of the model."""
    wires = Wires({}, {})
    for kind, channels in (("DI", model.inputs), ("DO", model.outputs)):
        places = {True: 0, False: 0}
        for channel in channels:
            if channel.counts:
                continue
            if found := re.fullmatch(r"%[IQ]X0\.([0-3])", channel.address.upper()):
                wires.pins[channel.name] = f"{kind}{found[1]}"
            else:
                wires.registers[channel.name] = places[channel.digital]
                places[channel.digital] += 1
    return wires


def modbus_table(model: Model, device: str) -> dict[str, object]:
    """The board's end of the registers: a table of io.modbus."""
    wires = wires_of(model)
    table: dict[str, object] = {"name": "plant", "uri": f"rtu:{device}:115200,8N1", "unit": UNIT}
    table["poll_ms"] = 50
    for channels, digital, name in (
        (model.inputs, False, "input_registers"),
        (model.inputs, True, "discrete_inputs"),
        (model.outputs, False, "holding_registers"),
        (model.outputs, True, "coils"),
    ):
        points = {
            channel.address: wires.registers[channel.name]
            for channel in channels
            if channel.name in wires.registers and channel.digital == digital
        }
        if points:
            table[name] = points
    return table


def changes_for(model: Model, device: str) -> dict[str, object]:
    """Of a board's profile, for this plant; dotted keys."""
    wires = wires_of(model)
    if not wires.registers:
        return {}
    changes: dict[str, object] = {"io.modbus": [modbus_table(model, device)]}
    if not wires.pins:
        changes["io.gpio"] = []  # its addresses may be those of pins in the board's own profile
    return changes


class _Coupling:
    """The model's channels at their wires."""

    def __init__(self, model: Model, pins: Pins, registers: Registers | None) -> None:
        self._pins, self._wires = pins, wires_of(model)
        self._model = model
        self._driven: dict[str, Value] = {}
        if self._wires.registers and registers is None:
            raise PlantError(
                f"{', '.join(self._wires.registers)} of the {model.name} are at no pin, and this "
                "board has no line for registers (Modbus)"
            )
        self._registers = registers

    def show(self, inputs: Mapping[str, Value]) -> None:
        """Drive what has changed."""
        words: dict[int, int] = {}
        bits: dict[int, bool] = {}
        for channel in self._model.inputs:
            name, value = channel.name, inputs[channel.name]
            if name in self._driven and self._driven[name] == value:
                continue
            self._driven[name] = value
            if channel.counts:
                continue
            if name in self._wires.pins:
                self._pins[self._wires.pins[name]] = bool(value)
            elif channel.digital:
                bits[self._wires.registers[name]] = bool(value)
            else:
                words[self._wires.registers[name]] = int(value)
        if self._registers is not None:
            self._registers.put(words, bits)

    def read(self) -> dict[str, Value]:
        """What the board drives."""
        found: dict[str, Value] = {}
        for channel in self._model.outputs:
            if channel.name in self._wires.pins:
                found[channel.name] = self._pins[self._wires.pins[channel.name]]
            elif self._registers is not None:
                get = self._registers.bit if channel.digital else self._registers.word
                found[channel.name] = get(self._wires.registers[channel.name])
        return found


def run(
    plc: Client,
    model: Model,
    profile: Profile,
    pins: Pins,
    registers: Registers | None = None,
    *,
    period_s: float = 0.02,
    settle_s: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """Start the program that is loaded, and run it with the plant for the profile's time.

    `period_s` is the plant's step as far as the rig keeps it; the record says how long the longest
    was, and how long the plant stood still. Before the program starts, its inputs are shown for
    `settle_s`. It is stopped at the end.
    PlantError, SerialRuntimeError.
    """
    coupling = _Coupling(model, pins, registers)
    program = _Program(plc, profile.watch, clock)
    judge = Judge(profile.limits, signals_of(model, Variables.bits(plc, profile.watch)), "")
    stimulus = Stimulus(profile.events, model, round(period_s * 1e9), program.force)
    stimulus.before(0)
    coupling.show(model.read())
    time.sleep(settle_s)  # an I/O thread of the board has to see them
    rows: list[tuple[float, dict[str, Value]]] = []
    longest_s = still_s = 0.0
    began_s = 0.0  # 0: the program is being started, and the plant is there already
    last_s = clock()
    program.start()
    try:
        while True:
            now_s = clock()
            given = coupling.read()
            model.step(min(now_s - last_s, _LONGEST_STEPS * period_s), given)
            if not began_s and program.started():
                began_s = now_s
            elif began_s:
                longest_s = max(longest_s, now_s - last_s)
                still_s += max(0.0, now_s - last_s - _LONGEST_STEPS * period_s)
            last_s = now_s
            if began_s:
                if now_s - began_s > profile.seconds:
                    break
                stimulus.before(int((now_s - began_s) / period_s))
            seen = stimulus.spoil(model.read())
            coupling.show(seen)
            if began_s:
                rows.append((now_s, row_of(model, seen, given)))
            time.sleep(max(0.0, now_s + period_s - clock()))
    finally:
        program.stop()
    for n, (now_s, row) in enumerate(rows):
        row.update(program.at(now_s))
        judge.take(n, now_s - began_s, row)
    judge.record.time_base = (
        f"the rig's clock; steps of {period_s * 1000:g} ms, the longest {longest_s * 1000:.0f} ms, "
        f"the plant stood still for {still_s:.1f} s; "
        f"variables of the PLC by their tick, to {program.error_s * 1000:.0f} ms; nothing is exact"
    )
    events = [(tick * period_s, event) for tick, event in stimulus.happened]
    return Run(model.name, profile, judge.record, judge.verdicts(), events)


class _Program:
    """The program at the other end of the line: a thread starts and traces it, for the plant cannot
    wait for a call. Its variables are placed in the rig's time."""

    def __init__(self, plc: Client, names: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._plc, self._names, self._clock = plc, names, clock
        self._samples: list[tuple[int, list[float]]] = []
        self._begun, self._ended = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name="program")
        self.error_s = 0.0
        self._zero_s = self._period_s = 0.0
        self._place = 0
        self._last = [0.0] * len(names)
        self.force = Variables(plc, (), 0).force

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def started(self) -> bool:
        """The program runs. Raises what starting or tracing it failed with."""
        if self._failure is not None:
            raise self._failure
        return self._begun.is_set()

    def _follow(self) -> None:
        try:
            self._plc.start(cold=True)
            self._begun.set()
            variables = Variables(self._plc, self._names, 0)
            if self._names:
                self._find_time()
            try:
                while self._names and not self._ended.is_set():
                    self._samples += variables.poll()
            finally:
                variables.close()
        except Exception as error:
            self._failure = error

    def _find_time(self) -> None:
        """What its tick is now: the best of a few calls."""
        self._period_s = self._plc.statistics().period_ns / 1e9
        self.error_s = math.inf
        for _ in range(5):
            before_s = self._clock()
            tick = self._plc.read(self._names[:1]).tick
            after_s = self._clock()
            if (after_s - before_s) / 2 < self.error_s:
                self.error_s = (after_s - before_s) / 2
                self._zero_s = (before_s + after_s) / 2 - tick * self._period_s

    def stop(self) -> None:
        """End the trace and the program. Raises what the trace failed with."""
        self._ended.set()
        self._thread.join()
        if self._begun.is_set():
            self._plc.stop()
            self._plc.unforce()
        if self._failure is not None:
            raise self._failure

    def at(self, clock_s: float) -> dict[str, Value]:
        """The values of the last sample until then; times rise."""
        while self._place < len(self._samples):
            tick, values = self._samples[self._place]
            if self._zero_s + tick * self._period_s > clock_s:
                break
            self._last = values
            self._place += 1
        return dict(zip(self._names, self._last, strict=True))
