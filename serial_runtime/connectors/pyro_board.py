# SPDX-License-Identifier: MIT
"""The board's Pyro daemon.

The object ``PLCObject`` has the methods of the IDE's service (`ide_procedures`). The object
``serial_runtime`` has four that carry the tunnels of our own client, which is then an eRPC client
like on any other link:

===============  ==================================================================
``open``         a new channel; returns its name
``read``         (channel): bytes for the client as soon as there are any, else
                 none after POLL_S
``write``        (channel, bytes): returns when there was room for them
``close``        (channel)
===============  ==================================================================

One thread serves one connection, so a client's calls are executed one at a time, as it sends them;
those of several clients meet at the worker like all others. Pyro has no passwords: who reaches the
port may do what the policy leaves to such a link.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from Pyro5.api import Daemon, expose
from Pyro5.protocol import MSG_CONNECT
from Pyro5.socketutil import SocketConnection

from serial_runtime.connectors.ide_procedures import PROCEDURES, call_natively
from serial_runtime.connectors.pyro_wire import LINK_OBJECT, PLC_OBJECT, ScreenedSocket
from serial_runtime.connectors.tunnel import POLL_S, Tunnel, TunnelListener
from serial_runtime.errors import LinkClosed, LinkError, ProtocolError
from serial_runtime.rpc.client import Client
from serial_runtime.transport.tcp import TcpListener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.interface import Transport

_MOST_CONNECTIONS = 128  # our client has two
_FLUSH_S = 1.0
_RETRY_S = 1.0  # after an error of the listening socket


class PyroListener:
    """Where Pyro clients come from; see :class:`~serial_runtime.transport.base.Listener`.

    Port 0 takes a free one; see ``port``. Raises LinkError when the address cannot be bound.
    """

    def __init__(self, host: str, port: int) -> None:
        self._listener = TcpListener(host, port)
        self.port = self._listener.port
        self.name = self._listener.name
        self.tunnels = TunnelListener(f"PYRO://{self.name}", "pyro")
        self.log: Callable[[str], object] = lambda text: None
        """Is told why a call in native forms was refused; any thread."""
        self._lock = threading.Lock()  # protects _connections
        self._connections: set[_Connection] = set()
        self._closing = threading.Event()
        threading.Thread(target=self._serve, name=f"pyro-{self.name}", daemon=True).start()

    def accept(self, timeout_s: float | None) -> Transport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        return self.tunnels.accept(timeout_s)

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`.

        Answers that were given reach their clients, if these take them within a second.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        limit_s = time.monotonic() + _FLUSH_S
        _wait(lambda: not any(one.has_output for one in connections), limit_s)
        self.tunnels.close()
        _wait(lambda: all(one.is_idle for one in connections), limit_s)
        for one in connections:
            one.hang_up()

    def _serve(self) -> None:
        while True:
            try:
                accepted, name = self._listener.accept_socket(None)
            except LinkClosed:
                return
            except LinkError:  # no more descriptors
                self._closing.wait(_RETRY_S)
                continue
            connection = _Connection(self, name, accepted)
            with self._lock:
                welcome = len(self._connections) < _MOST_CONNECTIONS and not self._closing.is_set()
                if welcome:
                    self._connections.add(connection)
            thread = threading.Thread(
                target=self._run, args=(connection,), name=f"pyro-{name}", daemon=True
            )
            try:
                if welcome:
                    thread.start()
            except RuntimeError:  # no more threads; there will be some again
                welcome = False
                with self._lock:
                    self._connections.discard(connection)
            if not welcome:
                connection.close()

    def _run(self, connection: _Connection) -> None:
        try:
            connection.run()
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)


class _Connection:
    """One connection, with objects of its own."""

    def __init__(self, listener: PyroListener, peer: str, accepted: socket.socket) -> None:
        self.peer = peer
        self.tunnels = listener.tunnels
        self.used: list[Tunnel] = []
        """Tunnels that end with this connection."""
        self._listener = listener
        self._client: Client | None = None
        self._socket = ScreenedSocket(fileno=accepted.detach())

    @property
    def has_output(self) -> bool:
        """Whether something waits to be collected."""
        return any(one.has_output for one in self.used)

    @property
    def is_idle(self) -> bool:
        """Whether it executes nothing."""
        return self._socket.is_idle or self._socket.fileno() < 0

    def run(self) -> None:
        """Serve it until it ends; what it sends can do no more than end it."""
        with contextlib.suppress(Exception):
            daemon = Daemon(connected_socket=self._socket)
            daemon.register(PLCObject(self), PLC_OBJECT)
            daemon.register(LinkObject(self), LINK_OBJECT)
            connection = SocketConnection(self._socket, keep_open=True)
            # Not needed, as Pyro5 has it for a connection that was made by other means.
            if self._socket.begin() == MSG_CONNECT and not daemon._handshake(connection):
                return
            while True:
                daemon.handleRequest(connection)

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Call the IDE's service in native forms."""
        if self._client is None:
            self._client = Client(lambda: self.tunnels.link(self.peer), reconnect_s=0.0)
        return call_natively(self._client, name, arguments, self._listener.log)

    def hang_up(self) -> None:
        """End `run`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(2)

    def close(self) -> None:
        """Free what it held, after `run`."""
        self._socket.close()
        for one in self.used:
            one.hang_up()
        if self._client is not None:
            self._client.close()


class _BoardObject:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection


def _procedure(name: str) -> Callable[..., Any]:
    def procedure(self: _BoardObject, *arguments: Any) -> Any:
        return self._connection.call(name, arguments)

    procedure.__name__ = name
    return procedure


PLCObject = expose(
    type("PLCObject", (_BoardObject,), {name: _procedure(name) for name in PROCEDURES})
)


@expose
class LinkObject(_BoardObject):
    """What carries tunnels. A LinkClosed is told the client as a text."""

    def open(self) -> str:
        channel, tunnel = self._connection.tunnels.open(self._connection.peer)
        self._connection.used.append(tunnel)
        return channel

    def read(self, channel: str) -> bytes:
        return self._tunnel(channel).collect(POLL_S)

    def write(self, channel: str, data: bytes) -> None:
        tunnel = self._tunnel(channel)
        if not isinstance(data, bytes):
            raise ProtocolError("write: bytes are expected")
        tunnel.feed(data, None)

    def close(self, channel: str) -> None:
        self._tunnel(channel).hang_up()

    def _tunnel(self, channel: str) -> Tunnel:
        if not isinstance(channel, str):
            raise ProtocolError("a channel is named by a text")
        tunnel = self._connection.tunnels.tunnel(channel)
        used = self._connection.used
        if tunnel not in used:
            used[:] = [one for one in used if not one.is_over] + [tunnel]
        return tunnel


def _wait(condition: Callable[[], bool], limit_s: float) -> None:
    while not condition() and time.monotonic() < limit_s:
        time.sleep(0.005)
