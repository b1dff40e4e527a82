# SPDX-License-Identifier: MIT
"""The checks of the processor that the scan cycle runs on: who else uses it, and how it sleeps."""

from __future__ import annotations

from serial_runtime.doctor import Finding, ok, problem, warning
from serial_runtime.doctor.machine import Machine, numbers

_CPU = "/sys/devices/system/cpu"
_NAMED = 4  # interrupts that a finding names
_DEEP_US = 20  # an idle state that takes longer to leave


def check(machine: Machine, cpu: int, latency_us: int) -> list[Finding]:
    """All findings. `cpu` -1: it is bound to none, so the checks look at all."""
    online = sorted(numbers(machine.text(f"{_CPU}/online") or "0"))
    if cpu >= 0 and cpu not in online:
        remedy = f"rt.cpu = {online[-1]}, or -1"
        return [problem("cpu", f"there is no CPU {cpu} (rt.cpu): {online} are online", remedy)]
    alone = [_bound(machine, cpu, online)] if len(online) > 1 else []
    if cpu >= 0 and len(online) > 1:
        others = ",".join(str(one) for one in online if one != cpu)
        alone += [_isolated(machine, cpu, others), _interrupts(machine, cpu, others)]
    looked_at = [cpu] if cpu >= 0 else online
    return [
        *alone,
        _threads(machine, looked_at),
        _governor(machine, looked_at),
        _idle(machine, looked_at, latency_us),
    ]


def _bound(machine: Machine, cpu: int, online: list[int]) -> Finding:
    if cpu >= 0:
        return ok("cpu", f"the cycle is bound to CPU {cpu}")
    free = sorted(numbers(machine.text(f"{_CPU}/isolated")))
    text = f"the cycle may run on any of the {len(online)} CPUs, and pays for each move"
    return warning("cpu", text, f"rt.cpu = {(free or online)[-1]} in the profile")


def _isolated(machine: Machine, cpu: int, others: str) -> Finding:
    is_free = cpu in numbers(machine.text(f"{_CPU}/isolated"))
    is_quiet = cpu in numbers(machine.text(f"{_CPU}/nohz_full"))
    if is_free and is_quiet:
        return ok("isolation", f"CPU {cpu} is left to it, without the kernel's tick")
    words = f"isolcpus={cpu} nohz_full={cpu} rcu_nocbs={cpu} irqaffinity={others}"
    remedy = f"add to the kernel's command line: {words}"
    if is_free:
        text = f"CPU {cpu} is left to it, but the kernel's tick runs there"
    else:
        text = f"other programs run on CPU {cpu}, and leave cold caches behind"
    return warning("isolation", text, remedy)


def _interrupts(machine: Machine, cpu: int, others: str) -> Finding:
    found = []
    for irq in filter(str.isdigit, machine.names("/proc/irq")):
        place = f"/proc/irq/{irq}"
        where = machine.text(f"{place}/effective_affinity_list")
        if cpu in numbers(where or machine.text(f"{place}/smp_affinity_list")):
            names = [one for one in machine.names(place) if machine.is_folder(f"{place}/{one}")]
            if names:  # else nobody uses it
                found.append((irq, names[0]))
    if not found:
        return ok("interrupts", f"none of a device is served on CPU {cpu}")
    named = ", ".join(f"{irq} ({name})" for irq, name in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    text = f"CPU {cpu} serves interrupts of devices: {named}{more}"
    remedy = (
        f"echo {others} | sudo tee /proc/irq/{found[0][0]}/smp_affinity_list, for each (irqbalance "
        f"must not run); for good irqaffinity={others} on the kernel's command line"
    )
    return warning("interrupts", text, remedy)


def _threads(machine: Machine, cpus: list[int]) -> Finding:
    for cpu in cpus:
        place = f"{_CPU}/cpu{cpu}/topology/thread_siblings_list"
        siblings = sorted(numbers(machine.text(place)) - {cpu})
        if siblings and machine.text(f"{_CPU}/smt/active") != "0":
            text = f"CPU {cpu} shares its core with CPU {siblings[0]}, which slows it down at will"
            remedy = f"echo off | sudo tee {_CPU}/smt/control; for good nosmt"
            return warning("smt", text, remedy)
    return ok("smt", "no two CPUs share a core")


def _governor(machine: Machine, cpus: list[int]) -> Finding:
    for cpu in cpus:
        place = f"{_CPU}/cpu{cpu}/cpufreq/scaling_governor"
        governor = machine.text(place)
        if governor not in ("", "performance"):
            text = f"the frequency of CPU {cpu} follows the load (governor {governor})"
            remedy = f"echo performance | sudo tee {place} (at every start)"
            return warning("governor", text, remedy)
    return ok("governor", "the frequency does not follow the load")


def _idle(machine: Machine, cpus: list[int], latency_us: int) -> Finding:
    name, exit_us = _deepest(machine, cpus)
    driver = machine.text(f"{_CPU}/cpuidle/current_driver")
    if exit_us <= _DEEP_US:
        return ok("idle", "the processor wakes at once: it has no deep idle state in use")
    text = f"the idle state {name} takes {exit_us} us to leave (driver {driver or 'unknown'})"
    device = "/dev/cpu_dma_latency"
    if 0 <= latency_us < exit_us and machine.may_use(device):
        return ok("idle", f"{text}; the runtime forbids it while a program runs")
    if latency_us < 0 or latency_us >= exit_us:
        return warning("idle", f"{text}, and the profile allows it", "rt.cpu_latency_us = 0")
    remedy = (
        f"let {machine.user()} write {device}, by a udev rule: "
        'KERNEL=="cpu_dma_latency", GROUP="dialout", MODE="0660"; '
        "or processor.max_cstate=1 intel_idle.max_cstate=0 on the kernel's command line"
    )
    return warning("idle", f"{text}, and {machine.user()} may not forbid it ({device})", remedy)


def _deepest(machine: Machine, cpus: list[int]) -> tuple[str, int]:
    """Name and exit latency of the idle state in use that takes longest to leave."""
    states = [("", 0)]
    for cpu in cpus:
        place = f"{_CPU}/cpu{cpu}/cpuidle"
        for state in machine.names(place):
            latency = machine.text(f"{place}/{state}/latency")
            if latency.isdigit() and machine.text(f"{place}/{state}/disable") != "1":
                states.append((machine.text(f"{place}/{state}/name"), int(latency)))
    return max(states, key=lambda one: one[1])
