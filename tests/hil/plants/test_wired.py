# SPDX-License-Identifier: MIT
"""A plant at the wires of a board with a clock of its own; the slave that is its analog wires."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import serial_runtime
from hil.boards.profile import with_changes
from hil.plants import wired
from hil.plants.conveyor import ConveyorPlant
from hil.plants.heater import HeaterPlant
from hil.plants.model import Model, PlantError
from hil.plants.profile import Event, Profile
from hil.plants.registers import Registers, crc
from hil.plants.tank import TankPlant
from serial_codegen.build import build
from serial_runtime.plant import Plant
from serial_runtime.rpc.client import connect

NAME = f"wired-{os.getpid()}"
SOURCE = Path(__file__).parents[3] / "hil" / "programs" / "heater.c"


class Slave:
    """A Registers, and the master's end of its line."""

    def __init__(self) -> None:
        self.line, far = socket.socketpair()
        self.line.settimeout(60)
        self.registers = Registers(far)

    def ask(self, request: str, before: bytes = b"") -> str:
        frame = bytes.fromhex(request)
        self.line.sendall(before + frame + crc(frame))
        reply = self.line.recv(300)
        assert crc(reply[:-2]) == reply[-2:]
        return reply[:-2].hex()


@pytest.fixture
def slave() -> Iterator[Slave]:
    made = Slave()
    yield made
    made.registers.close()
    made.line.close()


def test_the_crc_is_that_of_the_standards_example() -> None:
    assert crc(bytes.fromhex("0207")) == bytes.fromhex("4112")


def test_registers_and_bits_both_ways(slave: Slave) -> None:
    slave.registers.put({0: 0x1234, 2: 70000}, {0: True, 9: True})
    assert slave.ask("010400000003") == "01040612340000" + f"{70000 & 0xFFFF:04x}"
    assert slave.ask("01020000000a") == "01020201" + "02"
    assert slave.ask("0110000100020400070008") == "011000010002"
    assert slave.ask("010600031000") == "010600031000"
    assert [slave.registers.word(n) for n in range(4)] == [0, 7, 8, 0x1000]
    assert slave.ask("010f0000000501" + "15") == "010f00000005"
    assert slave.ask("01050007ff00") == "01050007ff00"
    assert [slave.registers.bit(n) for n in range(8)] == [True, False] * 2 + [True] + [
        False
    ] * 2 + [True]
    assert slave.ask("010300010001") == "0103020007"
    assert slave.ask("010100000008") == "01010195"


def test_what_it_refuses_and_what_it_passes_over(slave: Slave) -> None:
    assert slave.ask("0104000f0002") == "018402"
    assert slave.ask("010600100001") == "018602"
    assert slave.ask("010700000000") == "018701"
    assert slave.registers.refused == 3
    noise = bytes.fromhex("01040000ff00ffff020400")
    assert slave.ask("010300000001", before=noise) == "0103020000"


def test_where_channels_are() -> None:
    wires = wired.wires_of(HeaterPlant())
    assert wires.pins == {
        "thermostat_ok": "DI0", "enable": "DI1", "heat": "DO0", "alarm": "DO1",
    }  # fmt: skip
    table = wired.modbus_table(HeaterPlant(), "/dev/ttyS1")
    assert table["input_registers"] == {"%IW10": 0, "%IW11": 1}
    assert table["holding_registers"] == {"%QW10": 0}
    assert "coils" not in table
    assert len(wired.modbus_table(TankPlant(), "/dev/ttyS1")["discrete_inputs"]) == 5  # type: ignore[arg-type]


class SimPins:
    """The wires of a board on this host: bits, and words in place of registers."""

    def __init__(self, segment: Plant) -> None:
        self._segment = segment

    def __getitem__(self, name: str) -> bool:
        self._segment.wait(0)
        return bool(self._segment[f"%QX0.{name[2:]}"])

    def __setitem__(self, name: str, level: bool) -> None:
        self._segment.write({f"%IX0.{name[2:]}": level})

    def put(self, words: dict[int, int], bits: dict[int, bool]) -> None:
        self._segment.write({f"%IW{10 + address}": value for address, value in words.items()})

    def word(self, address: int) -> int:
        return int(self._segment[f"%QW{10 + address}"])


def test_a_run_in_real_time(tmp_path: Path) -> None:
    image = tmp_path / "heater.so"
    build([SOURCE], image, include_dirs=[serial_runtime.get_include()])
    command = [sys.executable, "-m", "serial_runtime", "serve", "--tcp", "127.0.0.1:0"]
    command += ["--io", f"sim:{NAME}", "--dir", str(tmp_path)]
    events = (Event(1.0, "setpoint_c", 0), Event(1.0, "plc:KP", 0.5))
    profile = Profile("heater", 2.0, events, (), ("TEMPERATURE", "SETPOINT", "KP"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        uri = daemon.stdout.readline().split()[1]
        with Plant.attach(NAME, 60) as segment, connect(uri, timeout_s=60) as plc:
            plc.download(image.read_bytes())
            pins = SimPins(segment)
            registers: Registers = pins  # type: ignore[assignment]
            run = wired.run(plc, HeaterPlant(), profile, pins, registers, settle_s=0.1)
            assert plc.forced() == []
        daemon.terminate()
    record = run.record
    assert "nothing is exact" in record.time_base
    assert list(record.times_s) == sorted(record.times_s)
    assert max(record["heat"]) == 1, "cold, and 60 degrees are wanted"
    assert record["heat"][-1] == 0, "0 degrees are wanted"
    assert record["SETPOINT"][-1] == 0
    assert record["TEMPERATURE"][-1] == pytest.approx(20, abs=1)
    assert record["KP"][-1] == 0.5
    assert [str(event) for _, event in run.events] == ["setpoint_c = 0", "plc:KP = 0.5"]


def test_a_board_without_that_line_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match="temperature_raw, setpoint_raw, power of the heater"):
        wired.run(None, HeaterPlant(), Profile("x", 1, (), ()), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [TankPlant(), HeaterPlant(), ConveyorPlant()])
@pytest.mark.parametrize("board", ["virt-arm64", "ast2600-armhf"])
def test_the_boards_profiles_take_the_plants(tmp_path: Path, model: Model, board: str) -> None:
    own = (SOURCE.parents[2] / "board" / "profiles" / f"{board}.toml").read_text()
    profile = tmp_path / "profile.toml"
    profile.write_text(with_changes(own, wired.changes_for(model, "/dev/ttyS1")))
    command = [sys.executable, "-m", "serial_runtime", "profile", "check", str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
