# SPDX-License-Identifier: MIT
"""Records of a run: every signal against one time base, as CSV and JSON."""

from __future__ import annotations

import csv
import json
import math
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hil.plants.model import Model, Value

# Where a signal comes from, in the order of the report.
STATE, SENSOR, ACTUATOR, OUTSIDE, PLC_VARIABLE = "plant", "input", "output", "outside", "plc"
OUTSIDE_PREFIX = "outside."
NOTHING: Mapping[str, bool] = {}


class Signal(NamedTuple):
    """A column."""

    name: str
    source: str
    text: str = ""
    digital: bool = False


class Record:
    """Samples of all signals."""

    def __init__(self, signals: tuple[Signal, ...], time_base: str) -> None:
        """`time_base` says in words what the times are, and how exact."""
        self.signals = signals
        self.time_base = time_base
        self.ticks = array("q")
        self.times_s = array("d")
        self._columns = {signal.name: array("d") for signal in signals}

    def __len__(self) -> int:
        return len(self.ticks)

    def __getitem__(self, name: str) -> array[float]:
        """The samples of a signal. KeyError."""
        return self._columns[name]

    def append(self, tick: int, time_s: float, values: Mapping[str, Value]) -> None:
        """A sample of each signal."""
        self.ticks.append(tick)
        self.times_s.append(time_s)
        for name, column in self._columns.items():
            column.append(float(values[name]))

    def write_csv(self, path: Path) -> None:
        """One row a sample. Two records that are equal are equal as files, byte for byte."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["tick", "time_s", *self._columns])
            for n, tick in enumerate(self.ticks):
                row = [_number(column[n]) for column in self._columns.values()]
                writer.writerow([tick, f"{self.times_s[n]:.6f}", *row])

    def as_json(self) -> dict[str, Any]:
        """For the report: the signals and their samples."""
        return {
            "time_base": self.time_base,
            "ticks": self.ticks.tolist(),
            "times_s": [round(time_s, 6) for time_s in self.times_s],
            "signals": [
                {**signal._asdict(), "values": [_short(v) for v in self._columns[signal.name]]}
                for signal in self.signals
            ],
        }


def signals_of(model: Model, plc: Mapping[str, bool] = NOTHING) -> tuple[Signal, ...]:
    """All signals of a model, and variables of the program beside them: is each a BOOL?"""
    found = [Signal(n, STATE, digital=isinstance(v, bool)) for n, v in model.state().items()]
    found += [Signal(c.name, SENSOR, c.text, c.digital) for c in model.inputs]
    found += [Signal(c.name, ACTUATOR, c.text, c.digital) for c in model.outputs]
    found += [
        Signal(OUTSIDE_PREFIX + n, OUTSIDE, digital=isinstance(v, bool))
        for n, v in model.disturbances.items()
    ]
    found += [Signal(name, PLC_VARIABLE, digital=bit) for name, bit in plc.items()]
    return tuple(found)


def row_of(
    model: Model, inputs: Mapping[str, Value], outputs: Mapping[str, Value]
) -> dict[str, Value]:
    """A sample of the signals of a model."""
    row = {**model.state(), **inputs, **outputs}
    for name, value in model.disturbances.items():
        row[OUTSIDE_PREFIX + name] = value
    return row


def _short(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 1e15 else float(f"{value:.7g}")


def _number(value: float) -> str:
    return repr(int(value)) if value == math.floor(value) and abs(value) < 1e15 else repr(value)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Compact, sorted: equal contents are equal files."""
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")
