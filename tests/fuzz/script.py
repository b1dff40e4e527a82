# SPDX-License-Identifier: MIT
"""Reads the bytes of a fuzzer as a sequence of numbers and pieces: what a target does with them."""

from __future__ import annotations

from collections.abc import Iterator


class Script:
    """Every byte string is one; behind its end all numbers are 0 and all pieces empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, size: int = 1) -> int:
        """An unsigned number of `size` bytes, little-endian."""
        return int.from_bytes(self._take(size), "little")

    def piece(self) -> bytes:
        """A length byte (255: two more), and so many bytes, or those that are left."""
        size = self.number()
        return self._take(self.number(2) if size == 255 else size)

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self._data))

    def pieces(self) -> Iterator[bytes]:
        """Pieces to the end."""
        while self:
            yield self.piece()

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        return data


def piece(data: bytes) -> bytes:
    """What `Script.piece` reads as `data`."""
    long = len(data) >= 255
    return (b"\xff" + len(data).to_bytes(2, "little") if long else bytes([len(data)])) + data
