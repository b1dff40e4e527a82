# SPDX-License-Identifier: MIT
"""Boards for real time, each from the facts below its root: what is found, and the remedy."""

from __future__ import annotations

import pytest

from serial_runtime.doctor import Finding, Level
from serial_runtime.doctor.realtime import Wanted, check_real_time

CPU = "/sys/devices/system/cpu"
CLOCK = "/sys/devices/system/clocksource/clocksource0"
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max locked memory         {memory:<20} unlimited            bytes
Max realtime priority     {priority:<20} 99
"""


def tuned(machine) -> Wanted:
    """A four-core board with PREEMPT_RT whose CPU 3 is kept free: nothing is left to do."""
    machine.write("/proc/sys/kernel/osrelease", "6.12.9-rt")
    machine.write("/sys/kernel/realtime", "1\n")
    machine.write("/proc/self/status", "Name:\tserial-runtime\nCapEff:\t0000000000000000\n")
    machine.write("/proc/self/limits", LIMITS.format(memory="unlimited", priority="99"))
    machine.write("/proc/self/timerslack_ns", "50000")
    machine.write("/proc/sys/kernel/sched_rt_runtime_us", "-1")
    machine.write("/proc/sys/kernel/sched_rt_period_us", "1000000")
    machine.write("/proc/sys/vm/compact_unevictable_allowed", "0")
    machine.write("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu tsc\n")
    machine.write("/sys/class/dmi/id/product_name", "Press controller")
    machine.write(f"{CPU}/online", "0-3")
    machine.write(f"{CPU}/isolated", "3")
    machine.write(f"{CPU}/nohz_full", "3")
    machine.write(f"{CPU}/smt/active", "0")
    for cpu in range(4):
        machine.write(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", str(cpu))
        machine.write(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", "performance")
        idle_state(machine, cpu, 0, "WFI", 1)
        idle_state(machine, cpu, 1, "cpu-sleep", 900)
    irq(machine, 34, "0-2", "ttyS1")
    irq(machine, 40, "3", "")  # nobody's
    machine.write(f"{CLOCK}/current_clocksource", "arch_sys_counter")
    machine.write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
    return Wanted(priority=80, cpu=3, cpu_latency_us=0)


def idle_state(machine, cpu: int, number: int, name: str, latency_us: int) -> None:
    place = f"{CPU}/cpu{cpu}/cpuidle/state{number}"
    machine.write(f"{place}/name", name)
    machine.write(f"{place}/latency", str(latency_us))
    machine.write(f"{place}/disable", "0")


def irq(machine, number: int, cpus: str, name: str) -> None:
    machine.write(f"/proc/irq/{number}/smp_affinity_list", cpus)
    if name:
        machine.write(f"/proc/irq/{number}/{name}/.keep", "")


def findings(machine, wanted: Wanted) -> dict[str, Finding]:
    found = check_real_time(machine, wanted)
    assert len({one.check for one in found}) == len(found)
    for one in found:
        assert bool(one.remedy) == (one.level != Level.OK), one
    return {one.check: one for one in found}


def test_a_board_that_is_well_set_up(machine) -> None:
    found = findings(machine, tuned(machine))
    assert [one for one in found.values() if one.level != Level.OK] == []
    assert found["kernel"].text == "kernel 6.12.9-rt is PREEMPT_RT"
    assert "the runtime forbids it" in found["idle"].text
    assert found["virtual"].text.endswith("Press controller")
    assert set(found) == {
        "kernel", "priority", "memory", "throttling", "cpu", "isolation", "interrupts", "smt",
        "governor", "idle", "clock", "slack", "hugepages", "moved", "virtual",
    }  # fmt: skip


def test_a_kernel_with_cobalt(machine) -> None:
    wanted = tuned(machine)
    machine.write("/sys/kernel/realtime", "0")
    machine.write("/proc/xenomai/version", "3.3")
    found = findings(machine, wanted)["kernel"]
    assert found.level == Level.OK
    assert "Cobalt 3.3" in found.text


def test_a_machine_that_tells_nothing(machine) -> None:
    """Another kernel, a container: no check fails, what cannot be known is not complained about."""
    found = findings(machine, Wanted())
    bad = {name for name, one in found.items() if one.level != Level.OK}
    assert bad == {"kernel", "priority", "memory"}


def test_a_single_processor_has_nothing_to_isolate(machine) -> None:
    wanted = tuned(machine)
    machine.write(f"{CPU}/online", "0")
    found = findings(machine, wanted._replace(cpu=0))
    assert not {"cpu", "isolation", "interrupts"} & set(found)


@pytest.mark.parametrize(
    ("check", "level", "path", "content", "says", "remedy"),
    [
        ("kernel", "warning", "/sys/kernel/realtime", "", "neither PREEMPT_RT nor Cobalt", "-rt-"),
        (
            "priority", "problem", "/proc/self/limits", LIMITS.format(memory="0", priority="80"),
            "up to 80, the watchdog needs 81", "LimitRTPRIO=81 in the systemd unit",
        ),
        (
            "memory", "warning", "/proc/self/limits",
            LIMITS.format(memory="8388608", priority="99"), "may lock 8388608 bytes",
            "LimitMEMLOCK=infinity",
        ),
        (
            "throttling", "warning", "/proc/sys/kernel/sched_rt_runtime_us", "950000",
            "950000 of each 1000000 us", "kernel.sched_rt_runtime_us=-1",
        ),
        (
            "throttling", "warning", "/sys/kernel/debug/sched/fair_server/cpu3/runtime", "50000000",
            "50 ms of each second of cpu3", "fair_server/cpu3/runtime",
        ),
        ("cpu", "problem", f"{CPU}/online", "0-1", "there is no CPU 3", "rt.cpu = 1, or -1"),
        (
            "isolation", "warning", f"{CPU}/isolated", "(null)", "other programs run on CPU 3",
            "isolcpus=3 nohz_full=3 rcu_nocbs=3 irqaffinity=0,1,2",
        ),
        ("isolation", "warning", f"{CPU}/nohz_full", "", "the kernel's tick", "nohz_full=3"),
        (
            "interrupts", "warning", "/proc/irq/34/effective_affinity_list", "2-3",
            "CPU 3 serves interrupts of devices: 34 (ttyS1)",
            "echo 0,1,2 | sudo tee /proc/irq/34/smp_affinity_list",
        ),
        (
            "smt", "warning", f"{CPU}/cpu3/topology/thread_siblings_list", "2-3",
            "shares its core with CPU 2", f"echo off | sudo tee {CPU}/smt/control",
        ),
        (
            "governor", "warning", f"{CPU}/cpu3/cpufreq/scaling_governor", "ondemand",
            "governor ondemand", f"echo performance | sudo tee {CPU}/cpu3/cpufreq/",
        ),
        ("clock", "warning", f"{CLOCK}/current_clocksource", "hpet", "is hpet", "dmesg"),
        (
            "hugepages", "warning", "/sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never", "joins pages", "echo madvise | sudo tee",
        ),
        (
            "moved", "warning", "/proc/sys/vm/compact_unevictable_allowed", "1", "may move",
            "vm.compact_unevictable_allowed=0",
        ),
        ("moved", "warning", "/proc/sys/kernel/numa_balancing", "1", "nodes", "numa_balancing=0"),
        ("virtual", "warning", "/proc/cpuinfo", "flags : hypervisor\n", "a virtual", "hardware"),
        ("virtual", "warning", "/sys/hypervisor/type", "xen", "a virtual machine", "hardware"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(
    machine, check: str, level: str, path: str, content: str, says: str, remedy: str
) -> None:
    wanted = tuned(machine)
    if check == "smt":
        machine.write(f"{CPU}/smt/active", "1")
    machine.write(path, content)
    found = findings(machine, wanted)
    bad = [name for name, one in found.items() if one.level != Level.OK]
    assert check in bad
    assert set(bad) <= {check, "memory"}  # a file of limits has two
    assert found[check].level == level
    assert says in found[check].text
    assert remedy in found[check].remedy


def test_a_better_clock_is_named(machine) -> None:
    wanted = tuned(machine)
    machine.write(f"{CLOCK}/current_clocksource", "acpi_pm")
    machine.write(f"{CLOCK}/available_clocksource", "hpet tsc acpi_pm")
    assert findings(machine, wanted)["clock"].remedy.startswith("echo tsc | sudo tee")


def test_capabilities_do_what_limits_do(machine) -> None:
    wanted = tuned(machine)
    machine.write("/proc/self/limits", LIMITS.format(memory="0", priority="0"))
    machine.write("/proc/self/status", f"CapEff:\t{1 << 14 | 1 << 23:016x}\n")
    found = findings(machine, wanted)
    assert found["priority"].level == found["memory"].level == Level.OK


def test_no_processor_is_named(machine) -> None:
    wanted = tuned(machine)._replace(cpu=-1)
    found = findings(machine, wanted)
    assert found["cpu"].remedy == "rt.cpu = 3 in the profile"
    assert "isolation" not in found


def test_no_priority_is_asked_for(machine) -> None:
    found = findings(machine, tuned(machine)._replace(priority=0))
    assert found["priority"].remedy == "rt.priority = 80"


@pytest.mark.parametrize(
    ("latency_us", "permitted", "level", "remedy"),
    [
        (0, True, Level.OK, ""),
        (0, False, Level.WARNING, 'KERNEL=="cpu_dma_latency"'),
        (-1, True, Level.WARNING, "rt.cpu_latency_us = 0"),
        (1000, True, Level.WARNING, "rt.cpu_latency_us = 0"),
    ],
)
def test_deep_idle_states(
    machine, latency_us: int, permitted: bool, level: Level, remedy: str
) -> None:
    wanted = tuned(machine)._replace(cpu_latency_us=latency_us)
    machine.permitted = permitted
    found = findings(machine, wanted)["idle"]
    assert found.level == level
    assert remedy in found.remedy
    assert "the idle state cpu-sleep takes 900 us" in found.text
    machine.write(f"{CPU}/cpu3/cpuidle/state1/disable", "1")
    assert findings(machine, wanted)["idle"].level == Level.OK
