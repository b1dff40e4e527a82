# SPDX-License-Identifier: MIT
"""What our generated stubs call: names and behaviour of the PyPI package ``erpc``.

That package loads its transports, sockets and pyserial with whatever is wanted of it, a fifth of a
daemon's start on a small board. Stubs made for it work with these objects and the other way round.
"""

from __future__ import annotations

from serial_runtime.protocol.codec import Codec, MessageInfo, MessageType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class ClientManager(Protocol):
        """Carries the calls of a client."""

        def create_request(self, isOneway: bool = False) -> RequestContext:
            """The context of one call, to be filled by the stub."""

        def perform_request(self, request: RequestContext) -> None:
            """Call; the codec then holds the outputs."""


__all__ = ["Codec", "MessageInfo", "MessageType", "Reference", "RequestContext", "Service"]


class Reference:
    """An argument that a call sets."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Reference({self.value!r})"


class RequestContext:
    """One call of a client."""

    __slots__ = ("codec", "is_oneway", "sequence")

    def __init__(self, sequence: int, codec: Codec, is_oneway: bool) -> None:
        self.sequence = sequence
        self.codec = codec
        self.is_oneway = is_oneway


class Service:
    """The base of generated services."""

    def __init__(self, service_id: int) -> None:
        self.service_id = service_id
        self._methods: dict[int, Callable[[int, Codec], None]] = {}

    def handle_invocation(self, method_id: int, sequence: int, codec: Codec) -> None:
        """How a stock server calls."""
        self._methods[method_id](sequence, codec)
