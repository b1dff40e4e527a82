# SPDX-License-Identifier: MIT
"""What `serial-runtime bridge` runs: the server, with a seat for each connection.

When the board was asked once and the listener is open, one line is printed to standard output:
``READY`` and the URI under which clients reach the board. Ends with SIGTERM or SIGINT.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import serial_runtime
from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.seat import Seat
from serial_runtime.bridge.shared_client import RECONNECT_S, TIMEOUT_S
from serial_runtime.bridge.uploads import QUOTA_BYTES
from serial_runtime.errors import ConfigError, LinkError, LinkTimeout, SerialRuntimeError
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.server import MAX_CONNECTIONS, Server
from serial_runtime.transport.interface import Transport
from serial_runtime.transport.tcp import TcpListener, exposure

_ENDS = (signal.SIGTERM, signal.SIGINT)
_REMEDY = (
    "Without --listen only this computer can; for another one use an SSH tunnel "
    "(ssh -L 3000:127.0.0.1:3000 ...)"
)


class BridgeServer(Server):
    """Serves the board on TCP. Each connection has a server of its own, in front of its seat."""

    def __init__(self, plc: RemotePLC) -> None:
        self._remote = plc
        sessions = ServerSessions(int.from_bytes(os.urandom(4), "little"))
        super().__init__(Seat(plc, "the bridge"), sessions, self._about())  # type: ignore[arg-type]
        self._seats: set[Server] = set()
        self._seats_lock = threading.Lock()

    def serve(self, transport: Transport) -> None:
        """See :class:`Server`."""
        seat = Seat(self._remote, transport.name)
        server = Server(seat, self.sessions, self._about())  # type: ignore[arg-type]
        with self._seats_lock:
            if self._closing.is_set() or len(self._seats) >= MAX_CONNECTIONS:
                transport.close()
                return
            self._seats.add(server)
        try:
            server.serve(transport)
        finally:
            with self._seats_lock:
                self._seats.discard(server)
            if not self._closing.is_set():
                seat.close()

    def close(self) -> None:
        """See :class:`Server`."""
        super().close()
        with self._seats_lock:
            servers = list(self._seats)
        for server in servers:
            server.close()

    def _about(self) -> About:
        found = self._remote.capabilities  # of the board that was there last
        return About(
            found.id or "board",
            found.runtime or serial_runtime.__version__,
            found.backend or "unknown",
            min(found.max_program, QUOTA_BYTES),
            found.machine or os.uname().machine,
            io_drivers=self._remote.io_drivers,
            io_points=self._remote.io_points,
        )


def run(uri: str, host: str, port: int) -> int:
    """Bridge until SIGTERM or SIGINT; returns the exit status. Main thread.

    Raises what keeps it from starting: LinkError when the port cannot be opened, SerialRuntimeError
    when the address cannot be listened on, ConfigError. A board that does not answer yet is waited
    for.
    """
    # Before any thread is made, so that all of them leave the signals to `sigwait`.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)

    def open_client() -> Client:
        return connect(
            uri, timeout_s=TIMEOUT_S, reconnect_s=RECONNECT_S, on_trouble=_say, bridged=True
        )

    plc = RemotePLC(open_client, _say)
    try:
        _reach(plc)
        # After the line: of two bridges the second learns where the first one listens.
        try:
            listener = TcpListener(host, port)
        except LinkError as error:  # not the link to the board
            raise SerialRuntimeError(str(error)) from error
        server = BridgeServer(plc)
        try:
            if text := exposure(host, listener.name, "stop, force and reprogram this PLC"):
                _say(f"{text}. {_REMEDY}")
            plc.start()
            server.listen(listener, parallel=True)
            print("READY", f"ERPC://{listener.name}", flush=True)
            signal.sigwait(_ENDS)
        finally:
            server.close()
            listener.close()
    finally:
        plc.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return 0


def _reach(plc: RemotePLC) -> None:
    try:
        plc.mirror.poll()
    except LinkTimeout as error:
        _say(f"{error} The bridge waits for it")
    except (LinkError, ConfigError):
        raise
    except SerialRuntimeError as error:
        _say(str(error))


def _say(text: str) -> None:
    print(f"serial-runtime: {text}", file=sys.stderr, flush=True)
