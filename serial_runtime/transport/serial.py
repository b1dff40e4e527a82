# SPDX-License-Identifier: MIT
"""Serial lines.

pyserial opens and configures a port (raw, 8N1, no flow control) and takes its lock; then a device
is read and written through its descriptor, for pyserial's cost per call is several times that of
the system calls. Ports named by one of pyserial's URLs (``socket://``, ``rfc2217://``, ``loop://``)
are used through pyserial's own object (``serial_url``). pyserial is imported when the first port is
opened.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import stat
import termios
import time

from serial_runtime.errors import ConfigError, LinkClosed, LinkError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.transport import tty_ioctl
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.tty_ioctl import Rs485

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.transport.serial_url import UrlTransport
    from serial_runtime.transport.uri import SerialEndpoint

# Rates without a termios constant that real adapters and UARTs are run at.
_EXTRA_BAUDS = (14400, 28800, 56000, 76800, 128000, 250000, 256000, 6000000, 8000000, 12000000)
_LOWEST_BAUD = 300
_BITS_PER_BYTE = 10
# What lines are run at, the likeliest first: where a client looks for a board.
LIKELY_BAUDS = (
    115200, 921600, 9600, 57600, 38400, 19200, 230400, 460800, 1000000, 1500000, 2000000, 3000000,
    4800, 2400,
)  # fmt: skip
# Start bit to stop bit a UART tolerates about 4 % in sum, half of it on either side.
_RATE_TOLERANCE = 0.02
# What may still be queued before our bytes: a driver's and an adapter's buffers.
_QUEUED = 8192
_WRITE_BASE_S = 2.0
# Sent by the driver and still in the chip: a short message, for more is never under way then.
_CHIP_BYTES = 128
_DRAIN_S = 0.01

_PTY_MAJORS = range(136, 144)
ABSENT = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOTDIR)
BUSY = (errno.EBUSY, errno.EAGAIN)


class Unopened(LinkError):
    """A port that could not be opened; ``code`` is the errno, 0 when there is none."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def standard_bauds() -> tuple[int, ...]:
    """The rates accepted, ascending."""
    named = (int(one[1:]) for one in dir(termios) if one[0] == "B" and one[1:].isdigit())
    return tuple(sorted({one for one in named if one >= _LOWEST_BAUD}.union(_EXTRA_BAUDS)))


def check_baud(baud: int) -> None:
    """Raise ConfigError unless ``baud`` is a rate known to exist."""
    known = standard_bauds()
    if baud not in known:
        raise ConfigError(
            f"unknown baud rate {baud}; known rates: {', '.join(str(one) for one in known)}"
        )


class HalfDuplex(NamedTuple):
    """How the ends of an RS-485 line take turns."""

    turnaround_s: float = 0.0
    """Silence before sending, so that the other end has time to let go of the line."""

    driver: Rs485 | None = None
    """How the driver switches the transmitter; None: the adapter does it by itself."""


class SerialTransport(FdTransport):
    """An open serial device; takes over ``fd``, which is configured and locked."""

    def __init__(
        self,
        fd: int,
        port: str,
        baud: int,
        on_close: Callable[[], None] | None = None,
        half_duplex: HalfDuplex | None = None,
    ) -> None:
        super().__init__(fd, port, kind="serial", on_close=on_close)
        self.turnaround_s = half_duplex.turnaround_s if half_duplex else None
        self._port = port
        self.home_baud = baud
        self._set_figures(baud)
        self._settings = tty_ioctl.settings_of(fd)

    @property
    def device(self) -> int:
        """The number of the device, `st_rdev`; 0 when it is closed."""
        try:
            return os.fstat(self._fd).st_rdev if not self._closing else 0
        except OSError:
            return 0

    def restore_settings(self) -> bool:
        """Set again what another program has changed, a login for instance; whether it had.

        Any thread; never waits: while somebody writes, nothing is looked at.
        """
        if not self._writing.acquire(blocking=False):
            return False
        try:
            if self._closing or tty_ioctl.settings_of(self._fd) == self._settings:
                return False
            tty_ioctl.set_settings(self._fd, self._settings)
        except OSError:  # it has gone, as the next read will tell
            return False
        finally:
            self._writing.release()
        return True

    def _set_figures(self, baud: int) -> None:
        self.baud = baud
        self.name = f"{self._port} at {baud} baud"
        self.line_rate_Bps = rate_Bps = baud / _BITS_PER_BYTE
        self._write_base_s = _WRITE_BASE_S + _QUEUED / rate_Bps

    def check_rate(self, baud: int) -> None:
        """See ``RatedTransport``."""
        with self._writing:
            self._set_rate(baud)
            self._set_rate(self.baud)

    def switch_rate(self, baud: int) -> None:
        """See ``RatedTransport``."""
        with self._writing:
            self._drain()
            self._set_rate(baud)
            self._set_figures(baud)
            self._settings = tty_ioctl.settings_of(self._fd)

    def _set_rate(self, baud: int) -> None:
        check_baud(baud)
        if self._closing:
            raise LinkClosed(f"{self.name} is closed")
        try:
            tty_ioctl.set_baud(self._fd, baud)
            check_rate(self._port, baud, tty_ioctl.baud_of(self._fd))
        except OSError as error:
            raise self._gone(error) from error
        except LinkError:
            tty_ioctl.set_baud(self._fd, self.baud)
            raise

    def _drain(self) -> None:
        """Wait until what was written has left; not for ever, as ``tcdrain`` would.

        What the chip or the adapter itself still holds is told by no driver, so it gets its time.
        """
        waiting = array.array("i", [1])
        limit_s = time.monotonic() + self._write_base_s
        with contextlib.suppress(OSError):
            while waiting[0] and not self._closing and time.monotonic() < limit_s:
                fcntl.ioctl(self._fd, termios.TIOCOUTQ, waiting)
                time.sleep(_DRAIN_S if waiting[0] else 0.0)
        time.sleep(_DRAIN_S + _CHIP_BYTES * _BITS_PER_BYTE / self.baud)

    def _before_close(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCNXCL)


def open_endpoint(endpoint: SerialEndpoint, timeout_s: float) -> SerialTransport | UrlTransport:
    """Open the serial port of a URI, see ``open_serial``; takes no time."""
    turns = HalfDuplex(driver=Rs485.switched_by_rts(endpoint.rs485 == "high"))
    return open_serial(
        endpoint.device,
        endpoint.baud or LIKELY_BAUDS[0],
        half_duplex=turns if endpoint.rs485 else None,
    )


def open_serial(
    port: str,
    baud: int,
    on_close: Callable[[], None] | None = None,
    half_duplex: HalfDuplex | None = None,
) -> SerialTransport | UrlTransport:
    """Open ``port`` (a device path, or one of pyserial's URLs) at ``baud``, exclusively.

    Raises ConfigError for an unknown rate, LinkError when the port is missing, in use, not
    permitted, no serial device, cannot run at this rate, or lacks the RS-485 mode asked for.
    """
    check_baud(baud)
    if "://" in port:
        if half_duplex is not None:
            raise ConfigError(f"{port}: an RS-485 line must be a device of this machine")
        return _open_url(port, baud, on_close)
    try:
        fd = _open_device(port, baud, half_duplex.driver if half_duplex else None)
    except (OSError, ValueError, termios.error) as error:
        raise _explain(port, error) from error
    return SerialTransport(fd, port, baud, on_close, half_duplex)


def _open_device(port: str, baud: int, rs485: Rs485 | None) -> int:
    import serial

    if not stat.S_ISCHR(os.stat(port).st_mode):
        raise OSError(errno.ENOTTY, "no character device")
    opened = serial.Serial(port, baud, timeout=0, exclusive=True)
    fd = os.dup(opened.fileno())
    try:
        # pyserial's choice makes "nothing there" and "hung up" look the same.
        attributes = termios.tcgetattr(fd)
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
        if not _is_pty(fd):
            # On a pty the flag would outlive a killed owner, for its master keeps the tty.
            fcntl.ioctl(fd, termios.TIOCEXCL)
            # USB adapters hold bytes back for 16 ms otherwise; not every driver has the flag.
            with contextlib.suppress(ValueError, OSError, AttributeError):
                opened.set_low_latency_mode(True)
        check_rate(port, baud, tty_ioctl.baud_of(fd))
        if rs485 is not None:
            _set_rs485(port, fd, rs485)
    except BaseException:
        os.close(fd)
        raise
    finally:
        opened.close()
    return fd


def check_rate(port: str, asked: int, actual: int) -> None:
    """Raise LinkError when the driver runs another rate than asked (0: it does not say)."""
    if actual and abs(actual - asked) > asked * _RATE_TOLERANCE:
        raise LinkError(
            f"{port} cannot run at {asked} baud, the nearest it offers is {actual}; "
            "choose a rate both ends have"
        )


def _set_rs485(port: str, fd: int, asked: Rs485) -> None:
    try:
        found = tty_ioctl.set_rs485(fd, asked)
    except OSError as error:
        raise LinkError(
            f"{port} has no RS-485 mode ({error.strerror}); if the adapter switches "
            'its transmitter by itself, say so (serial.rs485 = "adapter", no rs485 in a URI)'
        ) from error
    if not found.enabled or found.rts_on_send != asked.rts_on_send:
        level = "high" if asked.rts_on_send else "low"
        raise LinkError(f"{port} cannot set RTS {level} while sending; try the other")


def _is_pty(fd: int) -> bool:
    return os.major(os.fstat(fd).st_rdev) in _PTY_MAJORS


def _open_url(url: str, baud: int, on_close: Callable[[], None] | None) -> UrlTransport:
    import serial

    from serial_runtime.transport.serial_url import UrlTransport

    try:
        port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=_WRITE_BASE_S)
    except (OSError, ValueError) as error:
        raise Unopened(f"cannot open {url}: {error}", _code_of(error)) from error
    return UrlTransport(port, url, baud, on_close)


def _explain(port: str, error: Exception) -> Unopened:
    """Say in a sentence why the device did not open, and what to do."""
    code = _code_of(error)
    if code in BUSY:
        text = f"is in use{_holders(port)}; close that program, or choose another port"
    elif code in (errno.EACCES, errno.EPERM):
        text = _not_permitted(port)
    elif code in (errno.ENOENT, errno.ENOTDIR):
        text = "does not exist; is the adapter plugged in, and the name right?"
    elif code in ABSENT:
        text = f"does not answer ({os.strerror(code)}); was it unplugged?"
    elif code == errno.ENOTTY:
        text = "is no serial device"
    else:
        text = f"cannot be opened: {error}"
    return Unopened(f"{port} {text}", code)


def _not_permitted(port: str) -> str:
    """A login makes the device its own, and leaves it so when it ends."""
    from serial_runtime.transport.owners import login_on

    device = os.stat(port)
    if not (who := login_on(device.st_rdev)) and device.st_mode & 0o060 == 0o060:
        return "may not be opened by this user; add the user to the port's group (often dialout)"
    name = os.path.basename(os.path.realpath(port))
    return (
        f"may not be opened by this user{f': {who} offers a login there' * bool(who)}; "
        f"systemctl mask --now serial-getty@{name}, then "
        f"udevadm trigger -c add --name-match={name} gives it back to its group"
    )


def _code_of(error: Exception) -> int:
    """The errno behind an error of opening, 0 when there is none.

    pyserial lets some termios.error pass, and wraps other errors without passing the number on.
    """
    causes = (error, error.__context__)
    codes = (one.args[0] for one in causes if one is not None and one.args)
    return next((one for one in codes if isinstance(one, int)), 0)


def _holders(port: str) -> str:
    """Name the processes that have the device open, as far as this user may see them."""
    from serial_runtime.transport.owners import bridge_place, owners

    names = []
    for owner in owners(port):
        place = bridge_place(owner.pid)
        hint = f", a bridge: connect to ERPC://{place} instead" if place else ""
        names.append(f"{owner.name} (pid {owner.pid}{hint})")
    return f" by {', '.join(names)}" if names else " by another process"
