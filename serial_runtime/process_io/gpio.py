# SPDX-License-Identifier: MIT
"""[[io.gpio]]: lines of a GPIO chip. The chip's thread is C (board/io/gpio.h)."""

from __future__ import annotations

from typing import Any

from serial_runtime.board_types import GpioChip, GpioLine, IoPart
from serial_runtime.errors import ConfigError
from serial_runtime.iec.location import AREA_BYTES, Location
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.process_io import tables
from serial_runtime.process_io.tables import Point
from serial_runtime.profile_values import boolean, integer, one_of, text

_LINES_MAX = 512  # IO_GPIO_LINES_MAX of board/io/gpio.h
_STALE_NS = 500_000_000  # the least: shorter than this no thread is missed
_STALE_POLLS = 10
# enum io_gpio_use of board/io/gpio.h
_OUTPUT, _ACTIVE_LOW, _RISING, _FALLING = 1, 2, 128, 256
_BIAS = {"as-is": 0, "pull-up": 4, "pull-down": 8, "off": 16}
_DRIVE = {"push-pull": 0, "open-drain": 32, "open-source": 64}
_EDGES = {"rising": _RISING, "falling": _FALLING, "both": _RISING | _FALLING}

_line = integer(0, 65535)
_INPUT_KEYS: dict[str, tables.Check] = {
    "line": _line,
    "bias": one_of(*_BIAS),
    "active_low": boolean,
    "debounce_us": integer(0, 1_000_000, " us"),
    "on_loss": tables.on_loss,
    "quality": tables.quality,
}
_COUNT_KEYS = {**_INPUT_KEYS, "edges": one_of(*_EDGES)}
_OUTPUT_KEYS: dict[str, tables.Check] = {
    "line": _line,
    "safe": boolean,
    "active_low": boolean,
    "drive": one_of(*_DRIVE),
    "quality": tables.quality,
}


class GpioTable(NamedTuple):
    """One chip."""

    name: str
    chip: str
    poll_us: int
    priority: int
    quality: Location | None
    points: tuple[Point, ...]
    lines: tuple[GpioLine, ...]

    def part(self) -> IoPart:
        """What the board is told of it."""
        poll_ns = self.poll_us * 1000
        part = tables.part_of(self, max(_STALE_NS, _STALE_POLLS * poll_ns))
        bits = bytearray(AREA_BYTES)
        for place in [point.quality for point in self.points] + [self.quality]:
            if place is not None:
                place.store(bits, 1)
        chip = GpioChip(self.chip, self.lines, poll_ns, self.priority, bytes(bits))
        return part._replace(gpio=chip)


def read_gpio(key: str, value: object) -> GpioTable:
    """One table of [[io.gpio]]. ConfigError."""
    known: dict[str, tables.Check] = {
        "name": text,
        "chip": text,
        "inputs": lambda key, value: value,
        "outputs": lambda key, value: value,
        "counts": lambda key, value: value,
        "poll_us": integer(100, 1_000_000, " us"),
        "priority": integer(0, 98, " (0: not real time)"),
        "bias": _INPUT_KEYS["bias"],
        "active_low": boolean,
        "debounce_us": _INPUT_KEYS["debounce_us"],
        "on_loss": tables.on_loss,
        "quality": tables.quality,
    }
    found = tables.read_table(key, value, known)
    tables.need(key, found, "chip")
    lines = _Lines(found)
    for own, place, entry in tables.read_map(
        f"{key}.inputs", found.get("inputs", {}), "line", _INPUT_KEYS, "I", (1,)
    ):
        lines.add_input(own, place, entry)
    for own, place, entry in tables.read_map(
        f"{key}.counts", found.get("counts", {}), "line", _COUNT_KEYS, "I", (16, 32, 64)
    ):
        lines.add_count(own, place, entry)
    for own, place, entry in tables.read_map(
        f"{key}.outputs", found.get("outputs", {}), "line", _OUTPUT_KEYS, "Q", (1,)
    ):
        lines.add_output(own, place, entry)
    if not lines.points:
        raise ConfigError(f"{key} maps no line: give it inputs, outputs or counts")
    if len(lines.lines) > _LINES_MAX:
        raise ConfigError(f"{key} has {len(lines.lines)} lines: expected {_LINES_MAX} at most")
    return GpioTable(
        name=found.get("name", tables.default_name("gpio", key)),
        chip=found["chip"],
        poll_us=found.get("poll_us", 1000),
        priority=found.get("priority", 0),
        quality=found.get("quality"),
        points=tuple(lines.points),
        lines=tuple(lines.lines.values()),
    )


def check_chips(tables: tuple[GpioTable, ...], rt_priority: int) -> None:
    """A chip has one table, and its thread does not hold up the cycle. ConfigError."""
    chips = set()
    for table in tables:
        if table.chip in chips:
            raise ConfigError(f"{table.chip} has two tables [[io.gpio]]: a chip has one")
        chips.add(table.chip)
        if table.priority >= rt_priority > 0:
            raise ConfigError(
                f"{table.name} has priority {table.priority}: expected one below rt.priority, "
                f"which is {rt_priority}"
            )


class _Lines:
    """The lines of one chip, as its points ask for them."""

    def __init__(self, defaults: dict[str, Any]) -> None:
        self.points: list[Point] = []
        self.lines: dict[int, GpioLine] = {}
        self._defaults = defaults
        self._keys: dict[int, str] = {}  # where a line was named first
        self._settings: dict[int, dict[str, Any]] = {}  # of inputs, as given there

    def _setting(self, entry: dict[str, Any], name: str, default: Any) -> Any:
        return entry.get(name, self._defaults.get(name, default))

    def _zero(self, entry: dict[str, Any]) -> bool:
        return bool(self._setting(entry, "on_loss", "hold") == "zero")

    def add_input(self, key: str, place: Location, entry: dict[str, Any]) -> None:
        number = entry["line"]
        self._claim(key, number)
        self._settings[number] = entry
        self.lines[number] = self._input(entry)._replace(
            value_byte=place.byte, value_mask=place.mask
        )
        self.points.append(
            Point(place, 1, f"line {number}", entry.get("quality"), self._zero(entry))
        )

    def add_count(self, key: str, place: Location, entry: dict[str, Any]) -> None:
        number, edges = entry["line"], entry.get("edges", "rising")
        line = self.lines.get(number)
        if line is None:
            self._claim(key, number)
            line = self._input(entry)
        elif line.count_bytes:
            raise ConfigError(f"{key}: line {number} is counted twice")
        else:
            self._agree(key, number, entry)
            line = self._input({**entry, **self._settings[number]})._replace(
                value_byte=line.value_byte, value_mask=line.value_mask
            )
        self.lines[number] = line._replace(
            use=line.use | _EDGES[edges], count_byte=place.byte, count_bytes=place.size
        )
        source = f"{edges} edges of line {number}" if edges != "both" else f"edges of line {number}"
        self.points.append(Point(place, 1, source, entry.get("quality"), self._zero(entry)))

    def add_output(self, key: str, place: Location, entry: dict[str, Any]) -> None:
        number = entry["line"]
        self._claim(key, number)
        use = _OUTPUT | _DRIVE[entry.get("drive", "push-pull")]
        use |= _ACTIVE_LOW if entry.get("active_low", False) else 0
        self.lines[number] = GpioLine(number, use, 0, place.byte, place.mask)
        self.points.append(
            Point(
                place,
                1,
                f"line {number}",
                entry.get("quality"),
                safe=int(entry.get("safe", False)),
            )
        )

    def _input(self, entry: dict[str, Any]) -> GpioLine:
        use = _BIAS[self._setting(entry, "bias", "as-is")]
        use |= _ACTIVE_LOW if self._setting(entry, "active_low", False) else 0
        return GpioLine(entry["line"], use, self._setting(entry, "debounce_us", 0))

    def _claim(self, key: str, number: int) -> None:
        other = self._keys.setdefault(number, key)
        if other != key:
            raise ConfigError(f"{key}: line {number} is mapped already, by {other}")

    def _agree(self, key: str, number: int, entry: dict[str, Any]) -> None:
        """A counted input has one setting of everything."""
        for name in ("bias", "active_low", "debounce_us"):
            given = self._settings[number]
            if name in entry and name in given and entry[name] != given[name]:
                raise ConfigError(
                    f"{key}.{name}: line {number} has another one as an input, {given[name]!r}; "
                    "give it once"
                )
