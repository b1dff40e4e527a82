# SPDX-License-Identifier: MIT
"""Arithmetic of baud rates: what a UART makes of one, and how late its interrupt may be served."""

from __future__ import annotations

from serial_runtime.named_tuple import NamedTuple
from serial_runtime.transport.tty_ioctl import Uart

BITS_PER_BYTE = 10
# Candidates for a proposal: what adapters and boards usually share.
USUAL = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1000000, 1500000, 2000000)
USUAL_FAST = (*USUAL, 3000000, 4000000)
# From start bit to stop bit a receiver bears about 4 % in sum, half of it for either end.
BEARABLE = 0.02
# Half of that: the line has its own share.
EXACT = 0.01
# How late an interrupt may be when nothing of higher priority runs. Small boards with PREEMPT_RT
# show maxima of 50 to 75 us under load; twice that.
INTERRUPT_S = 150e-6

# Drivers whose chip divides its clock by 16 and a whole number; others have finer means, so for
# them counts what they say.
_WHOLE_DIVISOR = ("serial8250", "serial", "of_serial", "dw-apb-uart", "bcm2835-aux-uart")


class Rate(NamedTuple):
    """A rate and what the chip makes of it."""

    asked: int  # baud
    actual: float  # baud

    @property
    def error(self) -> float:
        """Relative, positive when too fast."""
        return self.actual / self.asked - 1.0


def made_of(asked: int, told: int, uart: Uart, driver: str) -> Rate:
    """What becomes of a rate. `told`: what the driver says after it was set.

    8250 drivers tell what they were asked, as long as it is in range; so the divisor is worked
    out here.
    """
    if driver in _WHOLE_DIVISOR and uart.baud_base and (not told or told == asked):
        divisor = max(1, (2 * uart.baud_base + asked) // (2 * asked))
        return Rate(asked, uart.baud_base / divisor)
    return Rate(asked, told or asked)


class Fifo(NamedTuple):
    """The receive FIFO of a UART."""

    depth: int  # bytes
    trigger: int  # bytes in it when the interrupt is asked for

    @property
    def room(self) -> int:
        """Bytes that still fit once the interrupt is asked for; one is in the shift register."""
        return max(1, self.depth - self.trigger)

    def room_s(self, baud: float) -> float:
        """How late the interrupt may be served before a byte is lost."""
        return self.room * BITS_PER_BYTE / baud


def propose(rates: list[Rate], fifo: Fifo | None, latency_s: float) -> int:
    """The highest rate that is made exactly and leaves the interrupt its time; 0: none does.

    `fifo`: None where the bytes wait elsewhere (USB adapters have buffers of their own).
    """
    fits = [
        rate.asked
        for rate in rates
        if abs(rate.error) <= EXACT and (fifo is None or fifo.room_s(rate.actual) > latency_s)
    ]
    return max(fits, default=0)
