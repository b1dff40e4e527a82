# SPDX-License-Identifier: MIT
"""Byte streams by name: serial lines, TCP, TLS, and an in-memory pair for tests.

``connect(uri)`` opens the client's end; the modules ``serial``, ``tcp``, ``tls`` and ``stunnel``
hold the board's listeners. The forms of a URI are described in
:mod:`serial_runtime.transport.uri`. This package never imports :mod:`serial_runtime.protocol`, and
importing it loads neither pyserial nor the socket module.

A package adds a scheme with an entry point of the group ``serial_runtime.transports``: its name is
the scheme, and what it names is called with the URI and the timeout in seconds, returns a
`Transport` and raises UriError and LinkError.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.transport.interface import Listener, Transport
    from serial_runtime.transport.uri import Endpoint

__all__ = ["Listener", "Transport", "connect"]

# What opens an endpoint, as open(endpoint, timeout_s); imported when it is needed.
_OPENERS = {
    "SerialEndpoint": "serial_runtime.transport.serial:open_endpoint",
    "TcpEndpoint": "serial_runtime.transport.tcp:open_endpoint",
    "TlsEndpoint": "serial_runtime.transport.tls:open_endpoint",
    "LoopEndpoint": "serial_runtime.transport.loop:open_endpoint",
    "LocalEndpoint": "serial_runtime.connectors.local:open_endpoint",
    "WampEndpoint": "serial_runtime.connectors.wamp:open_endpoint",
    "PyroEndpoint": "serial_runtime.connectors.pyro:open_endpoint",
}


def connect(uri: str, timeout_s: float = 5.0) -> Transport:
    """Open the transport that ``uri`` names and return it.

    A serial line whose URI leaves the rate to be found (``auto``) is opened at the default rate.
    ``timeout_s`` bounds the opening of a connection, seconds. Raises UriError for a URI that does
    not parse, ConfigError for an unknown baud rate or a package that is not installed, LinkError
    when it cannot be opened.
    """
    from serial_runtime.transport.uri import OtherEndpoint, other_schemes, parse

    endpoint = parse(uri)
    if isinstance(endpoint, OtherEndpoint):
        transport: Transport = other_schemes()[endpoint.scheme].load()(uri, timeout_s)
        return transport
    module, _, name = _OPENERS[type(endpoint).__name__].partition(":")
    open_endpoint: Callable[[Endpoint, float], Transport] = getattr(import_module(module), name)
    return open_endpoint(endpoint, timeout_s)


def __getattr__(name: str) -> object:
    # Loaded when somebody wants them: they bring typing along, and no board needs either.
    if name in ("Listener", "Transport"):
        return getattr(import_module("serial_runtime.transport.interface"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
