# SPDX-License-Identifier: MIT
"""eRPC messages made by hand, also such as no client sends."""

from __future__ import annotations

import struct


def message(
    method: int,
    arguments: bytes = b"",
    *,
    service: int = 1,
    kind: int = 0,
    version: int = 1,
    sequence: int = 5,
) -> bytes:
    """The body of a frame."""
    word = version << 24 | service << 16 | method << 8 | kind
    return struct.pack("<II", word, sequence) + arguments
