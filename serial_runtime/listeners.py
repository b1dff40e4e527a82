# SPDX-License-Identifier: MIT
"""Every way in that a profile asks for: what the daemon opens, serves and closes.

What is not asked for is not imported.
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial

from serial_runtime.errors import ConfigError, LinkClosed
from serial_runtime.plc.log import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.announce import Announcement
    from serial_runtime.config import ListenAddress, Profile, Serial, Tls
    from serial_runtime.connectors.pyro_board import PyroListener
    from serial_runtime.connectors.wamp_board import WampListener
    from serial_runtime.rpc.server import Server
    from serial_runtime.transport.interface import Listener
    from serial_runtime.transport.serial import HalfDuplex
    from serial_runtime.transport.serial_listener import SerialListener
    from serial_runtime.transport.tcp import TcpListener


# What a role lets a client do.
_DEEDS = {
    "view": "watch this PLC",
    "operate": "start, stop and force this PLC",
    "program": "stop, force and reprogram this PLC",
}


class Listeners:
    """The open listeners of one runtime. The main thread's."""

    def __init__(
        self,
        profile: Profile,
        serial_fd: int = -1,
        tcp_port: int = 0,
        tls_port: int = 0,
        pyro_port: int = 0,
    ) -> None:
        """`serial_fd` and the ports: of the process before this one, see `left`; -1 and 0: none.

        Raises LinkError, ConfigError; then none is open.
        """
        self.uris: list[str] = []
        """Under which the runtime is reached."""
        self._serial: SerialListener | None = None
        self._tcp: TcpListener | None = None
        self._tls: TcpListener | None = None
        self._announcements: list[Announcement] = []
        self._pyro: PyroListener | None = None
        self._wamp: WampListener | None = None
        self._profile = profile
        try:
            if profile.serial.port:
                self._open_serial(profile.serial, serial_fd)
            if profile.tcp.listen is not None:
                host, port = profile.tcp.listen
                self._open_tcp(host, port or tcp_port, profile.policy.tcp)
            if profile.tls.listen is not None:
                self._open_tls(profile.tls, tls_port)
            if profile.pyro.listen is not None:
                host, port = profile.pyro.listen
                self._open_pyro(host, port or pyro_port, profile.policy.pyro)
        except BaseException:
            self.close()
            raise

    def serve(self, server: Server) -> None:
        """Let clients in from now on. Raises LinkError, ConfigError, StoreError: `close` it."""
        if self._serial is not None:
            server.listen(self._serial, parallel=False)
        if self._tcp is not None:
            server.listen(self._tcp, parallel=True)
        if self._profile.tls.listen is not None:
            server.listen(self._serve_tls(self._profile.tls.listen, server), parallel=True)
        if self._pyro is not None:
            self._pyro.log = partial(server.plc.log, WARNING)
            server.listen(self._pyro, parallel=True)
        if self._profile.wamp.router:
            self._wamp = self._open_wamp(server.about.board_id)
            server.listen(self._wamp, parallel=True)
            self._wamp.start(server.plc.log)
        self._announce(server)

    def connections(self) -> list[tuple[str, str]]:
        """Of each way in that depends on others, and of a line that they disturb: its URI and how
        that stands."""
        found = [(self._wamp.uri, self._wamp.state)] if self._wamp is not None else []
        if self._serial is not None:
            serial = self._profile.serial
            uri = f"ERPC://{serial.port}:{serial.baud}"
            found += [(uri, trouble) for trouble in self._serial.troubles]
        return found

    def look(self, log: Callable[[int, str], None]) -> None:
        """Every now and then: log what others do to the serial line."""
        if self._serial is not None:
            for text in self._serial.look():
                log(WARNING, text)
                print(f"serial-runtime: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close all; idempotent. What is served the server closes."""
        for announcement in self._announcements:
            announcement.close()
        for listener in (self._serial, self._tcp, self._tls, self._pyro, self._wamp):
            if listener is not None:
                listener.close()

    def left(self) -> tuple[int, ...]:
        """What the next process takes over, as `__init__` has it.

        A port that the kernel chose is known to clients by now.
        """
        serial_fd = -1
        if self._serial is not None:
            with contextlib.suppress(LinkClosed):
                serial_fd = self._serial.fd
        ports = (one.port if one else 0 for one in (self._tcp, self._tls, self._pyro))
        return serial_fd, *ports

    def _open_serial(self, serial: Serial, fd: int) -> None:
        from serial_runtime.transport.serial_listener import SerialListener

        device = serial.port

        def on_wait(reason: str) -> None:
            text = f"waiting for {device}: it{reason.removeprefix(device)}"
            print(f"serial-runtime: {text}", file=sys.stderr, flush=True)

        self._serial = SerialListener(
            device, serial.baud, fd if fd >= 0 else None, on_wait, _half_duplex(serial)
        )
        self.uris.append(f"ERPC://{device}:{serial.baud}")

    def _open_tcp(self, host: str, port: int, role: str) -> None:
        from serial_runtime.transport.tcp import TcpListener

        self._tcp = TcpListener(host, port)
        self.uris.append(f"ERPC://{self._tcp.name}")
        _warn_of_address(host, self._tcp.name, "tcp", role)

    def _open_tls(self, tls: Tls, port: int) -> None:
        from serial_runtime.transport.tcp import TcpListener

        assert tls.listen is not None
        if tls.by == "runtime":
            self._tls = TcpListener(tls.listen.host, tls.listen.port or port)
        elif not tls.listen.port:
            raise ConfigError("tls.listen: stunnel needs a port, 4000 for instance")

    def _serve_tls(self, address: ListenAddress, server: Server) -> Listener:
        from serial_runtime.plc.identity import load_all

        folder = self._profile.store.dir
        secrets, log = partial(load_all, folder), partial(server.plc.log, WARNING)
        self.uris.append(
            f"ERPCS://{self._tls.name if self._tls else address}#{server.about.board_id}"
        )
        if self._tls is not None:
            from serial_runtime.transport.tls import TlsListener

            return TlsListener(self._tls, secrets, log)
        from serial_runtime.transport.stunnel import StunnelListener

        return StunnelListener(f"{folder}/stunnel", *address, secrets, log)

    def _announce(self, server: Server) -> None:
        """Let the IDEs of the network find what the profile says."""
        tcp, tls = self._profile.tcp, self._profile.tls
        if not (tcp.announce or tls.announce):
            return
        from serial_runtime.announce import Announcement, ipv4_addresses

        def announce(host: str, port: int, name: str, protocol: str) -> None:
            addresses, log = partial(ipv4_addresses, host), partial(server.plc.log, WARNING)
            self._announcements.append(Announcement(addresses, port, name, protocol, log))

        name = server.about.board_id
        if tls.announce and tls.listen is not None:
            host, port = tls.listen
            announce(host, self._tls.port if self._tls else port, name, "ERPCS")
            name += "-unencrypted"  # that of ERPCS is the identity, and no two are called alike
        if tcp.announce and tcp.listen is not None and self._tcp is not None:
            announce(tcp.listen.host, self._tcp.port, name, "ERPC")

    def _open_wamp(self, board: str) -> WampListener:
        from serial_runtime.plc.identity import load_all
        from serial_runtime.transport.optional import need
        from serial_runtime.transport.uri import WampEndpoint, parse

        wamp, folder = self._profile.wamp, self._profile.store.dir
        wrong = f"wamp.router = {wamp.router!r}: expected WAMP[S]://host[:port][/path]#realm"
        uri = f"{wamp.router}#{board}"
        try:
            endpoint = parse(uri)
        except ConfigError as error:
            raise ConfigError(wrong) from error
        if not isinstance(endpoint, WampEndpoint):
            raise ConfigError(wrong)
        need("autobahn", "wamp", "the profile's [wamp]")
        from serial_runtime.connectors.wamp_board import WampListener
        from serial_runtime.connectors.wamp_session import Router

        self.uris.append(uri)
        router = Router.of(endpoint, wamp.ca)
        return WampListener(uri, router, board, lambda: load_all(folder).get(board, b""))

    def _open_pyro(self, host: str, port: int, role: str) -> None:
        from serial_runtime.transport.optional import need

        need("msgpack", "pyro", "[pyro]")
        need("Pyro5", "pyro", "[pyro]")
        from serial_runtime.connectors.pyro_board import PyroListener

        self._pyro = PyroListener(host, port)
        self.uris.append(f"PYRO://{self._pyro.name}")
        _warn_of_address(host, self._pyro.name, "pyro", role)


def _warn_of_address(host: str, name: str, way: str, role: str) -> None:
    from serial_runtime.transport.tcp import exposure

    if text := exposure(host, name, _DEEDS[role]):
        keys = f"(profile keys {way}.listen, policy.{way})"
        print(f"serial-runtime: {text} {keys}", file=sys.stderr, flush=True)


def _half_duplex(serial: Serial) -> HalfDuplex | None:
    """How the ends of the line take turns, None when they need not."""
    from serial_runtime.transport.serial import HalfDuplex
    from serial_runtime.transport.tty_ioctl import Rs485

    if serial.rs485 == "off":
        return None
    by_driver = serial.rs485 == "driver"
    driver = Rs485.switched_by_rts(serial.rs485_rts_high) if by_driver else None
    return HalfDuplex(serial.rs485_turnaround_ms / 1000, driver)
