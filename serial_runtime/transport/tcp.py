# SPDX-License-Identifier: MIT
"""TCP: the same frames on a stream that is reliable."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout
from serial_runtime.transport.base import FdTransport, milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.uri import TcpEndpoint

_BACKLOG = 64
# Errors of accept() that concern one connection that is already gone, not the listener.
_PASSING = (errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH)


def open_endpoint(endpoint: TcpEndpoint, timeout_s: float) -> FdTransport:
    """Connect to the server of a URI, see ``open_tcp``."""
    return open_tcp(endpoint.host, endpoint.port, timeout_s)


def open_tcp(host: str, port: int, timeout_s: float = 5.0) -> FdTransport:
    """Connect. Raises LinkTimeout after ``timeout_s`` seconds, LinkError when refused."""
    connection = connect_socket(host, port, timeout_s)
    return FdTransport(connection.detach(), place(host, port), kind="tcp")


def connect_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect, for what is put on top of TCP. Raises as ``open_tcp``."""
    try:
        connection = socket.create_connection((host, port), timeout_s)
    except TimeoutError as error:
        raise LinkTimeout(f"{place(host, port)}: no answer within {timeout_s:g} s") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, ConnectionRefusedError):
            reason += "; is a runtime running there, and is that its port?"
        raise LinkError(f"cannot connect to {place(host, port)}: {reason}") from error
    _tune(connection)
    return connection


class SocketListener:
    """A listening stream socket, which it owns from now on; `kind` is that of its transports."""

    def __init__(self, listening: socket.socket, name: str, kind: str) -> None:
        self.name = name
        self._kind = kind
        self._socket = listening
        self._socket.setblocking(False)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closing = False
        self._accepting = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def accept(self, timeout_s: float | None) -> FdTransport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        connection, name = self.accept_socket(timeout_s)
        return FdTransport(connection.detach(), name, kind=self._kind)

    def accept_socket(self, timeout_s: float | None) -> tuple[socket.socket, str]:
        """As ``accept``, for what is put on top of the socket; and the peer's name."""
        with self._accepting:
            while True:
                if self._closing:
                    raise LinkClosed(f"listener on {self.name} is closed")
                if not self._poll.poll(milliseconds(timeout_s)):
                    raise LinkTimeout(f"nobody connected to {self.name}")
                if self._closing:
                    continue
                try:
                    connection, address = self._socket.accept()
                except BlockingIOError:
                    continue
                except OSError as error:
                    if error.errno in _PASSING:
                        continue
                    raise LinkError(f"{self.name}: {error.strerror}") from error
                if connection.family == socket.AF_UNIX:
                    return connection, self.name
                _tune(connection)
                return connection, place(address[0], address[1])

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        if self._closing:
            return
        self._closing = True
        os.eventfd_write(self._wake, 1)
        with self._accepting:
            self._socket.close()
            os.close(self._wake)


class TcpListener(SocketListener):
    """A listening TCP socket. Port 0 takes a free one; see ``port``.

    Raises LinkError when the address cannot be bound.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            family = socket.getaddrinfo(
                host or None, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE
            )[0][0]
            listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            # create_server() puts the address into the text once more.
            reason = (error.strerror or str(error)).partition(" (while attempting")[0]
            raise LinkError(f"cannot listen on {place(host, port)}: {reason}") from error
        self.port: int = listening.getsockname()[1]
        super().__init__(listening, place(host, self.port), "tcp")


def adopt(fd: int) -> FdTransport:
    """A connection that the process before this one has left open. LinkClosed: it has ended."""
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)  # not by what this process starts
    try:
        host, port, *_ = connection.getpeername()
    except OSError as error:
        connection.close()
        raise LinkClosed(f"a client has gone: {error.strerror}") from error
    return FdTransport(connection.detach(), place(host, port), kind="tcp")


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that lost its power never says goodbye: noticed after about a minute.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def exposure(host: str, name: str, deeds: str) -> str:
    """What it means to listen on `host` without asking who comes: a warning for people, "" when
    only this computer reaches it. `name` is that of the listener, `deeds` what its clients can do.
    """
    if _is_local(host):
        return ""
    return (
        f"warning: everybody who reaches {name} over the network can {deeds}, without a password "
        "and unencrypted"
    )


def _is_local(host: str) -> bool:
    if host in ("localhost", "127.0.0.1", "::1"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def place(host: str, port: int) -> str:
    """An address for messages and URIs; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
