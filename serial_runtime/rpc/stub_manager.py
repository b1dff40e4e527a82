# SPDX-License-Identifier: MIT
"""What generated stubs call through: a Link with the API of ``erpc.client.ClientManager``."""

from __future__ import annotations

from serial_runtime.protocol.codec import Codec
from serial_runtime.rpc.link import Link
from serial_runtime.rpc.stub_api import RequestContext


class StubManager:
    """As much of that API as generated stubs use."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def create_request(self, isOneway: bool = False) -> RequestContext:
        """The context of one call, to be filled by the stub."""
        codec = Codec()
        return RequestContext(0, codec, isOneway)

    def perform_request(self, request: RequestContext) -> None:
        """Call; the codec then holds the outputs."""
        message = request.codec.buffer
        request.codec.buffer = self._link.call(message[2], message[1], bytes(message[8:]))
