# SPDX-License-Identifier: MIT
"""What of this machine a measurement must know: who else is there, and what the kernel is."""

from __future__ import annotations

import os

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from serial_runtime.doctor.machine import Machine

_CYCLE = "plc-scan"  # the name of the thread that runs a program's cycle


class Surroundings(NamedTuple):
    """The kernel and what is below it."""

    kernel: str  # "6.12.57 x86_64"
    real_time: bool  # PREEMPT_RT
    virtual: bool  # a hypervisor shares the processors


def look_around(machine: Machine) -> Surroundings:
    """Of this machine."""
    about = os.uname()
    release = machine.text("/proc/sys/kernel/osrelease") or about.release
    version = machine.text("/proc/sys/kernel/version") or about.version
    return Surroundings(
        f"{release} {about.machine}",
        machine.text("/sys/kernel/realtime") == "1" or "PREEMPT_RT" in version,
        " hypervisor" in machine.text("/proc/cpuinfo") or machine.exists("/sys/hypervisor/uuid"),
    )


def running_cycles(machine: Machine, cpu: int) -> list[int]:
    """Processes whose scan cycle runs, or may run, on this CPU; -1: on any."""
    return [
        int(pid)
        for pid in machine.names("/proc")
        if pid.isdigit() and any(_is_cycle_on(cpu, task) for task in _threads(machine, pid))
    ]


def _threads(machine: Machine, pid: str) -> Iterator[str]:
    for tid in machine.names(f"/proc/{pid}/task"):
        yield machine.text(f"/proc/{pid}/task/{tid}/status")


def _is_cycle_on(cpu: int, status: str) -> bool:
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    if fields.get("Name", "").strip() != _CYCLE:
        return False
    return cpu < 0 or cpu in _cpu_set(fields.get("Cpus_allowed_list", "").strip())


def _cpu_set(text: str) -> set[int]:
    """Of "0-3,8"."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
