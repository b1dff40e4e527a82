# SPDX-License-Identifier: MIT
"""Does a profile fit the machine: line, processors, rights, GPIO lines, Modbus line, store."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from serial_runtime.doctor import Finding, Level
from serial_runtime.doctor.board_profile import check_profile
from serial_runtime.profile_file import parse_profile

PROFILE = """
[serial]
port = "/dev/ttyS1"
baud = 9600
[rt]
cpu = 1
[store]
dir = "/var/lib/plc"
[[io.gpio]]
name = "panel"
chip = "/dev/gpiochip0"
[io.gpio.inputs]
"%IX0.0" = 3
[io.gpio.outputs]
"%QX0.0" = 7
[[io.modbus]]
uri = "rtu:/dev/ttyS2:9600,8N1"
unit = 1
[io.modbus.coils]
"%QX1.0" = 0
"""
CHIP_FD = 78


class Chip:
    """Answers the ioctls of a GPIO chip of 8 lines."""

    def __init__(self) -> None:
        self.used: dict[int, bytes] = {}
        self.is_chip = True

    def ioctl(self, request: int, state: bytearray) -> None:
        size, number = request >> 16 & 0x3FFF, request & 0xFF
        assert size == len(state)
        if not self.is_chip:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        if number == 1:
            struct.pack_into("=32s32sI", state, 0, b"gpiochip0", b"9030000.pl061", 8)
            return
        assert number == 5
        (line,) = struct.unpack_from("=I", state, 64)
        user = self.used.get(line)
        struct.pack_into("=32s32sIIQ", state, 0, b"", user or b"", line, 0, user is not None)


@pytest.fixture
def chip(machine, monkeypatch: pytest.MonkeyPatch) -> Chip:
    """On the machine, which fits the profile."""
    chip, opened, uart = Chip(), machine.open, machine.ioctl
    monkeypatch.setattr(
        machine, "open", lambda path: CHIP_FD if "gpiochip" in path else opened(path)
    )
    monkeypatch.setattr(machine, "close", lambda fd: None)

    def ioctl(fd: int, request: int, state: bytearray) -> None:
        if fd == CHIP_FD:
            chip.ioctl(request, state)
        else:
            uart(fd, request, state)

    monkeypatch.setattr(machine, "ioctl", ioctl)
    machine.write("/dev/gpiochip0", "")
    machine.write("/dev/ttyS2", "")
    machine.write("/sys/devices/system/cpu/online", "0-1")
    machine.write("/proc/self/status", "CapEff:\tffffffffffffffff")
    machine.write("/var/lib/plc/x", "")
    return chip


def found(machine, text: str = PROFILE) -> dict[str, Finding]:
    """The worst finding of each check."""
    order = [Level.OK, Level.WARNING, Level.PROBLEM]
    worst: dict[str, Finding] = {}
    for one in check_profile(machine, parse_profile(text)):
        if one.check not in worst or order.index(one.level) > order.index(worst[one.check].level):
            worst[one.check] = one
    return worst


def test_a_machine_that_fits(machine, chip) -> None:
    findings = found(machine)
    assert {one.level for one in findings.values()} == {Level.OK}
    assert {"device", "console", "login", "cpu", "priority", "gpio", "modbus", "store"} <= set(
        findings
    )
    assert "9030000.pl061, 8 lines" in findings["gpio"].text


def test_a_processor_that_is_not_there(machine, chip) -> None:
    text = PROFILE.replace("cpu = 1", "cpu = 1\ntask_cpu = 4")
    assert found(machine, text)["cpu"] == Finding(
        "cpu", Level.PROBLEM, "rt.task_cpu = 4: [0, 1] are online", "rt.task_cpu = 1, or -1: any"
    )


def test_a_right_that_is_missing(machine, chip) -> None:
    machine.write("/proc/self/status", "CapEff:\t0")
    assert "LimitRTPRIO=81" in found(machine)["priority"].remedy
    assert "priority" not in found(machine, PROFILE.replace("cpu = 1", "priority = 0"))


def test_a_chip_that_is_not_there(machine, chip) -> None:
    machine.write("/dev/gpiochip4", "")
    finding = found(machine, PROFILE.replace("chip0", "chip1"))["gpio"]
    assert finding.level == Level.PROBLEM
    assert "panel: /dev/gpiochip1: No such file" in finding.text
    assert "/dev/{gpiochip0, gpiochip4}" in finding.remedy


def test_a_machine_without_chips(machine, chip) -> None:
    (Path(machine.root) / "dev" / "gpiochip0").unlink()
    assert "has no GPIO chip" in found(machine)["gpio"].remedy


def test_a_line_that_the_chip_does_not_have(machine, chip) -> None:
    finding = found(machine, PROFILE.replace("= 7", "= 8"))["gpio"]
    assert "has no line 8" in finding.text
    assert "0 to 7" in finding.remedy


def test_a_line_of_somebody_else(machine, chip) -> None:
    chip.used = {7: b"spi0 CS0"}
    assert 'line 7 of /dev/gpiochip0 (9030000.pl061, 8 lines) is in use by "spi0 CS0"' in (
        found(machine)["gpio"].text
    )
    chip.used = {7: b"serial-runtime", 2: b"led"}  # the runtime itself; not ours
    assert found(machine)["gpio"].level == Level.OK


def test_what_is_no_chip(machine, chip) -> None:
    chip.is_chip = False
    assert "is no GPIO chip" in found(machine)["gpio"].text


def test_devices_that_this_user_may_not_open(machine, chip) -> None:
    machine.permitted = False
    findings = found(machine)
    assert "plc may not open /dev/gpiochip0" in findings["gpio"].text
    assert "dialout" in findings["modbus"].remedy
    assert findings["store"].level == Level.WARNING


def test_a_modbus_line_that_is_not_there(machine, chip) -> None:
    (Path(machine.root) / "dev" / "ttyS2").unlink()
    assert "/dev/ttyS2: No such file" in found(machine)["modbus"].text
