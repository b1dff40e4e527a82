# SPDX-License-Identifier: MIT
"""Byte streams by name: serial lines, TCP, and an in-memory pair for tests.

``connect(uri)`` opens the client's end; :mod:`serial_runtime.transport.serial` and
:mod:`serial_runtime.transport.tcp` hold the board's listeners. The forms of a URI are described in
:mod:`serial_runtime.transport.uri`. This package never imports :mod:`serial_runtime.protocol`, and
importing it loads neither pyserial nor the socket module.
"""

from __future__ import annotations

from serial_runtime.transport.base import Listener, Transport

__all__ = ["Listener", "Transport", "connect"]


def connect(uri: str, timeout_s: float = 5.0) -> Transport:
    """Open the transport that ``uri`` names and return it.

    A serial line whose URI leaves the rate to be found (``auto``) is opened at the default rate.
    ``timeout_s`` bounds the opening of a connection, seconds. Raises UriError for a URI that does
    not parse, ConfigError for an unknown baud rate, LinkError when it cannot be opened.
    """
    from serial_runtime.transport.uri import (
        DEFAULT_BAUD,
        LoopEndpoint,
        SerialEndpoint,
        TcpEndpoint,
        parse,
    )

    endpoint = parse(uri)
    if isinstance(endpoint, SerialEndpoint):
        from serial_runtime.transport.serial import HalfDuplex, open_serial
        from serial_runtime.transport.tty_ioctl import Rs485

        turns = None
        if endpoint.rs485:
            turns = HalfDuplex(driver=Rs485.switched_by_rts(endpoint.rs485 == "high"))
        return open_serial(endpoint.device, endpoint.baud or DEFAULT_BAUD, half_duplex=turns)
    if isinstance(endpoint, TcpEndpoint):
        from serial_runtime.transport.tcp import open_tcp

        return open_tcp(endpoint.host, endpoint.port, timeout_s)
    assert isinstance(endpoint, LoopEndpoint)
    from serial_runtime.transport.loop import open_loop

    return open_loop(endpoint.name)
