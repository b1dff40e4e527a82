# SPDX-License-Identifier: MIT
"""Findings about the driver and the chip."""

from __future__ import annotations

import struct

import pytest

from serial_runtime.doctor import Finding, Level
from serial_runtime.doctor.port import Question, check_port

FAST = 921600


def check(machine, question: Question) -> dict[str, Finding]:
    return {one.check: one for one in check_port(machine, question)}


@pytest.fixture
def fast(machine):
    """A UART that makes 921600 baud and its whole parts."""
    machine.uart.highest = machine.uart.baud_base = FAST
    return machine


def test_the_chip_and_its_driver(machine) -> None:
    text = check(machine, Question("/dev/ttyS1", 9600))["driver"].text
    assert text == (
        "ttyS1: a UART, driver of_serial, type 4 of linux/serial_core.h, FIFO of 16 bytes, "
        "asks for service at 8"
    )


def test_the_driver_below_the_devices_of_the_core(machine) -> None:
    machine.write("/sys/devices/soc/serial1/serial1:0/serial1:0.0/x", "")
    machine.link("/sys/devices/soc/serial1/serial1:0/driver", "/sys/bus/serial-base/drivers/ctrl")
    inner = "/sys/devices/soc/serial1/serial1:0/serial1:0.0"
    machine.link(f"{inner}/driver", "/sys/bus/serial-base/drivers/port")
    machine.link("/sys/class/tty/ttyS1/device", inner)
    assert "driver of_serial" in check(machine, Question("/dev/ttyS1", 9600))["driver"].text


def test_the_rate_is_worked_out_where_the_driver_repeats_what_it_was_asked(fast) -> None:
    found = check(fast, Question("/dev/ttyS1", 500000))["baud"]
    assert found.level == Level.PROBLEM
    assert "makes 460800, -7.84 %" in found.text


def test_other_drivers_are_believed(fast) -> None:
    fast.link("/sys/devices/soc/serial1/driver", "/sys/bus/amba/drivers/uart-pl011")
    assert check(fast, Question("/dev/ttyS1", 500000))["baud"].level == Level.OK


def test_a_rate_beyond_the_port(machine) -> None:
    assert check(machine, Question("/dev/ttyS1", FAST))["baud"].level == Level.PROBLEM


def test_the_rate_is_restored(machine) -> None:
    check(machine, Question("/dev/ttyS1", 115200))
    assert len(machine.uart.bauds) > 5
    assert machine.uart.baud == 9600


def test_the_proposal_leaves_the_interrupt_its_time(fast) -> None:
    # 8 bytes: 174 us at 460800 baud, 87 us at 921600
    assert check(fast, Question("/dev/ttyS1", 115200))["proposal"].text.startswith("460800 baud")
    fast.write("/sys/class/tty/ttyS1/rx_trig_bytes", "1\n")
    assert check(fast, Question("/dev/ttyS1", 115200))["proposal"].text.startswith("921600 baud")


def test_a_rate_above_the_proposal(fast) -> None:
    found = check(fast, Question("/dev/ttyS1", FAST))["proposal"]
    assert found.level == Level.WARNING
    assert found.remedy == "use 460800 baud at both ends"


def test_errors_the_driver_counted(machine) -> None:
    assert check(machine, Question("/dev/ttyS1", 9600))["errors"].level == Level.OK
    machine.uart.counts = [0, 0, 0, 0, 5000, 0, 3, 17, 2, 1, 9]
    texts = [
        f.text for f in check_port(machine, Question("/dev/ttyS1", 9600)) if f.check == "errors"
    ]
    assert [text.split(",")[0] for text in texts] == [
        "17 times bytes were lost in the UART",
        "9 bytes were lost in the kernel",
        "3 bytes had no stop bit",
    ]
    machine.uart.counts = []
    assert "no counters" in check(machine, Question("/dev/ttyS1", 9600))["errors"].text


def test_an_adapter_with_a_latency_timer(machine) -> None:
    machine.write("/dev/ttyUSB0", "")
    timer = "/sys/bus/usb-serial/devices/ttyUSB0/latency_timer"
    machine.write(timer, "16\n")
    found = check(machine, Question("/dev/ttyUSB0", 115200))
    assert found["latency"].level == Level.WARNING
    assert found["latency"].remedy.startswith(f"echo 1 | sudo tee {timer};")
    assert "a USB adapter" in found["driver"].text
    assert "interrupt" not in found
    machine.write(timer, "1\n")
    assert check(machine, Question("/dev/ttyUSB0", 115200))["latency"].level == Level.OK


def test_flow_control_is_told(machine) -> None:
    machine.uart.iflag, machine.uart.cflag = 0o2000, 0o20000000000
    found = check(machine, Question("/dev/ttyS1", 9600))["flow"]
    assert found.text.startswith("XON/XOFF and RTS/CTS is set")


# The interrupt's thread against the scan cycle; at 115200 baud the FIFO bears 694 us.


def test_no_threads_for_interrupts(machine) -> None:
    found = check(machine, Question("/dev/ttyS1", 115200, 80))["interrupt"]
    assert found.level == Level.OK
    assert "no thread" in found.text


def test_its_thread_is_above_the_cycle(machine) -> None:
    machine.process(44, "irq/34-ttyS1", priority=90)
    found = check(machine, Question("/dev/ttyS1", 115200, 80))["interrupt"]
    assert found.level == Level.OK
    assert "served at once" in found.text


def test_its_thread_is_below_the_cycle(machine) -> None:
    machine.process(44, "irq/34-ttyS1", priority=50)
    machine.process(45, "irq/340-eth0", priority=50)
    found = check(machine, Question("/dev/ttyS1", 115200, 80))["interrupt"]
    assert found.level == Level.WARNING
    assert "694 us" in found.text
    assert found.remedy.startswith("sudo chrt -f -p 81 44 ")
    short = check(machine, Question("/dev/ttyS1", 115200, 80, execution_s=400e-6))
    assert short["interrupt"].level == Level.OK
    assert short["proposal"].text.startswith("115200 baud")
    long = check(machine, Question("/dev/ttyS1", 115200, 80, execution_s=2000e-6))
    assert long["interrupt"].level == Level.PROBLEM
    assert "about 24 bytes arrive where 8 fit" in long["interrupt"].text
    assert long["proposal"].remedy == "use 19200 baud at both ends"


def test_its_thread_runs_elsewhere(machine) -> None:
    machine.process(44, "irq/34-ttyS1", priority=50)
    machine.write("/proc/irq/34/smp_affinity_list", "0,2-3\n")
    assert check(machine, Question("/dev/ttyS1", 115200, 80, 1))["interrupt"].level == Level.OK
    assert check(machine, Question("/dev/ttyS1", 115200, 80, 3))["interrupt"].level != Level.OK


@pytest.mark.parametrize(
    ("flags", "text"), [(0, "it is off"), (3, "RTS high while"), (5, "RTS low while")]
)
def test_rs485(machine, flags: int, text: str) -> None:
    machine.uart.rs485 = struct.pack("@I", flags)
    assert text in check(machine, Question("/dev/ttyS1", 9600))["rs485"].text
