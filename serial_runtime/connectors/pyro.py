# SPDX-License-Identifier: MIT
"""``PYRO://`` and ``PYROS://``: a board's Pyro daemon, for our own clients.

Behind ``PYROS://host:port#ID`` is a TLS server with pre-shared keys, such as stunnel, in front of
the daemon.
"""

from __future__ import annotations

import socket

from serial_runtime.identities import secret_of
from serial_runtime.transport.optional import need
from serial_runtime.transport.tcp import connect_socket, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.interface import Transport
    from serial_runtime.transport.uri import PyroEndpoint


def open_endpoint(endpoint: PyroEndpoint, timeout_s: float) -> Transport:
    """Reach the board of a URI. Raises LinkError, LinkTimeout, ConfigError."""
    need("msgpack", "pyro", "PYRO://")
    need("Pyro5", "pyro", "PYRO://")
    from serial_runtime.connectors.pyro_client import open_board

    host, port, identity = endpoint
    name = place(host, port)
    if not identity:
        return open_board(name, lambda: connect_socket(host, port, timeout_s), timeout_s)
    from serial_runtime.transport.tls_handshake import connect_tls

    secret = secret_of(identity)

    def connect() -> socket.socket:
        connection = connect_socket(host, port, timeout_s)
        return connect_tls(connection, name, identity, secret, timeout_s)

    return open_board(name, connect, timeout_s)
