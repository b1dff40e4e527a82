# SPDX-License-Identifier: MIT
"""[[io.modbus]]: a Modbus slave, on a serial line (RTU) or TCP."""

from __future__ import annotations

import re
from typing import Any

from serial_runtime.board_types import IoPart
from serial_runtime.errors import ConfigError
from serial_runtime.iec.location import AREA_BYTES, Location
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.process_io import tables
from serial_runtime.process_io.tables import Point
from serial_runtime.profile_values import integer, one_of, text

_EXAMPLES = '"rtu:/dev/ttyS2:19200,8E1" or "tcp://host:502"'
_RTU = re.compile(r"rtu:(?P<device>/[^,]+?)(:(?P<baud>\d{3,8})(,(?P<form>[78][NEO][12]))?)?", re.I)
_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-f:.%]+\]|[^\s:/\[\]]+)(:(?P<port>\d{1,5}))?/?", re.I)
_LOWEST_BAUD, _HIGHEST_BAUD = 300, 12_000_000
RETRY_S = 1.0  # a slave that does not reply is asked again after this
ATTEMPTS = 2  # of each request


class Bus(NamedTuple):
    """What a slave is reached over. Slaves with the same one share it."""

    uri: str
    host: str = ""  # "": a serial line
    port: int = 502
    device: str = ""
    baud: int = 19200
    bits: int = 8
    parity: str = "E"
    stop_bits: int = 1

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it another bus, however it is written."""
        return self[1:]


class Kind(NamedTuple):
    """A kind of what a slave has: its name, and the most that one request reads or writes."""

    name: str
    register: bool
    read_most: int
    write_most: int  # 0: read only


KINDS = {
    "coils": Kind("coil", False, 2000, 1968),
    "discrete_inputs": Kind("discrete input", False, 2000, 0),
    "holding_registers": Kind("holding register", True, 125, 123),
    "input_registers": Kind("input register", True, 125, 0),
}


class Block(NamedTuple):
    """Some of a kind in a row: one request of each round."""

    kind: str  # of KINDS
    address: int
    point: Point
    high_first: bool = True  # words of a value of more than one register

    @property
    def registers_each(self) -> int:
        """Registers, or bits, of one of the point's places."""
        return max(self.point.place.width // 16, 1)

    @property
    def size(self) -> int:
        """Registers, or bits, of all of it."""
        return self.point.count * self.registers_each


class ModbusTable(NamedTuple):
    """One slave."""

    name: str
    bus: Bus
    unit: int
    poll_ms: int
    timeout_ms: int
    quality: Location | None
    blocks: tuple[Block, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """All that it maps."""
        return tuple(block.point for block in self.blocks)

    def worst_round_s(self) -> float:
        """How long a round with it may take: a connection and the first request are waited for."""
        return self.timeout_ms / 1000 * (ATTEMPTS + 1)

    def part(self, bus_round_s: float) -> IoPart:
        """What the board is told of it; `bus_round_s`: of all slaves on its bus."""
        wait_s = max(self.poll_ms / 1000, RETRY_S) + bus_round_s
        return tables.part_of(self, int((2 * wait_s + 1) * 1e9))


def read_modbus(key: str, value: object) -> ModbusTable:
    """One table of [[io.modbus]]. ConfigError."""
    maps: dict[str, tables.Check] = {kind: lambda key, value: value for kind in KINDS}
    known: dict[str, tables.Check] = {
        "name": text,
        "uri": _uri,
        "unit": integer(0, 255),
        "poll_ms": integer(1, 3_600_000, " ms"),
        "timeout_ms": integer(10, 60_000, " ms"),
        "on_loss": tables.on_loss,
        "quality": tables.quality,
        **maps,
    }
    found = tables.read_table(key, value, known)
    tables.need(key, found, "uri", "unit")
    bus, unit = found["uri"], found["unit"]
    if bus.device and not 1 <= unit <= 247:
        raise ConfigError(f"{key}.unit = {unit}: expected an integer from 1 to 247 on a line")
    blocks = [block for kind in KINDS for block in _blocks(f"{key}.{kind}", kind, found)]
    if not blocks:
        raise ConfigError(f"{key} maps nothing: give it {', '.join(KINDS)}")
    return ModbusTable(
        name=found.get("name", tables.default_name("modbus", key)),
        bus=bus,
        unit=unit,
        poll_ms=found.get("poll_ms", 100),
        timeout_ms=found.get("timeout_ms", 500),
        quality=found.get("quality"),
        blocks=tuple(blocks),
    )


def _blocks(key: str, kind: str, defaults: dict[str, Any]) -> list[Block]:
    known: dict[str, tables.Check] = {
        "address": integer(0, 65535),
        "count": integer(1, 2000),
        "on_loss": tables.on_loss,
        "quality": tables.quality,
    }
    properties = KINDS[kind]
    areas = "I"
    widths: tuple[int, ...] = (1,)
    if properties.write_most:
        areas = "IQ"
        known["safe"] = _safe
    if properties.register:
        widths = (16, 32, 64)
        known["words"] = one_of("high-first", "low-first")
    rows = tables.read_map(key, defaults.get(kind, {}), "address", known, areas, widths)
    return [_block(own, kind, place, entry, defaults) for own, place, entry in rows]


def _block(
    key: str, kind: str, place: Location, entry: dict[str, Any], defaults: dict[str, Any]
) -> Block:
    name, _, read_most, write_most = KINDS[kind]
    address, count = entry["address"], entry.get("count", 1)
    point = Point(
        place,
        count,
        "",
        entry.get("quality"),
        zero=entry.get("on_loss", defaults.get("on_loss", "hold")) == "zero",
    )
    if place.area == "Q":
        if "on_loss" in entry:
            raise ConfigError(
                f"{key}.on_loss: of an output it is the slave's own matter; leave it out"
            )
        point = point._replace(safe=_safe_value(key, place, entry.get("safe", 0)))
    elif "safe" in entry:
        raise ConfigError(f"{key}.safe: an input has no safe value; leave it out")
    block = Block(kind, address, point, entry.get("words", "high-first") == "high-first")
    most = write_most if place.area == "Q" else read_most
    if block.size > most:
        raise ConfigError(
            f"{key}: {block.size} {name}s are more than the {most} of one request: map them in "
            "parts"
        )
    last = address + block.size - 1
    if last > 65535:
        raise ConfigError(f"{key}: {name} {last} does not exist, the last is 65535")
    end = place.following(count - 1)
    if end.byte + end.size > AREA_BYTES:
        raise ConfigError(f"{key}: {count} of them from {place} on go beyond the process image")
    source = f"{name} {address}" if last == address else f"{name}s {address} to {last}"
    return block._replace(point=point._replace(source=source))


def _safe(key: str, value: object) -> int | str:
    if value == "hold" or isinstance(value, int):
        return value
    raise ConfigError(f'{key} = {value!r}: expected true or false, an integer, or "hold"')


def _safe_value(key: str, place: Location, value: int | str) -> int | None:
    if isinstance(value, str):
        return None
    low, high = (0, 1) if place.width == 1 else (-(1 << place.width - 1), (1 << place.width) - 1)
    if not low <= value <= high:
        raise ConfigError(
            f"{key}.safe = {value}: expected an integer from {low} to {high}, for {place}"
        )
    return int(value) & (1 << place.width) - 1


def _uri(key: str, value: object) -> Bus:
    if isinstance(value, str):
        if (tcp := _TCP.fullmatch(value)) and int(tcp["port"] or 502) in range(1, 65536):
            return Bus(value, host=tcp["host"].strip("[]"), port=int(tcp["port"] or 502))
        rtu = _RTU.fullmatch(value)
        if rtu and _LOWEST_BAUD <= int(rtu["baud"] or 19200) <= _HIGHEST_BAUD:
            bits, parity, stop_bits = tuple((rtu["form"] or "8E1").upper())
            return Bus(
                value,
                device=rtu["device"],
                baud=int(rtu["baud"] or 19200),
                bits=int(bits),
                parity=parity,
                stop_bits=int(stop_bits),
            )
    raise ConfigError(f"{key} = {value!r}: expected {_EXAMPLES}")


def check_outputs(slaves: tuple[ModbusTable, ...], host_line: str = "") -> None:
    """No coil or register is written by two. One device, one way to use it, and never that of
    the line to the host. ConfigError."""
    writers: dict[tuple[str, int, str, int], str] = {}
    devices: dict[str, Bus] = {}
    for slave in slaves:
        bus = slave.bus
        if bus.device and bus.device == host_line:
            raise ConfigError(f"{slave.name}: {bus.device} is the line to the host, serial.port")
        if bus.device and devices.setdefault(bus.device, bus).key != bus.key:
            raise ConfigError(
                f"{slave.name}: {bus.device} is used as {devices[bus.device].uri} too: slaves on "
                "one line have one rate and form"
            )
        for block in slave.blocks:
            if block.point.place.area != "Q":
                continue
            where = bus.device or f"{bus.host}:{bus.port}"
            for address in range(block.address, block.address + block.size):
                mine = f"{slave.name} (from {block.point.place} on)"
                other = writers.setdefault((where, slave.unit, block.kind, address), mine)
                if other is not mine:
                    raise ConfigError(
                        f"{KINDS[block.kind].name} {address} of unit {slave.unit} at {where} is "
                        f"written by {mine} and by {other}"
                    )
