# SPDX-License-Identifier: MIT
"""What the tables of process I/O in the profile have in common: addresses with something behind
them, their quality, and that no two claim the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from serial_runtime.board_types import IoPart
from serial_runtime.errors import ConfigError, VariableError
from serial_runtime.iec.location import AREA_BYTES, Location, parse_location
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.profile_values import choice, one_of

Check = Callable[[str, object], Any]
T = TypeVar("T")

on_loss = one_of("hold", "zero")


class Point(NamedTuple):
    """Places of the process image in a row, and what stands behind them."""

    place: Location  # the first
    count: int  # type: ignore[assignment]  # hides tuple.count
    source: str  # in words, "line 17"
    quality: Location | None = None
    zero: bool = False  # inputs are 0 on loss; else they keep their value
    safe: int | None = None  # outputs, at stop and fault; None: they keep their value

    @property
    def places(self) -> list[Location]:
        """All of them."""
        return [self.place.following(step) for step in range(self.count)]


class Table(Protocol):
    """What every driver's table has."""

    @property
    def name(self) -> str:
        """For messages and for `serial-runtime io`."""

    @property
    def points(self) -> tuple[Point, ...]:
        """All that it maps."""

    @property
    def quality(self) -> Location | None:
        """The quality of all of it."""


def read_table(key: str, value: object, known: Mapping[str, Check]) -> dict[str, Any]:
    """The checked values of a TOML table, those that are there. ConfigError."""
    if not isinstance(value, dict):
        raise ConfigError(f"{key} = {value!r}: expected a table with the keys {', '.join(known)}")
    for name in value:
        if name not in known:
            raise ConfigError(f"unknown key {key}.{name}: {choice('keys are', known)}")
    return {name: known[name](f"{key}.{name}", content) for name, content in value.items()}


def need(key: str, found: Mapping[str, Any], *names: str) -> None:
    """ConfigError for a table that lacks one of these keys."""
    for name in names:
        if name not in found:
            raise ConfigError(f"{key} has no {name}: give it one")


def read_map(
    key: str,
    value: object,
    short: str,
    known: Mapping[str, Check],
    areas: str,
    widths: Sequence[int],
) -> list[tuple[str, Location, dict[str, Any]]]:
    """A table of addresses: of each its key, place and settings. ConfigError.

    A setting alone, without a table, is that of `short`, which all need.
    """
    if not isinstance(value, dict):
        raise ConfigError(
            f'{key} = {value!r}: expected a table such as {{ "%{areas[0]}X0.0" = 1 }}'
        )
    rows = []
    for address, content in value.items():
        own = f'{key}."{address}"'
        place = read_place(own, address, areas, widths)
        if not isinstance(content, dict):
            content = {short: content}
        found = read_table(own, content, known)
        need(own, found, short)
        rows.append((own, place, found))
    return rows


def read_place(key: str, address: object, areas: str, widths: Sequence[int]) -> Location:
    """An address of one of these areas and widths. ConfigError."""
    sizes = {1: "X", 8: "B", 16: "W", 32: "D", 64: "L"}
    accepted = " or ".join(f"%{area}{sizes[width]}" for area in areas for width in widths)
    try:
        place = parse_location(address if isinstance(address, str) else repr(address))
    except VariableError as error:
        raise ConfigError(f"{key}: {error}") from error
    if place.area not in areas or place.width not in widths:
        raise ConfigError(f"{key}: {place} does not fit here: expected an address of {accepted}")
    return place


def quality(key: str, value: object) -> Location:
    """A checker: the bit that tells the quality."""
    return read_place(f"{key} = {value!r}", value, "I", (1,))


def list_of(what: str, read: Callable[[str, object], T]) -> Callable[[str, object], tuple[T, ...]]:
    """A checker of `[[key]]`, each of whose tables `read` reads."""

    def check(key: str, value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"{key} = {value!r}: expected {what}, [[{key}]]; see docs/io.md")
        return tuple(read(f"{key}[{number}]", one) for number, one in enumerate(value, 1))

    return check


def default_name(kind: str, key: str) -> str:
    """Of a table that has none: "gpio 1" of "io.gpio[1]"."""
    return f"{kind} {key.rpartition('[')[2].rstrip(']')}"


def check_claims(tables: Iterable[Table]) -> None:
    """Each bit of %I has one source. ConfigError names both; the tables' names are unique too."""
    sources: dict[tuple[int, int], str] = {}
    names: set[str] = set()
    for table in tables:
        if table.name in names:
            raise ConfigError(f"two tables of [io] have the name {table.name!r}: give each its own")
        names.add(table.name)
        qualities = {one for point in table.points if (one := point.quality) is not None}
        if table.quality is not None:
            qualities.add(table.quality)
        for point in table.points:
            for place in point.places:
                if place.area == "I":
                    _claim(sources, place, f"{table.name} ({point.source})")
        for place in qualities:
            _claim(sources, place, f"{table.name} (quality)")


def _claim(sources: dict[tuple[int, int], str], place: Location, source: str) -> None:
    for byte in range(place.byte, place.byte + place.size):
        for bit in range(8):
            if place.mask >> bit & 1:
                other = sources.setdefault((byte, bit), source)
                if other is not source:
                    taken = Location("I", 1, byte, bit)
                    where = "" if place.width == 1 else f", at {taken}"
                    raise ConfigError(
                        f"{place} is filled by {source} and by {other}{where}: an input has one "
                        "source"
                    )


def part_of(table: Table, stale_ns: int) -> IoPart:
    """The part of the process image that a table describes."""
    inputs, outputs = bytearray(AREA_BYTES), bytearray(AREA_BYTES)
    lost, safe = bytearray(AREA_BYTES), bytearray(AREA_BYTES)
    bits = [point.quality for point in table.points] + [table.quality]
    for bit in bits:
        if bit is not None:
            bit.store(inputs, 1)
            bit.store(lost, 1)
    for point in table.points:
        for place in point.places:
            if place.area == "Q":
                place.store(outputs, -1)
                place.store(safe, point.safe or 0)
            else:
                place.store(inputs, -1)
                if point.zero:
                    place.store(lost, -1)
    return IoPart(bytes(inputs), bytes(outputs), bytes(lost), bytes(safe), stale_ns)
