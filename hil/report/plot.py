# SPDX-License-Identifier: MIT
"""Plots of a run as one SVG: a strip for each number, a lane for each bit, one time axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

_WIDTH, _LEFT, _RIGHT = 1000, 190, 14
_STRIP, _LANE, _GAP, _TOP = 74, 20, 12, 26
_MOST_POINTS = 900
_COLOURS = {"plant": "#1f4e9c", "input": "#16794c", "output": "#8a4fa3", "plc": "#b05a00"}
_SOURCES = {
    "plant": "the plant",
    "input": "what the PLC sees",
    "output": "what it drives",
    "plc": "its variables",
    "outside": "from outside",
}
_OUTSIDE = "#5a6472"


class _Axis(NamedTuple):
    """From a range of values to places in the picture."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def svg(run: dict[str, Any]) -> str:
    """All signals of a run (`Run.as_json`) with its limits and events."""
    record, times = run["record"], run["record"]["times_s"]
    signals = [one for one in record["signals"] if _worth_it(one)]
    if len(times) < 2 or not signals:
        return "<p>Nothing was recorded.</p>"
    x = _Axis(times[0], times[-1], _LEFT, _WIDTH - _RIGHT)
    parts: list[str] = []
    y = float(_TOP)
    source, in_lanes = "", False
    for signal in signals:
        if signal["source"] != source:
            y += 10 if source else 0
            source = signal["source"]
            parts.append(
                f'<text x="4" y="{y + 11}" class="h">{escape(_SOURCES.get(source, source))}</text>'
            )
            y += 20
        limits = [one for one in run["limits"] if one["signal"] == signal["name"]]
        if signal["digital"] or len(set(signal["values"])) == 1:
            parts += _lane(signal, times, limits, x, y)
            y += _LANE
            in_lanes = True
        else:
            y += 6 if in_lanes else 0
            parts += _strip(signal, times, limits, x, y)
            y += _STRIP + _GAP
            in_lanes = False
    y += 4
    parts += _time_axis(x, y)
    marks = _events(run["events"], x, y)
    height = y + 34
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{escape(run["title"], quote=True)}">' + "".join(marks + parts) + "</svg>"
    )


def _worth_it(signal: dict[str, Any]) -> bool:
    """Disturbances and the PLC's own that never move are not drawn."""
    values = signal["values"]
    return signal["source"] != "outside" or any(value != values[0] for value in values)


def _points(times: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    """Few enough to draw; of each bundle the lowest and the highest."""
    known = [(t, v) for t, v in zip(times, values, strict=True) if v is not None]
    bundle = math.ceil(len(known) / _MOST_POINTS * 2)
    if bundle <= 2:
        return known
    found: list[tuple[float, float]] = []
    for n in range(0, len(known), bundle):
        few = known[n : n + bundle]
        low, high = min(few, key=lambda p: p[1]), max(few, key=lambda p: p[1])
        found += sorted({low, high})
    return found


def _steps(times: Sequence[float], values: Sequence[float | None]) -> Iterable[tuple[float, float]]:
    """Only where something changes: bits are steps."""
    last: float | None = None
    for time_s, value in zip(times, values, strict=True):
        if value is not None and value != last:
            if last is not None:
                yield time_s, last
            yield time_s, value
            last = value
    if last is not None:
        yield times[-1], last


def _label(signal: dict[str, Any], y: float) -> str:
    name, text = signal["name"].removeprefix("outside."), signal["text"]
    title = f"<title>{escape(text)}</title>" if text else ""
    return f'<text x="8" y="{y}" class="n">{title}{escape(name)}</text>'


def _strip(
    signal: dict[str, Any],
    times: Sequence[float],
    limits: Sequence[dict[str, Any]],
    x: _Axis,
    top: float,
) -> list[str]:
    points = _points(times, signal["values"])
    bounds = [b for one in limits for b in (one["low"], one["high"]) if b is not None]
    values = [v for _, v in points] + bounds
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 1, high + 1
    room = (high - low) * 0.06
    y = _Axis(low - room, high + room, top + _STRIP, top)
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_STRIP}" '
        'class="f"/>',
        _label(signal, top + 14),
    ]
    for tick in _ticks(low, high, 3):
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick)}" y2="{y(tick)}" class="g"/>'
            f'<text x="{_LEFT - 5}" y="{y(tick) + 3.5}" class="t r">{tick:g}</text>'
        )
    for one in limits:
        parts += _bounds(one, x, y)
    colour = _COLOURS.get(signal["source"], _OUTSIDE)
    line = " ".join(f"{x(t)},{y(v)}" for t, v in points)
    parts.append(f'<polyline points="{line}" stroke="{colour}" class="l"/>')
    parts += [_violation(one, x, top, _STRIP) for one in limits]
    return parts


def _bounds(limit: dict[str, Any], x: _Axis, y: _Axis) -> list[str]:
    """Lines that the signal has to stay between."""
    start = max(limit["from_s"] or x.low, x.low)
    end = min(x.high if limit["to_s"] is None else limit["to_s"], x.high)
    parts = []
    for bound in (limit["low"], limit["high"]):
        if bound is not None and start < end:
            parts.append(
                f'<line x1="{x(start)}" x2="{x(end)}" y1="{y(bound)}" y2="{y(bound)}" class="b">'
                f"<title>{escape(limit['requirement'])}: {escape(limit['text'])}</title></line>"
            )
    return parts


def _lane(
    signal: dict[str, Any],
    times: Sequence[float],
    limits: Sequence[dict[str, Any]],
    x: _Axis,
    top: float,
) -> list[str]:
    if not signal["digital"]:  # a number that never changed
        value = signal["values"][0]
        return [
            _label(signal, top + 14),
            f'<text x="{_LEFT}" y="{top + 14}" class="t">always {value:g}</text>',
            *(_violation(one, x, top, _LANE) for one in limits),
        ]
    y = _Axis(0, 1, top + _LANE - 5, top + 3)
    colour = _COLOURS.get(signal["source"], _OUTSIDE)
    steps = list(_steps(times, signal["values"]))
    if len(steps) > 4 * _MOST_POINTS:  # a bit that flickers all the time is a band
        steps = _points([t for t, _ in steps], [v for _, v in steps])
    line = " ".join(f"{x(t)},{y(v)}" for t, v in steps)
    return [
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(0)}" y2="{y(0)}" class="g"/>',
        _label(signal, top + 14),
        f'<polyline points="{line}" stroke="{colour}" class="l"/>',
        *(_violation(one, x, top, _LANE) for one in limits),
    ]


def _violation(limit: dict[str, Any], x: _Axis, top: float, height: float) -> str:
    at = limit["violated_s"]
    if limit["passed"] or at is None:
        return ""
    text = f"{limit['requirement']}: {limit['detail']}"
    return (
        f'<line x1="{x(at)}" x2="{x(at)}" y1="{top}" y2="{top + height}" class="v">'
        f"<title>{escape(text)}</title></line>"
        f'<circle cx="{x(at)}" cy="{top + height / 2}" r="4" class="d"/>'
    )


def _events(events: Sequence[dict[str, Any]], x: _Axis, bottom: float) -> list[str]:
    """Numbered lines through all of it; the list is beside the plot."""
    parts = []
    last = -math.inf
    for n, event in enumerate(events, 1):
        at = x(min(max(event["time_s"], x.low), x.high))
        kind = "e fault" if event["fault"] else "e"
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{_TOP - 8}" y2="{bottom}" class="{kind}">'
            f"<title>{escape(event['text'])}</title></line>"
        )
        if at - last > 13:
            parts.append(f'<text x="{at}" y="{_TOP - 12}" class="t m">{n}</text>')
            last = at
    return parts


def _time_axis(x: _Axis, y: float) -> list[str]:
    parts = [f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" class="a"/>']
    ticks = _ticks(x.low, x.high, 10)
    for tick in ticks:
        parts.append(
            f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{y}" y2="{y + 4}" class="a"/>'
            f'<text x="{x(tick)}" y="{y + 16}" class="t m">{tick:g}</text>'
        )
    parts.append(f'<text x="{_LEFT - 5}" y="{y + 16}" class="t r">seconds</text>')
    return parts


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers within."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    found = []
    while first * step <= high + step * 1e-9:
        found.append(round(first * step, 10))
        first += 1
    return found
