# SPDX-License-Identifier: MIT
"""The demo program against its plant, scanned by a small host of its own: no runtime, no clock."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

import serial_runtime
from serial_codegen.build import build
from serial_runtime import iec
from serial_runtime.demo.plant import Tank, outputs
from serial_runtime.iec import IecType

SOURCE = Path(serial_runtime.__file__).parent / "demo" / "tank.c"
INPUT, OUTPUT = 1, 2


class Cycle(ctypes.Structure):
    _fields_ = [
        ("tick", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("time_ns", ctypes.c_int64),
        ("interval_ns", ctypes.c_int64),
    ]


LOG = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_char_p)
FAULT = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
RUN = ctypes.CFUNCTYPE(None, ctypes.POINTER(Cycle))


class Host(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("log", LOG)]
    _fields_ += [("fault", FAULT)]


class Task(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("interval_ns", ctypes.c_uint64),
        ("priority", ctypes.c_int32),
        ("reserved", ctypes.c_uint32),
        ("run", RUN),
    ]


class Variable(ctypes.Structure):
    _fields_ = [
        ("path", ctypes.c_char_p),
        ("location", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.POINTER(ctypes.c_uint8)),
        ("type", ctypes.c_uint8),
        ("direction", ctypes.c_uint8),
        ("options", ctypes.c_uint8),
        ("capacity", ctypes.c_uint8),
        ("reserved", ctypes.c_uint32),
    ]


class Table(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_uint32),
        ("abi_version", ctypes.c_uint32),
        ("table_size", ctypes.c_uint32),
        ("variable_size", ctypes.c_uint32),
        ("task_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("build_id", ctypes.c_char_p),
        ("tasks", ctypes.POINTER(Task)),
        ("variables", ctypes.POINTER(Variable)),
        ("task_count", ctypes.c_uint32),
        ("variable_count", ctypes.c_uint32),
        ("init", ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Host))),
        ("fini", ctypes.CFUNCTYPE(None)),
    ]


class Plc:
    """Scans the image with a Tank as its process."""

    def __init__(self, image: Path) -> None:
        self._library = ctypes.CDLL(str(image))
        self.table = Table.in_dll(self._library, "sr_plc_image")
        rows = [self.table.variables[i] for i in range(self.table.variable_count)]
        self.rows = {row.path.decode(): row for row in rows}
        self.tank = Tank()
        self.log: list[str] = []
        self._host = Host(ctypes.sizeof(Host), 0, LOG(self._log), FAULT(self._fault))
        self.tick = 0
        assert self.table.init(ctypes.byref(self._host)) == 0

    def _log(self, level: int, text: bytes) -> None:
        self.log.append(text.decode())

    def _fault(self, text: bytes) -> None:
        raise AssertionError(text)

    def _bytes(self, row: Variable) -> bytes:
        if row.type == IecType.STRING:
            return ctypes.string_at(row.address, 1 + ctypes.string_at(row.address, 1)[0])
        wide = row.type in (IecType.TIME, IecType.DATE, IecType.TOD, IecType.DT)
        return ctypes.string_at(row.address, 8 if wide else iec.wire_size(row.type))

    def __getitem__(self, path: str) -> object:
        row = self.rows[path]
        data = self._bytes(row)
        if row.type in (IecType.TIME, IecType.DATE, IecType.TOD, IecType.DT):
            return int.from_bytes(data, "little", signed=True)
        return iec.unpack(row.type, data)[0]

    def force(self, path: str, value: object) -> None:
        row = self.rows[path]
        data = iec.pack(row.type, value, row.capacity)
        ctypes.memmove(row.address, data, len(data))
        row.flags[0] = 1

    def unforce(self, path: str) -> None:
        self.rows[path].flags[0] = 0

    def scan(self) -> None:
        inputs = self.tank.inputs()
        for row in self.rows.values():
            if row.direction == INPUT and not row.flags[0]:
                data = iec.pack(row.type, inputs.get(row.location.decode(), False))
                ctypes.memmove(row.address, data, len(data))
        for i in range(self.table.task_count):
            task = self.table.tasks[i]
            every = task.interval_ns // 10_000_000
            if self.tick % every == 0:
                now = self.tick * 10_000_000
                task.run(ctypes.byref(Cycle(self.tick, 0, now, task.interval_ns)))
        seen = {
            row.location.decode(): int.from_bytes(self._bytes(row), "little")
            for row in self.rows.values()
            if row.direction == OUTPUT
        }
        self.tick += 1
        self.tank.step(0.01, *outputs(seen))

    def until(self, condition: Callable[[], object], seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            if condition():
                return
            self.scan()
        pytest.fail(f"not within {seconds} s of PLC time: {self['TANK.STATE']}, {self.log[-3:]}")


@pytest.fixture
def plc(tmp_path: Path) -> Plc:
    image = tmp_path / "tank.so"
    result = build(
        [SOURCE],
        image,
        include_dirs=[serial_runtime.get_include()],
        flags=["-Wconversion", "-Werror"],
    )
    assert result.messages == ""
    return Plc(image)


def test_every_type_is_in_it(plc: Plc) -> None:
    assert {row.type for row in plc.rows.values()} == set(IecType)
    assert len(plc.rows) == plc.table.variable_count, "a path is there twice"


def test_the_recipe_goes_round_and_the_pumps_alternate(plc: Plc) -> None:
    plc.until(lambda: plc["TANK.STATE"] == "holding", 15)
    plc.until(lambda: plc["RECIPE.PHASE_TIME"] >= 4_500_000_000, 6)
    assert abs(plc["TANK.LEVEL"] - plc["RECIPE.FILL_LEVEL"]) < 0.1, "held by the PID"
    assert plc["PUMP1.RUN"] != plc["PUMP2.RUN"], "one pump is enough"
    plc.until(lambda: plc["RECIPE.BATCHES"] == 3, 90)
    assert plc["PUMP1.STARTS"] > 0
    assert plc["PUMP2.STARTS"] > 0
    assert plc["ALARM.BITS"] == 0
    assert plc["FLOW.VOLUME"] > 100
    assert plc["CLOCK.NOW"] - plc["CLOCK.START"] >= plc["CLOCK.UPTIME_MS"] * 1_000_000 > 0


def test_a_forced_level_is_believed(plc: Plc) -> None:
    plc.until(lambda: plc["TANK.STATE"] == "holding", 15)
    plc.force("TANK.LEVEL", 1.95)
    plc.until(lambda: plc["ALARM.HH"], 2)
    plc.scan()
    assert not plc["TANK.INLET"]
    assert (plc["PUMP1.SPEED"], plc["PUMP2.SPEED"]) == (10000, 10000)
    plc.until(lambda: plc["ALARM.HORN"], 1)
    # The real level falls meanwhile; the dry-run switch stops the pumps, whatever is forced.
    plc.until(lambda: not plc["TANK.NOT_DRY"], 10)
    plc.scan()
    assert not plc["PUMP1.RUN"]
    assert not plc["PUMP2.RUN"]
    plc.unforce("TANK.LEVEL")
    plc.until(lambda: not plc["ALARM.HH"], 1)
    assert plc["ALARM.HH_UNACK"]
    plc.force("ALARM.ACK", True)
    plc.until(lambda: not plc["ALARM.HORN"], 1)
    assert "HIGH HIGH level" in plc.log


def test_the_standby_pump_takes_over(plc: Plc) -> None:
    plc.until(lambda: plc["TANK.STATE"] == "holding" and plc["PUMP1.RUN"], 20)
    plc.tank.pump_ok[0] = False
    plc.until(lambda: plc["PUMP2.RUN"] and not plc["PUMP1.RUN"], 1)


def test_a_broken_transmitter_keeps_the_level_and_empties_the_tank(plc: Plc) -> None:
    plc.until(lambda: plc["TANK.STATE"] == "holding", 15)
    level = plc["TANK.LEVEL"]
    plc.tank.transmitter_ok = False
    plc.until(lambda: plc["ALARM.SENSOR"], 1)
    assert plc["TANK.LEVEL"] == level
    assert not plc["TANK.INLET"]
    plc.until(lambda: plc["TANK.STATE"] == "SENSOR FAULT: emptying", 1)
    plc.tank.transmitter_ok = True
    plc.until(lambda: plc["TANK.SENSOR_OK"], 1)


def test_no_water_no_batch(plc: Plc) -> None:
    plc.tank.SUPPLY_LPS = 0.0
    plc.force("TANK.AUTO", False)
    for _ in range(200):
        plc.scan()
    assert plc["RECIPE.BATCHES"] == 0
    assert plc["TANK.STATE"] == "off"
