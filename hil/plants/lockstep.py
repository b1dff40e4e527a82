# SPDX-License-Identifier: MIT
"""A plant in lockstep with a simulated board (`io.driver = "lockstep:NAME"`): exact, and the same
each time, as fast as both can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.plants.model import Channel, Model, PlantError, Value
from hil.plants.profile import Profile
from hil.plants.record import row_of, signals_of
from hil.plants.run import Judge, Run
from hil.plants.stimulus import Stimulus
from serial_runtime import iec
from serial_runtime.errors import VariableError
from serial_runtime.iec import IecType
from serial_runtime.plant import Plant
from serial_runtime.rpc.client import Client, Trace

_CHUNK = 1000  # cycles between two looks at the trace: few enough for the board to keep them
_PATIENCE_S = 60.0


class Variables:
    """Variables of the program, traced tick by tick."""

    def __init__(self, plc: Client, names: Sequence[str], every: int) -> None:
        """`every` ticks one sample, between two the last one holds; 0: what the line takes."""
        self._plc = plc
        self._names = tuple(names)
        rows = {row.path: row for row in plc.variables()} if names else {}
        for name in names:
            if name in rows and iec.iec_type(rows[name].iec_type) is IecType.STRING:
                raise VariableError(f"{name} is a STRING: only what has a number is recorded")
        self._kinds = [iec.iec_type(rows[name].iec_type) for name in names if name in rows]
        self._every = every
        self._samples: dict[int, list[float]] = {}
        self._last = [0.0] * len(self._names)
        self._trace: Trace | None = None
        if names:
            self._trace = plc.trace(self._names, poll_s=0.002, every=every)

    @staticmethod
    def bits(plc: Client, names: Sequence[str]) -> dict[str, bool]:
        """Of each of them: is it a BOOL?"""
        rows = plc.variables()
        return {name: rows[plc.indices([name])[0]].iec_type == IecType.BOOL for name in names}

    def poll(self) -> list[tuple[int, list[float]]]:
        """What has come since the last time, by tick; maybe nothing."""
        if self._trace is None:
            return []
        return [
            (sample.tick, [float(v) for v in iec.unpack_all(self._kinds, sample.values)])
            for sample in self._trace.poll()
        ]

    def wait_for(self, tick: int) -> None:
        """Have all samples up to this tick. PlantError: the board has lost some."""
        trace, tick = self._trace, tick - tick % self._every
        while trace is not None and tick not in self._samples:
            self._samples.update(self.poll())
            if trace.lost:
                raise PlantError(f"the board lost {trace.lost} samples of the trace")

    def at(self, tick: int) -> dict[str, Value]:
        """Their values at a tick that was waited for; each tick once, in order."""
        self._last = self._samples.pop(tick, self._last)
        return dict(zip(self._names, self._last, strict=True))

    def force(self, path: str, value: Value | None) -> None:
        """Force one of the program's variables; None: no longer."""
        if value is None:
            self._plc.unforce([path])
            return
        index = self._plc.indices([path])[0]
        kind = self._plc.variables()[index].iec_type
        whole = iec.iec_type(kind) not in (IecType.REAL, IecType.LREAL)
        number = bool(value) if kind == IecType.BOOL else int(value) if whole else float(value)
        self._plc.force({path: iec.pack(kind, number)})

    def close(self) -> None:
        """End the trace."""
        if self._trace is not None:
            self._trace.close()


def run(
    plc: Client,
    io: str,
    model: Model,
    profile: Profile,
    *,
    every: int = 1,
    inputs: tuple[Channel, ...] = (),
    outputs: tuple[Channel, ...] = (),
    every_chunk: Callable[[int], object] = lambda tick: None,
) -> Run:
    """Start the program that is loaded, and run it with the plant for the profile's time.

    `io` is the NAME of the board's `lockstep:NAME`. Limits are looked at in every cycle, or for
    variables of the PLC in one of `every`, which are also those that are recorded. `inputs` and
    `outputs` replace the model's channels, for a program that has them at other addresses.
    `every_chunk` is called between cycles, about a thousand apart. The program is stopped at the
    end. PlantError, SerialRuntimeError.
    """
    inputs, outputs = inputs or model.inputs, outputs or model.outputs
    with Plant.attach(io, timeout_s=_PATIENCE_S) as segment:
        segment.write({channel.address: 0 for channel in inputs})
        plc.start(cold=True)
        try:
            return _run(plc, segment, model, profile, every, inputs, outputs, every_chunk)
        finally:
            plc.stop()
            plc.unforce()


def _run(
    plc: Client,
    segment: Plant,
    model: Model,
    profile: Profile,
    every: int,
    inputs: tuple[Channel, ...],
    outputs: tuple[Channel, ...],
    every_chunk: Callable[[int], object],
) -> Run:
    period_ns = int(plc.statistics().period_ns)
    variables = Variables(plc, profile.watch, every)
    judge = Judge(
        profile.limits,
        signals_of(model, Variables.bits(plc, profile.watch)),
        f"cycles of {period_ns / 1e6:g} ms in lockstep with the plant: exact",
        every,
    )
    stimulus = Stimulus(profile.events, model, period_ns, variables.force)
    dt_s = period_ns / 1e9
    cycles = round(profile.seconds / dt_s)
    wires_in = [(channel.name, channel.address) for channel in inputs]
    wires_out = [(channel.name, channel.address, channel.digital) for channel in outputs]
    waiting: list[tuple[int, dict[str, Value]]] = []
    try:
        for tick in range(cycles):
            stimulus.before(tick)
            seen = stimulus.spoil(model.read())
            segment.write({address: seen[name] for name, address in wires_in if name in seen})
            segment.step(timeout_s=_PATIENCE_S)
            given: dict[str, Value] = {name: segment[address] for name, address, _ in wires_out}
            waiting.append((tick, row_of(model, seen, given)))
            model.step(dt_s, given)
            if len(waiting) >= _CHUNK or tick == cycles - 1:
                variables.wait_for(tick)
                for at, row in waiting:
                    row.update(variables.at(at))
                    judge.take(at, at * period_ns / 1e9, row)
                waiting.clear()
                every_chunk(tick)
    finally:
        variables.close()
    events = [(at * period_ns / 1e9, event) for at, event in stimulus.happened]
    return Run(model.name, profile, judge.record, judge.verdicts(), events)
