# SPDX-License-Identifier: MIT
"""All process I/O of a profile: the parts the board is told of, the threads that serve some of
them, and how everything stands.
"""

from __future__ import annotations

import time

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.board_io import PartPort
    from serial_runtime.board_types import IoPart
    from serial_runtime.process_io.gpio import GpioTable
    from serial_runtime.process_io.modbus import ModbusBus
    from serial_runtime.process_io.modbus_profile import ModbusTable
    from serial_runtime.process_io.tables import Point

_WARNING, _INFO = 1, 2  # levels of plc.log


class DriverState(NamedTuple):
    """How a driver does, in words; an empty text: well."""

    name: str
    what: str  # "/dev/gpiochip0", "unit 3 at tcp://host:502"
    text: str
    for_s: float = 0.0  # for how long


class PointState(NamedTuple):
    """One place of the process image as its I/O thread had it last."""

    driver: int  # place in the list of drivers
    address: str
    source: str
    width: int
    value: int  # unsigned
    good: bool


class ProcessIo:
    """What a profile's section [io] asks for. Any thread, once started."""

    def __init__(
        self, driver: str, gpio: tuple[GpioTable, ...], modbus: tuple[ModbusTable, ...]
    ) -> None:
        self._driver = driver
        self._gpio = gpio
        self._modbus = modbus
        self._log: Callable[[int, str], None] = lambda level, text: None
        self._told: dict[str, str] = {}  # by chip: its state that was logged
        self._ports: list[PartPort] = []
        self._buses: list[tuple[ModbusBus, list[int]]] = []  # with the slaves' places

    def parts(self) -> tuple[IoPart, ...]:
        """For `Options.io_parts`."""
        round_s: dict[object, float] = {}
        for slave in self._modbus:
            round_s[slave.bus.key] = round_s.get(slave.bus.key, 0) + slave.worst_round_s()
        return (
            *(chip.part() for chip in self._gpio),
            *(slave.part(round_s[slave.bus.key]) for slave in self._modbus),
        )

    def start(self, log: Callable[[int, str], None]) -> None:
        """The board is open: begin. `log` is any thread's. ConfigError: a library is missing."""
        if not (self._gpio or self._modbus):
            return
        from serial_runtime.board_io import PartPort

        ports = [PartPort(index) for index in range(len(self._gpio) + len(self._modbus))]
        buses: dict[object, list[int]] = {}
        for index, slave in enumerate(self._modbus):
            buses.setdefault(slave.bus.key, []).append(index)
        for places in buses.values():
            from serial_runtime.process_io.modbus import ModbusBus

            slaves = [(self._modbus[index], ports[len(self._gpio) + index]) for index in places]
            self._buses.append((ModbusBus(slaves, log), places))
        for bus, _ in self._buses:
            bus.start()
        self._log = log
        self._ports = ports

    def housekeeping(self) -> None:
        """Every now and then, on the worker: log how chips do, whose threads cannot."""
        for chip, port in zip(self._gpio, self._ports, strict=False):
            text, _, priority_error = port.gpio()
            told = self._told.get(chip.name)
            self._told[chip.name] = text
            if told is None and priority_error:
                self._log(_WARNING, f"{chip.name}: its thread did not get priority {chip.priority}")
            if told is None or bool(told) != bool(text):
                self._log(_WARNING if text else _INFO, f"{chip.name}: {text or 'well'}")

    def close(self) -> None:
        """Before the board is closed: end the threads; slaves that reply get safe values."""
        self._ports = []
        for bus, _ in self._buses:
            bus.end()
        for bus, _ in self._buses:
            bus.close()

    def drivers(self) -> list[DriverState]:
        """How each does, the one of the whole image first."""
        now_s = time.monotonic()
        states = [DriverState(self._driver, "the whole process image", "")]
        for chip, port in zip(self._gpio, self._ports, strict=False):
            text, since_ns, _ = port.gpio()
            states.append(DriverState(chip.name, chip.chip, text, now_s - since_ns / 1e9))
        found = {
            index: state
            for bus, places in self._buses
            for index, state in zip(places, bus.states(), strict=True)
        }
        for index, slave in enumerate(self._modbus):
            if index in found:
                what = f"unit {slave.unit} at {slave.bus.uri}"
                text, since_s, _ = found[index]
                states.append(DriverState(slave.name, what, text, now_s - since_s))
        return states

    def points(self, first: int = 0) -> list[PointState]:
        """Every place that is mapped, in the order of the profile, but for the first ones."""
        rows: list[PointState] = []
        ports = self._ports
        for index, (chip, port) in enumerate(zip(self._gpio, ports, strict=False)):
            good = not port.gpio().text
            areas = port.look()
            for point in chip.points:
                rows += _rows(index + 1, point, areas, good)
        for bus, places in self._buses if ports else ():
            for place, state in zip(places, bus.states(), strict=True):
                index = len(self._gpio) + place
                areas = ports[index].look()
                for point, good in zip(self._modbus[place].points, state.good, strict=True):
                    rows += _rows(index + 1, point, areas, good)
        return sorted(rows, key=lambda row: row.driver)[first:]


def _rows(driver: int, point: Point, areas: tuple[bytes, bytes], good: bool) -> list[PointState]:
    return [
        PointState(
            driver,
            str(place),
            point.source,
            place.width,
            place.load(areas[place.area == "Q"]),
            good,
        )
        for place in point.places
    ]
