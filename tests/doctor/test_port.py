# SPDX-License-Identifier: MIT
"""Findings about a port, each from the facts that lead to it."""

from __future__ import annotations

import errno

import pytest

from serial_runtime.doctor import Finding, Level
from serial_runtime.doctor.port import Question, check_port

ASKED = Question("/dev/ttyS1", 115200)


def finding(machine, check: str, question: Question = ASKED) -> Finding:
    found = [one for one in check_port(machine, question) if one.check == check]
    assert found, check_port(machine, question)
    return found[0]


def test_a_port_without_a_fault(machine) -> None:
    findings = check_port(machine, ASKED)
    assert {one.level for one in findings} == {Level.OK}
    assert machine.opened == 0


def test_no_device(machine) -> None:
    (only,) = check_port(machine, Question("/dev/ttyS9", 115200))
    assert (only.level, only.text) == (Level.PROBLEM, "/dev/ttyS9 does not exist")
    assert "plugged in" in only.remedy


def test_a_file(machine) -> None:
    machine.write("/dev/ttyS1", "no device")
    (only,) = check_port(machine, ASKED)
    assert only.level == Level.PROBLEM
    assert "no device but a file" in only.text


def test_no_tty(machine) -> None:
    machine.uart.is_tty = False
    assert check_port(machine, ASKED)[-1].text == "/dev/ttyS1 is no tty"


@pytest.mark.parametrize(
    ("mode", "gid", "remedy"),
    [
        (0o660, 20, "sudo usermod -aG dialout plc, then log in again"),
        (0o600, 20, "a udev rule"),
        (0o660, 0, "a udev rule"),
    ],
)
def test_no_permission(machine, mode: int, gid: int, remedy: str) -> None:
    machine.permitted, machine.mode, machine.gid = False, mode, gid
    found = finding(machine, "permission")
    assert found.level == Level.PROBLEM
    assert remedy in found.remedy


def test_another_owner(machine) -> None:
    machine.process(812, "minicom")
    machine.link("/proc/812/fd/3", "/dev/ttyS1")
    found = finding(machine, "owner")
    assert found.level == Level.PROBLEM
    assert "minicom (pid 812)" in found.text
    assert "kill 812" in found.remedy


def test_a_bridge_is_the_owner(machine) -> None:
    words = ("/opt/bin/serial-runtime", "bridge", "/dev/ttyS1", "--listen", "127.0.0.1:3100")
    machine.process(813, "serial-runtime", command="\0".join(words))
    machine.link("/proc/813/fd/3", "/dev/ttyS1")
    found = finding(machine, "owner")
    assert found.level == Level.PROBLEM
    assert "a bridge at ERPC://127.0.0.1:3100" in found.text
    assert found.remedy == "use ERPC://127.0.0.1:3100, or end the bridge (kill 813)"


def test_the_runtime_itself_may_have_it_and_is_not_disturbed(machine) -> None:
    machine.process(900, "python3", command="/opt/bin/serial-runtime serve --port /dev/ttyS1")
    machine.link("/proc/900/fd/3", "/dev/ttyS1")
    found = check_port(machine, ASKED)
    assert "the runtime itself" in next(one.text for one in found if one.check == "owner")
    assert machine.uart.bauds == []
    assert "no other rates were tried" in found[-1].text


def test_the_kernel_prints_on_it(machine) -> None:
    machine.write("/proc/cmdline", "console=tty0 console=ttyS1,115200 quiet")
    found = finding(machine, "console")
    assert found.level == Level.PROBLEM
    assert "take console=ttyS1,115200 out" in found.remedy
    machine.write("/proc/cmdline", "console=ttyS10")
    assert finding(machine, "console").level == Level.OK
    machine.write("/proc/consoles", "ttyS1                -W- (EC  p a)    4:65")
    assert "/proc/consoles lists it" in finding(machine, "console").text


def test_a_login_on_it(machine) -> None:
    machine.process(310, "agetty", tty=4 << 8 | 65)
    found = finding(machine, "login")
    assert found.level == Level.PROBLEM
    assert found.text.startswith("agetty (pid 310) offers a login on ttyS1")
    assert found.remedy.startswith("sudo systemctl mask --now serial-getty@ttyS1.service; ")
    assert "trigger -c add --name-match=ttyS1" in found.remedy


def test_a_port_that_a_login_has_taken_from_its_group(machine) -> None:
    machine.permitted, machine.mode, machine.gid = False, 0o600, 5
    found = finding(machine, "permission")
    assert "group tty" in found.text
    assert "trigger -c add --name-match=ttyS1" in found.remedy


def test_a_login_to_come(machine) -> None:
    unit = "serial-getty@ttyS1.service"
    machine.link(f"/run/systemd/generator/getty.target.wants/{unit}", "/lib/systemd/system/x")
    assert finding(machine, "login").level == Level.WARNING
    (machine.root / "dev/null").touch()
    machine.link(f"/etc/systemd/system/{unit}", "/dev/null")
    assert finding(machine, "login").text == f"{unit} is masked"


def test_a_login_of_init(machine) -> None:
    machine.write("/etc/inittab", "#ttyS1::respawn:getty\n::sysinit:/etc/init.d/rcS\n")
    assert finding(machine, "login").level == Level.OK
    machine.write("/etc/inittab", "ttyS1::respawn:/sbin/getty -L ttyS1 115200\n")
    assert finding(machine, "login").level == Level.WARNING


def test_programs_that_probe_usb_adapters(machine) -> None:
    machine.process(500, "ModemManager")
    machine.write("/dev/ttyUSB0", "")
    assert "ModemManager runs" in finding(machine, "prober", Question("/dev/ttyUSB0", 9600)).text
    assert not [one for one in check_port(machine, ASKED) if one.check == "prober"]


def test_a_name_of_udev_is_followed(machine) -> None:
    machine.link("/dev/serial/by-id/adapter", "/dev/ttyS1")
    found = finding(machine, "device", Question("/dev/serial/by-id/adapter", 9600))
    assert found.text.endswith("is there (/dev/ttyS1)")
    machine.permitted, machine.mode = False, 0o600
    found = finding(machine, "permission", Question("/dev/serial/by-id/adapter", 9600))
    assert 'KERNEL=="ttyS1"' in found.remedy


@pytest.mark.parametrize(
    ("code", "level"), [(errno.EBUSY, Level.WARNING), (errno.EIO, Level.PROBLEM)]
)
def test_a_port_that_does_not_open(machine, code: int, level: Level) -> None:
    machine.open_error = code
    assert finding(machine, "driver").level == level


def test_a_pseudo_terminal(machine) -> None:
    machine.device = (136, 1)
    assert "pseudo terminal" in check_port(machine, ASKED)[-1].text
