# SPDX-License-Identifier: MIT
"""Opens the transport of a URI, and opens it again."""

from __future__ import annotations

from collections.abc import Callable

from serial_runtime.transport import Transport
from serial_runtime.transport import connect as open_transport
from serial_runtime.transport.base import is_rated
from serial_runtime.transport.interface import RatedTransport, StartedTransport
from serial_runtime.transport.uri import AUTO_BAUD, Endpoint, SerialEndpoint


class Opener:
    """What a client opens its link with; finds the rate of a line when the URI leaves it open."""

    def __init__(
        self, uri: str, endpoint: Endpoint, timeout_s: float, tell: Callable[[str], object]
    ) -> None:
        self._uri = uri
        self._timeout_s = timeout_s
        self._tell = tell
        self._search = isinstance(endpoint, SerialEndpoint) and endpoint.baud == AUTO_BAUD
        self._baud = 0  # that was found
        self._started: StartedTransport | None = None  # keeps the peer alive

    def open(self) -> Transport:
        """As ``transport.connect``; once the peer was started here, another connection to it."""
        if self._started is not None:
            return self._started.another(self._timeout_s)
        transport = open_transport(self._uri, self._timeout_s)
        if isinstance(transport, StartedTransport):
            self._started = transport
            return transport.another(self._timeout_s)
        if self._search and is_rated(transport):
            try:
                self._set_rate(transport)
            except BaseException:
                transport.close()
                raise
        return transport

    def close(self) -> None:
        """End the peer if it was started here. Idempotent."""
        if self._started is not None:
            self._started.close()

    def _set_rate(self, transport: RatedTransport) -> None:
        if self._baud:
            transport.switch_rate(self._baud)
        else:
            from serial_runtime.rpc.find_baud import find_baud
            from serial_runtime.transport.serial import LIKELY_BAUDS

            self._baud = find_baud(transport, LIKELY_BAUDS, tell=self._tell)
            self._tell(f"a runtime answers at {self._baud} baud")
        transport.home_baud = self._baud
