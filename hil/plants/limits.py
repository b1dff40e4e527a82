# SPDX-License-Identifier: MIT
"""What must hold of a run: each limit looks at every sample, and says at the end how it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hil.plants.model import PlantError, Value, near

_COMMON = ("requirement", "signal", "text", "from_s", "to_s")
# By the key that says what is limited: the keys that go with it.
KINDS: dict[str, tuple[str, ...]] = {
    "min": ("max",),
    "max": ("min",),
    "equals": ("band",),
    "never": (),
    "settles": ("band", "within_s"),
    "final": ("band",),
    "becomes": ("when", "is", "within_ms"),
}


class Limit(NamedTuple):
    """See docs/plants.md for what each kind means."""

    requirement: str
    signal: str
    kind: str
    value: float
    text: str = ""
    from_s: float = 0.0
    to_s: float = math.inf
    high: float = math.inf  # min: the other end
    band: float = 0.0
    within_s: float = 0.0
    when: str = ""
    when_value: float = 1.0
    where: str = ""

    def __str__(self) -> str:
        ms = f"{self.within_s * 1000:g} ms"
        said = {
            "min": f"{self.signal} {_range(self.value, self.high)}",
            "equals": f"{self.signal} is {self.value:g}" + f" +/- {self.band:g}" * bool(self.band),
            "never": f"{self.signal} is never {self.value:g}",
            "settles": f"{self.signal} settles at {self.value:g} +/- {self.band:g} within "
            f"{self.within_s:g} s",
            "final": f"{self.signal} ends at {self.value:g}"
            + f" +/- {self.band:g}" * bool(self.band),
            "becomes": f"{self.signal} is {self.value:g} within {ms} of {self.when} = "
            f"{self.when_value:g}",
        }[self.kind]
        window = ""
        if self.from_s > 0:
            window += f", from {self.from_s:g} s"
        if self.to_s < math.inf:
            window += f", to {self.to_s:g} s"
        return said + window

    @property
    def signals(self) -> tuple[str, ...]:
        """Those it looks at."""
        return (self.signal, self.when) if self.when else (self.signal,)


def _range(low: float, high: float) -> str:
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"


class Verdict(NamedTuple):
    """Of one limit, after a run."""

    limit: Limit
    passed: bool
    detail: str
    time_s: float = math.nan  # of the first violation


class Watcher:
    """Looks at one run for one limit."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._looks: Callable[[float, float, float], str] = getattr(self, "_" + limit.kind)
        self._bad: tuple[float, str] | None = None
        self._seen = 0
        self._low = math.inf
        self._high = -math.inf
        self._last = math.nan
        self._last_s = 0.0
        self._inside_s = math.nan
        self._due_s = math.nan  # becomes: the end of its time

    def look(self, time_s: float, values: Mapping[str, Value]) -> None:
        """At one sample; times rise."""
        limit = self._limit
        if not limit.from_s <= time_s <= limit.to_s:
            return
        value = float(values[limit.signal])
        self._seen += 1
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._last, self._last_s = value, time_s
        when = float(values[limit.when]) if limit.when else 0.0
        found = self._looks(time_s, value, when)
        if found and self._bad is None:
            self._bad = (time_s, found)

    def verdict(self) -> Verdict:
        """After the last sample."""
        limit, bad = self._limit, self._bad
        if not self._seen:
            return Verdict(limit, False, "there was no sample in its time")
        if bad is None and limit.kind == "final" and abs(self._last - limit.value) > limit.band:
            bad = (self._last_s, f"it ended at {self._last:g}")
        if bad is None and limit.kind == "settles":
            bad = self._unsettled()
        span = f"it was from {self._low:g} to {self._high:g}"
        if bad is not None:
            return Verdict(limit, False, f"at {bad[0]:.3f} s {bad[1]}; {span}", bad[0])
        if limit.kind == "settles":
            span = f"settled at {self._inside_s:.3f} s; {span}"
        return Verdict(limit, True, span)

    def _unsettled(self) -> tuple[float, str] | None:
        end_s = self._limit.from_s + self._limit.within_s
        if math.isnan(self._inside_s):
            return (self._last_s, f"it had not settled, being {self._last:g}")
        if self._inside_s > end_s:
            return (self._inside_s, "it settled, too late or again after it had left the band")
        if self._last_s < end_s and math.isinf(self._limit.to_s):
            return (self._last_s, "the run ended before its time was over")
        return None

    def _min(self, time_s: float, value: float, when: float) -> str:
        inside = self._limit.value <= value <= self._limit.high
        return "" if inside else f"it was {value:g}"

    def _equals(self, time_s: float, value: float, when: float) -> str:
        return f"it was {value:g}" if abs(value - self._limit.value) > self._limit.band else ""

    def _never(self, time_s: float, value: float, when: float) -> str:
        return f"it was {value:g}" if value == self._limit.value else ""

    def _final(self, time_s: float, value: float, when: float) -> str:
        return ""

    def _settles(self, time_s: float, value: float, when: float) -> str:
        if abs(value - self._limit.value) > self._limit.band:
            self._inside_s = math.nan
        elif math.isnan(self._inside_s):
            self._inside_s = time_s
        return ""

    def _becomes(self, time_s: float, value: float, when: float) -> str:
        limit = self._limit
        if when != limit.when_value or value == limit.value:
            self._due_s = math.nan
            return ""
        if math.isnan(self._due_s):
            self._due_s = time_s + limit.within_s
        # Times are multiples of a period: what is due now may be a rounding off.
        late = time_s > self._due_s + 1e-9
        return f"it was still {value:g}" if late else ""


def read_limit(entry: Mapping[str, object], where: str) -> Limit:
    """From a table of a profile. PlantError."""
    kinds = [key for key in KINDS if key in entry]
    if not kinds:
        raise PlantError(f"{where}: a limit says one of {', '.join(KINDS)}")
    kind = kinds[0]
    allowed = (*_COMMON, kind, *KINDS[kind])
    for key in entry:
        if key not in allowed:
            raise PlantError(f"{where}: key {key!r} of a limit with {kind}: {near(key, allowed)}")
    words = {}
    for key in ("requirement", "signal"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise PlantError(f"{where}: {key} is missing")
        words[key] = str(entry[key])

    def number(key: str, default: float) -> float:
        value = entry.get(key, default)
        if not isinstance(value, (bool, int, float)):
            raise PlantError(f"{where}: {key} = {value!r}: expected a number, true or false")
        return float(value)

    within_s = number("within_s", 0.0)
    when, when_value = "", 1.0
    if kind == "becomes":
        if not isinstance(entry.get("when"), str) or "within_ms" not in entry:
            raise PlantError(f"{where}: becomes needs when (a signal) and within_ms")
        when, when_value = str(entry["when"]), number("is", 1.0)
        within_s = number("within_ms", 0.0) / 1000
    if kind == "settles" and not {"band", "within_s"} <= entry.keys():
        raise PlantError(f"{where}: settles needs band and within_s")
    value = number(kind, 0.0)
    if kind == "max":
        kind, value = "min", -math.inf
    return Limit(
        **words,
        kind=kind,
        value=value,
        text=str(entry.get("text", "")),
        from_s=number("from_s", 0.0),
        to_s=number("to_s", math.inf),
        high=number("max", math.inf),
        band=number("band", 0.0),
        within_s=within_s,
        when=when,
        when_value=when_value,
        where=where,
    )
