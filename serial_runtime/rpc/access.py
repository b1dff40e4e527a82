# SPDX-License-Identifier: MIT
"""Who calls over a link."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.base import Transport


class Peer(NamedTuple):
    """Who is at the other end of a served link."""

    kind: str  # of the transport, see `Transport.kind`
    address: str
    identity: str = ""  # whose secret it has proven to know

    @classmethod
    def of(cls, transport: Transport) -> Peer:
        """Who is at the other end of this one."""
        return cls(transport.kind, transport.name, transport.identity)
