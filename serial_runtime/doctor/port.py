# SPDX-License-Identifier: MIT
"""The checks of a serial port: is it there, may we have it, does somebody else use it.

What the driver and the chip say is in ``uart``; it needs the port open, so it is left out when
the port cannot be had.
"""

from __future__ import annotations

import errno
import os

from serial_runtime.doctor import Finding, ok, problem, uart, warning
from serial_runtime.doctor.machine import Machine, Node
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.transport.owners import Owner

_PTY_MAJORS = range(136, 144)
_GETTY_UNITS = ("/etc/systemd/system", "/run/systemd/generator", "/run/systemd/system")
_PROBERS = ("ModemManager", "brltty")


class Question(NamedTuple):
    """What is asked about."""

    path: str
    baud: int
    rt_priority: int = 0  # of the scan cycle on this machine, 0: there is none
    rt_cpu: int = -1  # -1: any
    execution_s: float = 0.0  # the longest execution time of a cycle, 0: not known


def check_port(machine: Machine, question: Question) -> list[Finding]:
    """All findings about one serial port, in the order in which they are to be mended."""
    path = question.path
    try:
        node = machine.node(path)
    except OSError as error:
        return [_missing(path, error)]
    if not node.is_character_device:
        return [problem("device", f"{path} is no device but a file", "name a tty")]
    device = machine.resolve(path)
    name = os.path.basename(device)
    findings = [ok("device", f"{path} is there" + (f" ({device})" if device != path else ""))]
    findings.append(_permission(machine, path, node))
    owners = machine.owners(path)
    findings += _owners(machine, path, owners)
    findings += _console(machine, name)
    findings += _login(machine, name, node)
    if name.startswith(("ttyUSB", "ttyACM")):
        findings += _probers(machine)
    if not machine.may_use(path):
        return findings
    try:
        fd = machine.open(path)
    except OSError as error:
        return [*findings, _unopened(path, error)]
    try:
        if not uart.is_tty(machine, fd):
            return [*findings, problem("device", f"{path} is no tty", "name a serial port")]
        if node.major in _PTY_MAJORS:
            text = f"{path} is a pseudo terminal: it carries any rate and loses nothing by itself"
            return [*findings, ok("driver", text)]
        return findings + uart.check(machine, fd, name, question, bool(owners))
    finally:
        machine.close(fd)


def _missing(path: str, error: OSError) -> Finding:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return problem(
            "device",
            f"{path} does not exist",
            "is the adapter plugged in and its driver loaded? `ls /dev/serial/by-id` lists USB "
            "adapters, `dmesg | grep tty` what the kernel found",
        )
    return problem("device", f"{path}: {error.strerror}", "check the path")


def _unopened(path: str, error: OSError) -> Finding:
    if error.errno == errno.EBUSY:
        text = f"{path} is held exclusively; what the driver says could not be asked"
        return warning("driver", text, "stop the program that has it and ask again")
    remedy = "was it unplugged? A port of a board may be named but not fitted"
    return problem("driver", f"{path} cannot be opened: {error.strerror}", remedy)


def _permission(machine: Machine, path: str, node: Node) -> Finding:
    if machine.may_use(path):
        return ok("permission", f"{machine.user()} may read and write {path}")
    group, user = machine.group(node.gid), machine.user()
    text = f"{user} may not open {path} (mode {node.mode:04o}, group {group})"
    if group == "tty":
        name = os.path.basename(machine.resolve(path))
        remedy = (
            f"a login has taken it: sudo systemctl mask --now serial-getty@{name}, then "
            f"sudo udevadm trigger -c add --name-match={name}"
        )
        return problem("permission", text, remedy)
    if node.mode & 0o060 == 0o060 and node.gid != 0:
        return problem("permission", text, f"sudo usermod -aG {group} {user}, then log in again")
    rule = f'KERNEL=="{os.path.basename(machine.resolve(path))}", GROUP="dialout", MODE="0660"'
    return problem("permission", text, f"a udev rule gives it to a group: {rule}")


def _owners(machine: Machine, path: str, owners: list[Owner]) -> list[Finding]:
    findings = []
    commands = {process.pid: process.command for process in machine.processes()}
    for owner in owners:
        text = f"{path} is open in {owner.name} (pid {owner.pid})"
        words = commands.get(owner.pid, "").split()
        if "serve" in words and any("serial-runtime" in word for word in words):
            findings.append(ok("owner", f"{text}, the runtime itself"))
        else:
            place = machine.bridge_place(owner.pid)
            remedy = f"end that program (kill {owner.pid}), or choose another port"
            if place:
                text += f", a bridge at ERPC://{place}"
                remedy = f"use ERPC://{place}, or end the bridge (kill {owner.pid})"
            findings.append(problem("owner", text, remedy))
    if findings:
        return findings
    who = "nobody" if machine.user() == "root" else "nobody whom this user may see"
    return [ok("owner", f"{who} has it open")]


def _console(machine: Machine, name: str) -> list[Finding]:
    words = machine.text("/proc/cmdline").split()
    named = [word for word in words if word.startswith("console=") and _device(word) == name]
    active = any(line.split()[:1] == [name] for line in machine.text("/proc/consoles").splitlines())
    if not named and not active:
        return [ok("console", "the kernel does not print on it")]
    where = f"the kernel's command line has {named[0]}" if named else "/proc/consoles lists it"
    remedy = (
        f"take {named[0] if named else f'console={name}'} out of the kernel's command line "
        "(/etc/default/grub and update-grub; on a Raspberry Pi cmdline.txt, on a BeagleBone "
        "uEnv.txt) and restart"
    )
    text = (
        f"the kernel prints on {name} ({where}): its lines damage frames, and after a break on the "
        "line one byte may restart the machine (SysRq)"
    )
    return [problem("console", text, remedy)]


def _device(word: str) -> str:
    return word.removeprefix("console=").partition(",")[0]


def _login(machine: Machine, name: str, node: Node) -> list[Finding]:
    """A login prompt: running now, or started by systemd or init at the next start."""
    unit = f"serial-getty@{name}.service"
    remedy = (
        f"sudo systemctl mask --now {unit}; where it runs already, then sudo udevadm trigger "
        f"-c add --name-match={name}: it has taken the device from its group"
    )
    number = (node.minor & 0xFF) | node.major << 8 | (node.minor & ~0xFF) << 12
    for process in machine.processes():
        if process.tty == number:
            text = f"{process.name} (pid {process.pid}) offers a login on {name}"
            return [problem("login", f"{text}: it reads our bytes and answers them", remedy)]
    if any(machine.resolve(f"{place}/{unit}") == "/dev/null" for place in _GETTY_UNITS):
        return [ok("login", f"{unit} is masked")]
    for place in _GETTY_UNITS:
        if machine.exists(f"{place}/getty.target.wants/{unit}"):
            text = f"systemd starts a login on {name} ({place}/getty.target.wants)"
            return [warning("login", text, remedy)]
    for line in machine.text("/etc/inittab").splitlines():
        if not line.startswith("#") and name in line and "getty" in line:
            remedy = "put a # before that line and send init a SIGHUP (kill -HUP 1)"
            return [warning("login", f"/etc/inittab starts a login on it: {line}", remedy)]
    return [ok("login", "no login is offered on it")]


def _probers(machine: Machine) -> list[Finding]:
    """Programs that write to every new USB adapter to find out whether it is theirs."""
    found = [p.name for p in machine.processes() if p.name in _PROBERS]
    if not found:
        return []
    text = f"{' and '.join(found)} runs, which writes to USB adapters when they are plugged in"
    remedy = f"sudo systemctl mask --now {found[0]}, or a udev rule with ID_MM_DEVICE_IGNORE=1"
    return [warning("prober", text, remedy)]
