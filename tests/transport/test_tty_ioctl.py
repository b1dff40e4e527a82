# SPDX-License-Identifier: MIT
"""Layouts of the kernel's structures, and the rate of a real tty."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator

import pytest

from serial_runtime.transport import tty_ioctl
from serial_runtime.transport.tty_ioctl import DriverCounters, Rs485, Uart


class Driver:
    """Answers one request with the bytes of a structure."""

    def __init__(self, request: int, answer: bytes) -> None:
        self.request, self.answer = request, answer
        self.size = 0
        self.given = b""

    def __call__(self, fd: int, request: int, state: bytearray) -> None:
        if request != self.request:
            raise OSError(errno.ENOTTY, "no such thing")
        self.size, self.given = len(state), bytes(state)
        state[: len(self.answer)] = self.answer


@pytest.fixture
def pty() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_any_rate_is_set_and_read_back_from_either_end(pty: tuple[int, int]) -> None:
    master, slave = pty
    for baud in (9600, 123456, 4000000):
        tty_ioctl.set_baud(slave, baud)
        assert tty_ioctl.baud_of(slave) == tty_ioctl.baud_of(master) == baud


def test_the_chip() -> None:
    # linux/serial.h: ten words up to hub6, then two halves, and pointers
    driver = Driver(0x541E, struct.pack("@iiIiiiii", 4, 1, 0x2F8, 34, 0x2000, 16, 0, 115200))
    assert tty_ioctl.uart_of(5, driver) == Uart(4, 34, tty_ioctl.ASYNC_LOW_LATENCY, 16, 115200)
    assert driver.size == (72 if struct.calcsize("P") == 8 else 60)


def test_the_counters() -> None:
    driver = Driver(0x545D, struct.pack("@11i", 0, 0, 0, 0, -1, 6, 7, 8, 9, 10, 11))
    found = tty_ioctl.counters_of(5, driver)
    assert found == DriverCounters(
        rx=2**32 - 1, tx=6, frame=7, overrun=8, parity=9, brk=10, buf_overrun=11
    )
    assert driver.size == 80


def test_the_rs485_mode() -> None:
    driver = Driver(0x542F, b"")
    mode = Rs485(True, rts_on_send=False, rts_after_send=True, delay_before_ms=1, delay_after_ms=2)
    assert tty_ioctl.set_rs485(5, mode, driver) == mode
    assert driver.given == struct.pack("@8I", 0b101, 1, 2, 0, 0, 0, 0, 0)
    assert tty_ioctl.rs485_of(5, Driver(0x542E, struct.pack("@I", 2))) == Rs485(False, True)


@pytest.mark.parametrize("ask", [tty_ioctl.uart_of, tty_ioctl.counters_of, tty_ioctl.rs485_of])
def test_a_pty_has_none_of_it(pty: tuple[int, int], ask: Callable[[int], object]) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
        ask(pty[1])


def test_what_is_no_tty_has_no_rate() -> None:
    reader, writer = os.pipe()
    assert tty_ioctl.baud_of(reader) == 0
    os.close(reader)
    os.close(writer)
