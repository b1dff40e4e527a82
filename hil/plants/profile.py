# SPDX-License-Identifier: MIT
"""Test profiles: what happens to a plant, when, and what must hold. TOML, or events alone as CSV.

Every error names the file, the line of the entry, the channel or key, and what is accepted.
docs/plants.md is the manual.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hil.plants.limits import Limit, read_limit
from hil.plants.model import PlantError, Value, near

FAULTS = ("stuck", "noise", "break", "none")
PLC = "plc:"  # before the path of a variable, which is forced
_EVENT_KEYS = ("time_s", "channel", "value", "ramp_s", "fault", "seed")
_KEYS = ("title", "seconds", "at", "limit", "watch")


class Event(NamedTuple):
    """Something that happens: a value, or a fault of a sensor."""

    time_s: float
    channel: str
    value: Value = 0
    ramp_s: float = 0.0
    fault: str = ""  # of FAULTS; "": a value
    seed: int = 1
    release: bool = False  # of a variable of the PLC that was forced
    where: str = ""  # file and line

    def __str__(self) -> str:
        if self.fault:
            size = f" of {self.value}" if self.fault == "noise" else ""
            return f"{self.channel}: fault {self.fault}{size}"
        if self.release:
            return f"{self.channel}: released"
        ramp = f" within {self.ramp_s:g} s" if self.ramp_s else ""
        return f"{self.channel} = {self.value}{ramp}"


class Profile(NamedTuple):
    """A run: events by time, limits, variables of the PLC to be recorded, and how long."""

    title: str
    seconds: float
    events: tuple[Event, ...]
    limits: tuple[Limit, ...]
    watch: tuple[str, ...] = ()


def load(path: str | Path) -> Profile:
    """A profile from a .toml or .csv file. PlantError."""
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PlantError(f"{path}: cannot be read: {error}") from error
    if path.suffix == ".csv":
        return _from_csv(path, text)
    if path.suffix == ".toml":
        return _from_toml(path, text)
    raise PlantError(f"{path}: a profile is a .toml or a .csv file")


def _from_csv(path: Path, text: str) -> Profile:
    reader = csv.DictReader(text.splitlines())
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    for name in names:
        if name not in _EVENT_KEYS:
            raise PlantError(f"{path}:1: column {name!r}: {near(name, _EVENT_KEYS)}")
    events = []
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if None in row:
            raise PlantError(f"{where}: more cells than columns, which are {', '.join(names)}")
        cells = {k: (v or "").strip() for k, v in row.items() if (v or "").strip()}
        if not cells or cells.get("time_s", "").startswith("#"):
            continue
        events.append(_event({k: _cell(where, k, v) for k, v in cells.items()}, where))
    return Profile(path.stem, _last(events), tuple(events), ())


def _cell(where: str, key: str, text: str) -> object:
    if key in ("channel", "fault"):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError as error:
        if key == "value" and text == "release":
            return text
        raise PlantError(f"{where}: {key} = {text!r}: expected a number, true or false") from error


def _from_toml(path: Path, text: str) -> Profile:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlantError(f"{path}: {error}") from error
    for key in table:
        if key not in _KEYS:
            raise PlantError(f"{path}: key {key!r}: {near(key, _KEYS)}")
    events = tuple(_event(entry, where) for entry, where in _entries(path, text, table, "at"))
    limits = tuple(
        read_limit(entry, where) for entry, where in _entries(path, text, table, "limit")
    )
    watch = table.get("watch", [])
    if not isinstance(watch, list) or not all(isinstance(name, str) for name in watch):
        raise PlantError(f"{path}: watch = {watch!r}: expected a list of variables of the program")
    seconds = _number(table, "seconds", str(path), _last(events))
    return Profile(str(table.get("title", path.stem)), seconds, events, limits, tuple(watch))


def _entries(
    path: Path, text: str, table: Mapping[str, object], key: str
) -> Iterable[tuple[dict[str, object], str]]:
    """The tables of an array, and where each begins."""
    entries = table.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PlantError(f"{path}: {key} is an array of tables: write [[{key}]]")
    heads = re.compile(rf"^\s*\[\[\s*{key}\s*\]\]")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if heads.match(line)]
    for n, entry in enumerate(entries):
        yield entry, f"{path}:{lines[n]}" if n < len(lines) else f"{path}: {key} {n + 1}"


def _event(entry: Mapping[str, object], where: str) -> Event:
    for key in entry:
        if key not in _EVENT_KEYS:
            raise PlantError(f"{where}: key {key!r}: {near(key, _EVENT_KEYS)}")
    channel = entry.get("channel")
    if not isinstance(channel, str) or not channel:
        raise PlantError(f"{where}: channel is missing: the name of a signal")
    if "time_s" not in entry:
        raise PlantError(f"{where}: channel {channel}: time_s is missing")
    time_s = _number(entry, "time_s", where)
    ramp_s = _number(entry, "ramp_s", where)
    fault = entry.get("fault", "")
    if fault and fault not in FAULTS:
        raise PlantError(f"{where}: channel {channel}: fault {fault!r}: {near(str(fault), FAULTS)}")
    value = entry.get("value", 0)
    release = value == "release" and channel.startswith(PLC)
    if release:
        value = 0
    if not isinstance(value, (bool, int, float)):
        raise PlantError(f"{where}: channel {channel}: value {value!r}: a number, true or false")
    if "value" not in entry and fault in ("", "noise"):
        raise PlantError(f"{where}: channel {channel}: value is missing")
    if ramp_s and (fault or isinstance(value, bool)):
        raise PlantError(f"{where}: channel {channel}: only numbers have ramps")
    seed = int(_number(entry, "seed", where, 1.0))
    return Event(time_s, channel, value, ramp_s, str(fault), seed, release, where)


def _number(entry: Mapping[str, object], key: str, where: str, default: float = 0.0) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise PlantError(f"{where}: {key} = {value!r}: expected a number, 0 or more")
    return float(value)


def _last(events: Iterable[Event]) -> float:
    return max((event.time_s + event.ramp_s for event in events), default=0.0) + 10.0
