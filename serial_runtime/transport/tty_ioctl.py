# SPDX-License-Identifier: MIT
"""What Linux tells of a serial line beyond termios, and how it is set.

Numbers from the kernel's asm-generic/ioctls.h, which x86, Arm and RISC-V use; structures from
linux/serial.h and asm-generic/termbits.h. `struct` packs with the machine's own sizes and
alignment, so the layouts are right on 32 and on 64 bits. Every function takes the system call as
`ioctl`, raises OSError as it does (ENOTTY: this driver has no such thing, as every pty says), and
may be called from any thread.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Callable

from serial_runtime.named_tuple import NamedTuple

TCGETS2 = 0x802C542A  # _IOR('T', 0x2A, struct termios2), 44 bytes
TCSETS2 = 0x402C542B  # _IOW('T', 0x2B, struct termios2)
TIOCGSERIAL = 0x541E
TIOCGRS485 = 0x542E
TIOCSRS485 = 0x542F
TIOCGICOUNT = 0x545D

ASYNC_LOW_LATENCY = 1 << 13  # linux/tty_flags.h

Ioctl = Callable[[int, int, bytearray], object]

# c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc[19], c_ispeed, c_ospeed
_TERMIOS2 = struct.Struct("=IIIIB19sII")
_BOTHER = 0o010000  # the rate is in c_ospeed, not a code in c_cflag
_RATE_CODES = 0o010017 | 0o010017 << 16  # CBAUD, CIBAUD

# type, line, port, irq, flags, xmit_fifo_size, custom_divisor, baud_base, close_delay, io_type,
# reserved_char, hub6, closing_wait, closing_wait2, iomem_base, iomem_reg_shift, port_high,
# iomap_base
_SERIAL_STRUCT = struct.Struct("@iiIiiiiiHccihhPHIL")
# cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf_overrun, reserved[9]
_COUNTERS = struct.Struct("@20i")
# flags, delay_rts_before_send, delay_rts_after_send, padding[5]
_RS485 = struct.Struct("@III20x")
_ENABLED, _RTS_ON_SEND, _RTS_AFTER_SEND = 1 << 0, 1 << 1, 1 << 2


class Uart(NamedTuple):
    """Of TIOCGSERIAL: what the driver knows of the chip."""

    type: int  # PORT_... of linux/serial_core.h, 0 unknown
    irq: int
    flags: int  # ASYNC_...
    fifo: int  # bytes of the transmit FIFO, 0 unknown
    baud_base: int  # the clock divided by 16, 0 unknown


class DriverCounters(NamedTuple):
    """Of TIOCGICOUNT: events since the driver was loaded, modulo 2**32."""

    rx: int  # bytes
    tx: int
    frame: int  # bytes without a stop bit: noise, or another rate
    overrun: int  # bytes lost in the chip: nobody emptied its FIFO in time
    parity: int
    brk: int  # breaks
    buf_overrun: int  # bytes lost in the kernel: nobody read the port


class Rs485(NamedTuple):
    """Of TIOCGRS485: how the driver switches the transmitter of an RS-485 line."""

    enabled: bool
    rts_on_send: bool  # RTS is high while sending
    rts_after_send: bool = False
    delay_before_ms: int = 0
    delay_after_ms: int = 0

    @classmethod
    def switched_by_rts(cls, high: bool) -> Rs485:
        """RTS at this level while sending, at the other one else."""
        return cls(True, rts_on_send=high, rts_after_send=not high)


def baud_of(fd: int, ioctl: Ioctl = fcntl.ioctl) -> int:
    """The rate the driver says it runs at, 0 when it does not say."""
    state = bytearray(_TERMIOS2.size)
    try:
        ioctl(fd, TCGETS2, state)
    except OSError:
        return 0
    return int(_TERMIOS2.unpack(state)[7])


def set_baud(fd: int, baud: int, ioctl: Ioctl = fcntl.ioctl) -> None:
    """Set any rate, at once: what is still to be sent should have been drained."""
    state = bytearray(_TERMIOS2.size)
    ioctl(fd, TCGETS2, state)
    iflag, oflag, cflag, lflag, line, characters, _, _ = _TERMIOS2.unpack(state)
    cflag = cflag & ~_RATE_CODES | _BOTHER
    _TERMIOS2.pack_into(state, 0, iflag, oflag, cflag, lflag, line, characters, baud, baud)
    ioctl(fd, TCSETS2, state)


def settings_of(fd: int, ioctl: Ioctl = fcntl.ioctl) -> bytes:
    """All of them, termios and rates; empty when the driver does not say."""
    state = bytearray(_TERMIOS2.size)
    try:
        ioctl(fd, TCGETS2, state)
    except OSError:
        return b""
    return bytes(state)


def set_settings(fd: int, settings: bytes, ioctl: Ioctl = fcntl.ioctl) -> None:
    """Set them as `settings_of` had them."""
    ioctl(fd, TCSETS2, bytearray(settings))


def uart_of(fd: int, ioctl: Ioctl = fcntl.ioctl) -> Uart:
    """The chip behind a port."""
    state = bytearray(_SERIAL_STRUCT.size)
    ioctl(fd, TIOCGSERIAL, state)
    kind, _, _, irq, flags, fifo, _, baud_base, *_ = _SERIAL_STRUCT.unpack(state)
    return Uart(kind, irq, flags, fifo, baud_base)


def counters_of(fd: int, ioctl: Ioctl = fcntl.ioctl) -> DriverCounters:
    """What has happened on the line."""
    state = bytearray(_COUNTERS.size)
    ioctl(fd, TIOCGICOUNT, state)
    counts = (count & 0xFFFFFFFF for count in _COUNTERS.unpack(state))
    return DriverCounters(*list(counts)[4:11])


def rs485_of(fd: int, ioctl: Ioctl = fcntl.ioctl) -> Rs485:
    """The RS-485 mode."""
    state = bytearray(_RS485.size)
    ioctl(fd, TIOCGRS485, state)
    return _decode_rs485(state)


def set_rs485(fd: int, mode: Rs485, ioctl: Ioctl = fcntl.ioctl) -> Rs485:
    """Set the RS-485 mode; returns what the driver made of it, which may be less."""
    flags = _ENABLED * mode.enabled
    flags |= _RTS_ON_SEND * mode.rts_on_send | _RTS_AFTER_SEND * mode.rts_after_send
    state = bytearray(_RS485.pack(flags, mode.delay_before_ms, mode.delay_after_ms))
    ioctl(fd, TIOCSRS485, state)
    return _decode_rs485(state)


def _decode_rs485(state: bytearray) -> Rs485:
    flags, before_ms, after_ms = _RS485.unpack(state)
    return Rs485(
        bool(flags & _ENABLED),
        bool(flags & _RTS_ON_SEND),
        bool(flags & _RTS_AFTER_SEND),
        before_ms,
        after_ms,
    )
