# SPDX-License-Identifier: MIT
"""Reading a given number of bytes from a transport."""

from __future__ import annotations

from serial_runtime.transport import Transport

LONG_S = 60.0


def read(transport: Transport, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = transport.read(LONG_S)
        assert more, f"only {data[-40:]!r} arrived"
        data += more
    return data
