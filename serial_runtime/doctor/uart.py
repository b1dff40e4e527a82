# SPDX-License-Identifier: MIT
"""The checks of what the driver and the chip of a port say. See ``port``.

The rates are found by trying: each is set, read back, and the former setting restored. That
would disturb a program that uses the port, so then only the present rate is looked at.
"""

from __future__ import annotations

import os
import struct

from serial_runtime.doctor import Finding, ok, problem, rates, warning
from serial_runtime.doctor.machine import Machine, Process, numbers
from serial_runtime.transport import tty_ioctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.doctor.port import Question

# termios.h and asm-generic/termbits.h; `termios` of the standard library wants a real descriptor.
_IXON, _IXOFF, _CRTSCTS = 0o002000, 0o010000, 0o20000000000
_TERMIOS2_FLAGS = struct.Struct("=III")
_UNKNOWN_CHIP = tty_ioctl.Uart(0, 0, 0, 0, 0)


def is_tty(machine: Machine, fd: int) -> bool:
    """Whether the descriptor has terminal settings."""
    try:
        machine.ioctl(fd, tty_ioctl.TCGETS2, bytearray(44))
    except OSError:
        return False
    return True


def check(machine: Machine, fd: int, name: str, question: Question, busy: bool) -> list[Finding]:
    """All findings that need the port open."""
    try:
        chip = tty_ioctl.uart_of(fd, machine.ioctl)
    except OSError:
        chip = _UNKNOWN_CHIP
    driver = _driver(machine, name)
    is_usb = machine.exists(f"/sys/bus/usb-serial/devices/{name}") or driver == "cdc_acm"
    fifo = None if is_usb else _fifo(machine, name, chip)
    findings = [_about(name, chip, driver, fifo, is_usb)]
    found = _rates(machine, fd, question.baud, chip, driver, busy)
    findings.append(_rate(name, found[question.baud]))
    findings.append(_flow(machine, fd))
    findings += _latency(machine, name, chip)
    findings += _counters(machine, fd)
    latency_s = rates.INTERRUPT_S
    if fifo is not None:
        finding, latency_s = _interrupt(machine, chip, fifo, question)
        findings.append(finding)
    findings += _rs485(machine, fd)
    findings.append(_proposal(found, fifo, latency_s, question.baud, busy))
    return findings


def _driver(machine: Machine, name: str) -> str:
    """The driver's name; since Linux 6.5 a UART's tty has two devices of the core in between."""
    place = machine.resolve(f"/sys/class/tty/{name}/device")
    while place.startswith("/sys/devices/"):
        found = os.path.basename(machine.resolve(f"{place}/driver"))
        if found not in ("driver", "port", "ctrl"):
            return found
        place = os.path.dirname(place)
    return ""


def _fifo(machine: Machine, name: str, chip: tty_ioctl.Uart) -> rates.Fifo | None:
    """The transmit FIFO's size is known; the receive FIFO has the same in the chips in use."""
    if chip.fifo < 1:
        return None
    trigger = machine.text(f"/sys/class/tty/{name}/rx_trig_bytes")
    asked = int(trigger) if trigger.isdigit() and int(trigger) else max(1, chip.fifo // 2)
    return rates.Fifo(chip.fifo, min(asked, chip.fifo))


def _about(
    name: str, chip: tty_ioctl.Uart, driver: str, fifo: rates.Fifo | None, is_usb: bool
) -> Finding:
    parts = [f"{name}: {'a USB adapter' if is_usb else 'a UART'}, driver {driver or 'unknown'}"]
    if chip.type:
        parts.append(f"type {chip.type} of linux/serial_core.h")
    if fifo is not None:
        parts.append(f"FIFO of {fifo.depth} bytes, asks for service at {fifo.trigger}")
    return ok("driver", ", ".join(parts))


def _rates(
    machine: Machine, fd: int, baud: int, chip: tty_ioctl.Uart, driver: str, busy: bool
) -> dict[int, rates.Rate]:
    before = tty_ioctl.baud_of(fd, machine.ioctl)
    if busy or not before:
        told = before if before == baud else 0
        return {baud: rates.made_of(baud, told, chip, driver)}
    found = {}
    try:
        for one in sorted({baud, *rates.USUAL_FAST}):
            try:
                tty_ioctl.set_baud(fd, one, machine.ioctl)
            except OSError:
                found[one] = rates.Rate(one, 0.0)
                continue
            told = tty_ioctl.baud_of(fd, machine.ioctl)
            try:  # some drivers change the clock with the rate
                chip = tty_ioctl.uart_of(fd, machine.ioctl)
            except OSError:
                chip = _UNKNOWN_CHIP
            found[one] = rates.made_of(one, told, chip, driver)
    finally:
        tty_ioctl.set_baud(fd, before, machine.ioctl)
    return found


def _rate(name: str, rate: rates.Rate) -> Finding:
    text = f"{rate.asked} baud: {name} makes {rate.actual:.0f}, {100 * rate.error:+.2f} %"
    if abs(rate.error) <= rates.EXACT:
        return ok("baud", text)
    remedy = "choose a rate that both ends make, see the proposal below"
    if abs(rate.error) <= rates.BEARABLE:
        return warning("baud", f"{text}: it works if the other end is exact", remedy)
    return problem("baud", f"{text}: beyond the 2 % that a receiver bears", remedy)


def _flow(machine: Machine, fd: int) -> Finding:
    state = bytearray(44)
    machine.ioctl(fd, tty_ioctl.TCGETS2, state)
    iflag, _, cflag = _TERMIOS2_FLAGS.unpack_from(state)
    on = [
        text
        for text, is_on in (
            ("XON/XOFF", iflag & (_IXON | _IXOFF)),
            ("RTS/CTS", cflag & _CRTSCTS),
        )
        if is_on
    ]
    if not on:
        return ok("flow", "no flow control")
    return ok("flow", f"{' and '.join(on)} is set now; the runtime turns it off when it opens it")


def _latency(machine: Machine, name: str, chip: tty_ioctl.Uart) -> list[Finding]:
    file = f"/sys/bus/usb-serial/devices/{name}/latency_timer"
    timer = machine.text(file)
    if not timer.isdigit():
        return []
    low = bool(chip.flags & tty_ioctl.ASYNC_LOW_LATENCY)
    if int(timer) <= 1 or low:
        return [ok("latency", f"the adapter passes bytes on after {timer} ms at most")]
    text = (
        f"the adapter holds short answers back for up to {timer} ms; the runtime and its commands "
        "ask for low latency when they open the port, other programs do not"
    )
    remedy = (
        f"echo 1 | sudo tee {file}; for good, a udev rule: "
        f'ACTION=="add", SUBSYSTEM=="usb-serial", ATTR{{latency_timer}}="1"'
    )
    return [warning("latency", text, remedy)]


def _counters(machine: Machine, fd: int) -> list[Finding]:
    try:
        counts = tty_ioctl.counters_of(fd, machine.ioctl)
    except OSError:
        return [ok("errors", "this driver keeps no counters of errors")]
    findings = []
    since = f"since the driver was loaded ({counts.rx} bytes received)"
    if counts.overrun:
        text = f"{counts.overrun} times bytes were lost in the UART, as nobody emptied it in time"
        remedy = (
            "see the interrupt below; a lower rate, or a FIFO that asks earlier (rx_trig_bytes)"
        )
        findings.append(warning("errors", f"{text}, {since}", remedy))
    if counts.buf_overrun:
        text = f"{counts.buf_overrun} bytes were lost in the kernel, as no program read the port"
        remedy = "normal while nobody had it open; else the machine is overloaded"
        findings.append(warning("errors", f"{text}, {since}", remedy))
    if counts.frame or counts.parity:
        text = f"{counts.frame} bytes had no stop bit, {counts.parity} a wrong parity"
        remedy = "both ends at the same rate, 8N1? Ground connected? A shorter or shielded cable"
        findings.append(warning("errors", f"{text}, {since}", remedy))
    breaks = f", {counts.brk} breaks" if counts.brk else ""
    return findings or [ok("errors", f"no errors{breaks} {since}")]


def _interrupt(
    machine: Machine, chip: tty_ioctl.Uart, fifo: rates.Fifo, question: Question
) -> tuple[Finding, float]:
    """Whether the scan cycle can hold the UART's interrupt up, and for how long it may wait."""
    room_s = fifo.room_s(question.baud)
    bears = (
        f"at {question.baud} baud the FIFO holds what arrives in {room_s * 1e6:.0f} us after "
        "it asks for service"
    )
    plain_s = rates.INTERRUPT_S
    if not question.rt_priority:
        return ok("interrupt", f"{bears}; no real-time task was named (--profile)"), plain_s
    thread = _thread(machine, chip.irq)
    if thread is None:
        text = f"{bears}; its interrupt is no thread on this kernel, so no task holds it up"
        return ok("interrupt", text), plain_s
    whose = f"{thread.name} (pid {thread.pid}) has priority {thread.rt_priority}"
    if thread.rt_priority > question.rt_priority:
        above = f"above the scan cycle's {question.rt_priority}"
        return ok("interrupt", f"{bears}; {whose}, {above}: it is served at once"), plain_s
    cpus = machine.text(f"/proc/irq/{chip.irq}/smp_affinity_list")
    if question.rt_cpu >= 0 and cpus and question.rt_cpu not in numbers(cpus):
        apart = f"{whose}, but runs on CPU {cpus}, the scan cycle on {question.rt_cpu}"
        return ok("interrupt", f"{bears}; {apart}"), plain_s
    below = f"{whose}, not above the scan cycle's {question.rt_priority}: it waits for every cycle"
    if question.rt_priority < 98:
        remedy = f"sudo chrt -f -p {question.rt_priority + 1} {thread.pid} (at every start)"
    else:
        remedy = "lower rt.priority in the profile"
    remedy += ", or keep it off the cycle's CPU (rt.cpu, /proc/irq/*/smp_affinity_list)"
    waits_s = question.execution_s + plain_s
    if not question.execution_s:
        text = f"{bears}; {below}, and a cycle that takes longer than that loses bytes"
        return warning("interrupt", text, f"{remedy}; --execution-us tells this check how long"), (
            plain_s
        )
    if waits_s <= room_s:
        return ok("interrupt", f"{bears}; {below}, which takes less time"), waits_s
    arriving = int(waits_s / room_s * fifo.room)
    text = (
        f"{bears}; {below}, {question.execution_s * 1e6:.0f} us: while one runs about "
        f"{arriving} bytes arrive where {fifo.room} fit, and the others are lost"
    )
    return problem("interrupt", text, remedy), waits_s


def _thread(machine: Machine, irq: int) -> Process | None:
    """The thread that serves an interrupt, where the kernel has threads for that."""
    prefix = f"irq/{irq}-"
    found = [one for one in machine.processes() if one.name.startswith(prefix)] if irq else []
    return found[0] if found else None


def _rs485(machine: Machine, fd: int) -> list[Finding]:
    try:
        mode = tty_ioctl.rs485_of(fd, machine.ioctl)
    except OSError:
        return [
            ok("rs485", "the driver has no RS-485 mode (not needed with an RS-232 or TTL line)")
        ]
    if not mode.enabled:
        return [ok("rs485", "the driver has an RS-485 mode; it is off")]
    level = "high" if mode.rts_on_send else "low"
    return [ok("rs485", f"RS-485 mode is on, RTS {level} while sending")]


def _proposal(
    found: dict[int, rates.Rate],
    fifo: rates.Fifo | None,
    latency_s: float,
    baud: int,
    busy: bool,
) -> Finding:
    if busy:
        return ok("proposal", "no other rates were tried, as a program uses the port")
    best = rates.propose(list(found.values()), fifo, latency_s)
    why = f"made to within {100 * rates.EXACT:.0f} %"
    if fifo is None:
        why += "; the other end must have it too"
    else:
        why += f", and its FIFO bears an interrupt served {latency_s * 1e6:.0f} us late"
    if not best:
        remedy = "mend what is said about the interrupt, or use a port with a larger FIFO"
        return warning("proposal", f"no rate is {why}", remedy)
    if best < baud:
        text = f"{best} baud is the highest rate {why}"
        return warning("proposal", text, f"use {best} baud at both ends")
    return ok("proposal", f"{best} baud is the highest rate {why}")
