# SPDX-License-Identifier: MIT
"""The checks of a board profile against the machine it shall run on: line, processors, rights,
process I/O, store.
"""

from __future__ import annotations

import os
import struct

from serial_runtime.doctor import Finding, ok, problem, warning
from serial_runtime.doctor.machine import Machine, numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.config import Profile
    from serial_runtime.process_io.gpio import GpioTable

# linux/gpio.h: struct gpiochip_info, struct gpio_v2_line_info
_CHIP_INFO, _CHIP_INFO_IOCTL = struct.Struct("=32s32sI"), 0x8044B401
_LINE_INFO, _LINE_INFO_IOCTL = struct.Struct("=32s32sIIQ176x"), 0xC100B405
_LINE_USED = 1
_OURS = "serial-runtime"


def check_profile(machine: Machine, profile: Profile) -> list[Finding]:
    """All findings, in the order of the profile's sections."""
    from serial_runtime.doctor.port import Question, check_port
    from serial_runtime.doctor.realtime import Wanted, check_rights

    findings = []
    rt = profile.rt
    if profile.serial.port:
        question = Question(profile.serial.port, profile.serial.baud, rt.priority, rt.cpu)
        findings += check_port(machine, question)
    findings += _processors(machine, {"rt.cpu": rt.cpu, "rt.task_cpu": rt.task_cpu})
    if rt.priority:
        findings += check_rights(machine, Wanted(rt.priority, rt.cpu, rt.cpu_latency_us))
    for table in profile.io.gpio:
        findings += _chip(machine, table)
    for device in sorted({slave.bus.device for slave in profile.io.modbus} - {""}):
        findings.append(_modbus_line(machine, device))
    findings.append(_store(machine, profile.store.dir))
    return findings


def _processors(machine: Machine, wanted: dict[str, int]) -> list[Finding]:
    online = sorted(numbers(machine.text("/sys/devices/system/cpu/online") or "0"))
    missing = {key: cpu for key, cpu in wanted.items() if cpu >= 0 and cpu not in online}
    return [
        problem("cpu", f"{key} = {cpu}: {online} are online", f"{key} = {online[-1]}, or -1: any")
        for key, cpu in missing.items()
    ] or [ok("cpu", "the processors that it names are there")]


def _chip(machine: Machine, table: GpioTable) -> list[Finding]:
    """The chip is there, may be used, and has the lines, which nobody else uses."""
    chip = table.chip
    try:
        machine.node(chip)
    except OSError as error:
        there = ", ".join(one for one in machine.names("/dev") if one.startswith("gpiochip"))
        remedy = f"io.gpio chip = one of /dev/{{{there}}}; `gpiodetect` shows what they are"
        if not there:
            remedy = "the kernel has no GPIO chip: is its driver loaded? (`dmesg | grep gpio`)"
        return [problem("gpio", f"{table.name}: {chip}: {error.strerror}", remedy)]
    if not machine.may_use(chip):
        text = f"{table.name}: {machine.user()} may not open {chip}"
        remedy = 'a udev rule gives it to a group: SUBSYSTEM=="gpio", GROUP="gpio", MODE="0660"'
        return [problem("gpio", text, remedy)]
    try:
        fd = machine.open(chip)
    except OSError as error:
        remedy = "is it a GPIO chip? `gpiodetect` lists them"
        return [problem("gpio", f"{table.name}: {chip}: {error.strerror}", remedy)]
    try:
        return _lines(machine, table, fd)
    except OSError:
        return [problem("gpio", f"{table.name}: {chip} is no GPIO chip", "`gpiodetect` lists them")]
    finally:
        machine.close(fd)


def _lines(machine: Machine, table: GpioTable, fd: int) -> list[Finding]:
    state = bytearray(_CHIP_INFO.size)
    machine.ioctl(fd, _CHIP_INFO_IOCTL, state)
    _, label, count = _CHIP_INFO.unpack(state)
    what = f"{table.chip} ({_text(label)}, {count} lines)"
    findings = []
    for line in sorted(one.line for one in table.lines):
        if line >= count:
            remedy = f"lines are 0 to {count - 1}; is it another chip? `gpioinfo` lists them all"
            findings.append(problem("gpio", f"{table.name}: {what} has no line {line}", remedy))
            continue
        state = bytearray(_LINE_INFO.size)
        _LINE_INFO.pack_into(state, 0, b"", b"", line, 0, 0)
        machine.ioctl(fd, _LINE_INFO_IOCTL, state)
        _, consumer, _, _, flags = _LINE_INFO.unpack(state)
        if flags & _LINE_USED and _text(consumer) != _OURS:
            text = f'{table.name}: line {line} of {what} is in use by "{_text(consumer)}"'
            remedy = "map another line, or take that function from the pin (device tree, overlay)"
            findings.append(problem("gpio", text, remedy))
    return findings or [ok("gpio", f"{table.name}: {what} has its lines")]


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _modbus_line(machine: Machine, device: str) -> Finding:
    try:
        machine.node(device)
    except OSError as error:
        return problem(
            "modbus", f"{device}: {error.strerror}", "`ls -l /dev/serial/by-id /dev/tty*`"
        )
    if not machine.may_use(device):
        remedy = f"sudo usermod -aG dialout {machine.user()}, then log in again"
        return problem("modbus", f"{machine.user()} may not open {device}", remedy)
    return ok("modbus", f"{device} is there")


def _store(machine: Machine, folder: str) -> Finding:
    if machine.is_folder(folder):
        place, text = folder, f"{folder} is there"
    else:
        place, text = os.path.dirname(folder) or ".", f"{folder} will be made"
    if machine.may_use(place):
        return ok("store", text)
    remedy = (
        f"sudo install -d -o {machine.user()} -m 0700 {folder} (a systemd unit: StateDirectory=)"
    )
    return warning("store", f"{machine.user()} may not write to {place} (store.dir)", remedy)
