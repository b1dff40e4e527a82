# SPDX-License-Identifier: MIT
"""A run of a plant against a board: what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hil.plants.limits import Limit, Verdict, Watcher
from hil.plants.model import PlantError, Value, near
from hil.plants.profile import Event, Profile
from hil.plants.record import Record, Signal, write_json


class Judge:
    """Takes every sample of a run: looks at the limits, and records one of `every`."""

    def __init__(
        self, limits: Iterable[Limit], signals: tuple[Signal, ...], time_base: str, every: int = 1
    ) -> None:
        """PlantError: a limit of a signal that there is not."""
        known = [signal.name for signal in signals]
        for limit in limits:
            for name in limit.signals:
                if name not in known:
                    raise PlantError(f"{limit.where}: signal {name!r}: {near(name, known)}")
        self.record = Record(signals, time_base)
        self._watchers = [Watcher(limit) for limit in limits]
        self._every = every
        self._seen = 0

    def take(self, tick: int, time_s: float, values: Mapping[str, Value]) -> None:
        """A sample; times rise."""
        for watcher in self._watchers:
            watcher.look(time_s, values)
        if self._seen % self._every == 0:
            self.record.append(tick, time_s, values)
        self._seen += 1

    def verdicts(self) -> list[Verdict]:
        """After the last one."""
        return [watcher.verdict() for watcher in self._watchers]


class Run:
    """A run that is over."""

    def __init__(
        self,
        plant: str,
        profile: Profile,
        record: Record,
        verdicts: list[Verdict],
        events: list[tuple[float, Event]],
    ) -> None:
        self.plant = plant
        self.title = profile.title
        self.record = record
        self.verdicts = verdicts
        self.events = events  # with the second at which each took effect
        self.program = ""  # its digest

    @property
    def failures(self) -> list[Verdict]:
        """Limits that did not hold."""
        return [verdict for verdict in self.verdicts if not verdict.passed]

    def check(self) -> None:
        """AssertionError that names each limit that did not hold."""
        lines = [
            f"{limit.requirement}: {limit} ({limit.where}): {detail}"
            for limit, _, detail, _ in self.failures
        ]
        assert not lines, f"{self.title}:\n" + "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """All of it; the report is made of this."""
        return {
            "plant": self.plant,
            "program": self.program,
            "title": self.title,
            "record": self.record.as_json(),
            "events": [
                {"time_s": round(time_s, 6), "text": str(event), "fault": bool(event.fault)}
                for time_s, event in self.events
            ],
            "limits": [
                {
                    "requirement": verdict.limit.requirement,
                    "text": str(verdict.limit),
                    "why": verdict.limit.text,
                    "signal": verdict.limit.signal,
                    "kind": verdict.limit.kind,
                    **_bounds(verdict.limit),
                    "passed": verdict.passed,
                    "detail": verdict.detail,
                    "violated_s": None if verdict.time_s != verdict.time_s else verdict.time_s,
                }
                for verdict in self.verdicts
            ],
        }

    def write(self, folder: Path, name: str) -> Path:
        """NAME.csv and NAME.json; the path of the latter."""
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")
        self.record.write_csv(folder / f"{name}.csv")
        path = folder / f"{name}.json"
        write_json(path, self.as_json())
        return path


def _bounds(limit: Limit) -> dict[str, float | None]:
    """What can be drawn: a low and a high line from one time to another."""
    low: float | None = None
    high: float | None = None
    from_s, to_s = limit.from_s, limit.to_s
    if limit.kind == "min":
        low, high = limit.value, limit.high
    elif limit.kind in ("settles", "final", "equals"):
        low, high = limit.value - limit.band, limit.value + limit.band
        if limit.kind == "settles":
            from_s += limit.within_s
    found = {"low": low, "high": high, "from_s": from_s, "to_s": to_s}
    return {key: None if v is None or abs(v) == float("inf") else v for key, v in found.items()}
