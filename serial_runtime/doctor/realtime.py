# SPDX-License-Identifier: MIT
"""The checks of a board for real time: kernel, rights, memory. What concerns the one processor of
the scan cycle is in ``rt_cpu``.

Nothing here measures (`serial-runtime latency` does); it says which settings are known to cost
latency. All of it works without them, so almost everything is a warning.
"""

from __future__ import annotations

from serial_runtime.doctor import Finding, ok, problem, warning
from serial_runtime.doctor.machine import Machine
from serial_runtime.named_tuple import NamedTuple

_CAP_IPC_LOCK, _CAP_SYS_NICE = 14, 23
# What the kernel can read without asking a device behind a slow bus.
_FAST_CLOCKS = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page")
_SLOW_CLOCKS = ("hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "xen")


class Wanted(NamedTuple):
    """What the board's profile asks for."""

    priority: int = 80  # of the scan cycle
    cpu: int = -1  # -1: any
    cpu_latency_us: int = 0  # -1: idle states are not restricted


def check_real_time(machine: Machine, wanted: Wanted) -> list[Finding]:
    """All findings, what matters most first."""
    from serial_runtime.doctor import rt_cpu

    return [
        _kernel(machine),
        *check_rights(machine, wanted),
        _throttling(machine),
        *rt_cpu.check(machine, wanted.cpu, wanted.cpu_latency_us),
        _clock(machine),
        _slack(machine),
        _huge_pages(machine),
        *_moved_pages(machine),
        _virtual(machine),
    ]


def check_rights(machine: Machine, wanted: Wanted) -> list[Finding]:
    """Whether this user may have the priority, and lock memory."""
    return [_priority(machine, wanted), _lock(machine)]


def _kernel(machine: Machine) -> Finding:
    release = machine.text("/proc/sys/kernel/osrelease")
    if machine.exists("/proc/xenomai"):
        version = machine.text("/proc/xenomai/version")
        text = f"kernel {release} with Xenomai Cobalt {version}: its backend makes use of it"
        return ok("kernel", f"{text} (SR_BACKEND=xenomai, see docs/xenomai.md)")
    if machine.text("/sys/kernel/realtime") == "1":
        return ok("kernel", f"kernel {release} is PREEMPT_RT")
    text = (
        f"kernel {release} is neither PREEMPT_RT nor Cobalt: a driver can hold a cycle up for "
        "milliseconds"
    )
    remedy = (
        "sudo apt install linux-image-rt-amd64 (Debian; -arm64, -armmp there), or build the kernel "
        "with CONFIG_PREEMPT_RT=y, and restart"
    )
    return warning("kernel", text, remedy)


def _priority(machine: Machine, wanted: Wanted) -> Finding:
    need = wanted.priority + 1
    if not wanted.priority:
        return warning("priority", "rt.priority is 0: not real time", "rt.priority = 80")
    if _capable(machine, _CAP_SYS_NICE):
        return ok("priority", f"{machine.user()} may use any real-time priority")
    limit = _limit(machine, "Max realtime priority")
    if limit.isdigit() and int(limit) >= need:
        return ok("priority", f"{machine.user()} may use real-time priorities up to {limit}")
    text = (
        f"{machine.user()} may use real-time priorities up to {limit or '0'}, the watchdog needs "
        f"{need}: without it nothing is real time"
    )
    remedy = (
        f"LimitRTPRIO={need} in the systemd unit, or a line `{machine.user()} - rtprio {need}` in "
        "/etc/security/limits.d/plc.conf and a new login"
    )
    return problem("priority", text, remedy)


def _lock(machine: Machine) -> Finding:
    if _capable(machine, _CAP_IPC_LOCK):
        return ok("memory", f"{machine.user()} may lock all memory")
    limit = _limit(machine, "Max locked memory")
    if limit == "unlimited":
        return ok("memory", f"{machine.user()} may lock all memory")
    text = (
        f"{machine.user()} may lock {limit or '0'} bytes: only the runtime's own memory stays, "
        "what a program allocates may be paged out"
    )
    remedy = (
        f"LimitMEMLOCK=infinity in the systemd unit, or a line `{machine.user()} - memlock "
        "unlimited` in /etc/security/limits.d/plc.conf and a new login"
    )
    return warning("memory", text, remedy)


def _throttling(machine: Machine) -> Finding:
    servers = "/sys/kernel/debug/sched/fair_server"
    runtime_us = machine.text("/proc/sys/kernel/sched_rt_runtime_us")
    period_us = machine.text("/proc/sys/kernel/sched_rt_period_us")
    for name in machine.names(servers):  # since Linux 6.12 instead of the throttling
        server_ns = machine.text(f"{servers}/{name}/runtime")
        if server_ns.isdigit() and int(server_ns):
            text = (
                f"other programs get {int(server_ns) // 1000000} ms of each second of {name}, "
                "from a cycle that needs all of it"
            )
            remedy = f"echo 0 | sudo tee {servers}/{name}/runtime (at every start), for rt.cpu"
            return warning("throttling", text, remedy)
    whole = runtime_us in ("", "-1") or runtime_us == period_us
    if whole:
        return ok("throttling", "the kernel does not take the processor from real-time threads")
    text = (
        f"real-time threads get {runtime_us} of each {period_us or '?'} us: a cycle that needs "
        "more is stopped for the rest"
    )
    remedy = (
        "echo kernel.sched_rt_runtime_us=-1 | sudo tee -a /etc/sysctl.d/plc.conf; sudo sysctl "
        "--system (the runtime's own watchdog ends a program that hangs)"
    )
    return warning("throttling", text, remedy)


def _clock(machine: Machine) -> Finding:
    place = "/sys/devices/system/clocksource/clocksource0"
    now = machine.text(f"{place}/current_clocksource")
    others = machine.text(f"{place}/available_clocksource").split()
    if now not in _SLOW_CLOCKS:
        return ok("clock", f"the clock is {now or 'not named'}, read without a system call")
    better = next((one for one in others if one in _FAST_CLOCKS), "")
    text = f"the clock is {now}: each reading takes a microsecond or more"
    remedy = f"echo {better} | sudo tee {place}/current_clocksource; for good clocksource={better}"
    if not better:
        remedy = "the kernel found no better one: `dmesg | grep -i clocksource` says why"
    return warning("clock", text, remedy)


def _slack(machine: Machine) -> Finding:
    slack_ns = machine.text("/proc/self/timerslack_ns")
    usual = f"{slack_ns} ns" if slack_ns else "what the kernel has"
    return ok("slack", f"timers may be late by {usual}; the runtime asks for 1 ns for its threads")


def _huge_pages(machine: Machine) -> Finding:
    file = "/sys/kernel/mm/transparent_hugepage/enabled"
    if "[always]" not in machine.text(file):
        return ok("hugepages", "no program's pages are joined unless it asks for that")
    text = "the kernel joins pages of any program, and the cycle waits for that at its next access"
    remedy = f"echo madvise | sudo tee {file}; for good transparent_hugepage=madvise"
    return warning("hugepages", f"{text} (transparent huge pages: always)", remedy)


def _moved_pages(machine: Machine) -> list[Finding]:
    """Locked pages are not paged out, but may be moved; the next access to one is a page fault."""
    found = []
    for name, why in (
        ("vm.compact_unevictable_allowed", "to make room for larger blocks"),
        ("kernel.numa_balancing", "between the nodes of this machine"),
    ):
        if machine.text("/proc/sys/" + name.replace(".", "/")) == "1":
            text = f"the kernel may move locked memory {why}; the cycle waits at its next access"
            remedy = f"echo {name}=0 | sudo tee -a /etc/sysctl.d/plc.conf; sudo sysctl --system"
            found.append(warning("moved", text, remedy))
    return found or [ok("moved", "locked memory stays where it is")]


def _virtual(machine: Machine) -> Finding:
    product = machine.text("/sys/class/dmi/id/product_name")
    virtual = machine.exists("/sys/hypervisor/type") or any(
        line.startswith("flags") and "hypervisor" in line.split()
        for line in machine.text("/proc/cpuinfo").splitlines()
    )
    if not virtual:
        return ok("virtual", f"real hardware, as far as it says{': ' * bool(product)}{product}")
    text = "this is a virtual machine: its host may stop it at any time, for any time"
    return warning("virtual", text, "use hardware; what is measured here holds for this host alone")


def _capable(machine: Machine, bit: int) -> bool:
    for line in machine.text("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value.strip() or "0", 16) >> bit & 1)
    return False


def _limit(machine: Machine, name: str) -> str:
    """The soft limit, as /proc says it."""
    for line in machine.text("/proc/self/limits").splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[0]
    return ""
