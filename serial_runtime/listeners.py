# SPDX-License-Identifier: MIT
"""Every way in that a profile asks for: what the daemon opens, serves and closes.

What is not asked for is not imported.
"""

from __future__ import annotations

import contextlib
import sys

from serial_runtime.errors import LinkClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.config import Profile, Serial
    from serial_runtime.rpc.server import Server
    from serial_runtime.transport.serial import HalfDuplex, SerialListener
    from serial_runtime.transport.tcp import TcpListener


# What a role lets a client do.
_ROLES = {
    "view": "watch",
    "operate": "start, stop and force",
    "program": "stop, force and reprogram",
}


class Listeners:
    """The open listeners of one runtime. The main thread's."""

    def __init__(self, profile: Profile, serial_fd: int = -1, tcp_port: int = 0) -> None:
        """`serial_fd`, `tcp_port`: of the process before this one, see `left`; -1 and 0: none.

        Raises LinkError, ConfigError; then none is open.
        """
        self.uris: list[str] = []
        """Under which the runtime is reached."""
        self._serial: SerialListener | None = None
        self._tcp: TcpListener | None = None
        try:
            if profile.serial.port:
                self._open_serial(profile.serial, serial_fd)
            if profile.tcp.listen is not None:
                host, port = profile.tcp.listen
                self._open_tcp(host, port or tcp_port, profile.policy.tcp)
        except BaseException:
            self.close()
            raise

    def serve(self, server: Server) -> None:
        """Let clients in from now on."""
        if self._serial is not None:
            server.listen(self._serial, parallel=False)
        if self._tcp is not None:
            server.listen(self._tcp, parallel=True)

    def close(self) -> None:
        """Close all; idempotent. What is served the server closes."""
        for listener in (self._serial, self._tcp):
            if listener is not None:
                listener.close()

    def left(self) -> tuple[int, int]:
        """What the next process takes over: the serial descriptor and the TCP port.

        A port that the kernel chose is known to clients by now.
        """
        serial_fd = -1
        if self._serial is not None:
            with contextlib.suppress(LinkClosed):
                serial_fd = self._serial.fd
        return serial_fd, self._tcp.port if self._tcp else 0

    def _open_serial(self, serial: Serial, fd: int) -> None:
        from serial_runtime.transport.serial import SerialListener

        device = serial.port

        def on_wait(reason: str) -> None:
            text = f"waiting for {device}: it{reason.removeprefix(device)}"
            print(f"serial-runtime: {text}", file=sys.stderr, flush=True)

        self._serial = SerialListener(
            device, serial.baud, fd if fd >= 0 else None, on_wait, _half_duplex(serial)
        )
        self.uris.append(f"ERPC://{device}:{serial.baud}")

    def _open_tcp(self, host: str, port: int, role: str) -> None:
        from serial_runtime.transport.tcp import TcpListener, is_local

        self._tcp = TcpListener(host, port)
        self.uris.append(f"ERPC://{self._tcp.name}")
        if not is_local(host):
            print(
                f"serial-runtime: warning: everybody who reaches {self._tcp.name} over the network "
                f"can {_ROLES[role]} this PLC, without a password and unencrypted (profile keys "
                "tcp.listen, policy.tcp)",
                file=sys.stderr,
                flush=True,
            )


def _half_duplex(serial: Serial) -> HalfDuplex | None:
    """How the ends of the line take turns, None when they need not."""
    from serial_runtime.transport.serial import HalfDuplex
    from serial_runtime.transport.tty_ioctl import Rs485

    if serial.rs485 == "off":
        return None
    by_driver = serial.rs485 == "driver"
    driver = Rs485.switched_by_rts(serial.rs485_rts_high) if by_driver else None
    return HalfDuplex(serial.rs485_turnaround_ms / 1000, driver)
