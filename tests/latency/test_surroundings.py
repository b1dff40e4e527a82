# SPDX-License-Identifier: MIT
"""What a measurement sees of the machine, which is made of a directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serial_runtime.doctor.machine import Machine
from serial_runtime.latency.surroundings import Surroundings, look_around, running_cycles

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(path: str, text: str) -> None:
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return write


def look(root: Path) -> Surroundings:
    return look_around(Machine(str(root)))


def test_a_real_time_kernel(tmp_path: Path, write: Write) -> None:
    write("/proc/sys/kernel/osrelease", "6.12.57-rt\n")
    write("/proc/sys/kernel/version", "#1 SMP PREEMPT_RT Tue")
    write("/proc/cpuinfo", "flags : fpu vme\n")
    found = look(tmp_path)
    assert found.kernel.startswith("6.12.57-rt ")
    assert (found.real_time, found.virtual) == (True, False)


def test_an_older_one_says_it_in_a_file_of_its_own(tmp_path: Path, write: Write) -> None:
    write("/proc/sys/kernel/version", "#1 SMP PREEMPT RT")
    assert not look(tmp_path).real_time
    write("/sys/kernel/realtime", "1\n")
    assert look(tmp_path).real_time


def test_a_virtual_machine(tmp_path: Path, write: Write) -> None:
    write("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC")
    write("/proc/cpuinfo", "flags : fpu hypervisor lahf_lm\n")
    assert look(tmp_path)[1:] == (False, True)


def test_programs_that_run(tmp_path: Path, write: Write) -> None:
    status = "Name:\t{}\nState:\tS\nCpus_allowed_list:\t{}\n"
    write("/proc/17/task/17/status", status.format("python3", "0-3"))
    write("/proc/17/task/18/status", status.format("plc-scan", "0-1,3"))
    write("/proc/20/task/20/status", status.format("plc-scanner", "2"))
    write("/proc/self/task/1/status", status.format("plc-scan", "2"))
    machine = Machine(str(tmp_path))
    assert [running_cycles(machine, cpu) for cpu in range(4)] == [[17], [17], [], [17]]
    assert running_cycles(machine, -1) == [17]
