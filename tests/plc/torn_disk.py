# SPDX-License-Identifier: MIT
"""A disk that says what it may hold after a power cut, at any instant of its last operation.

Content that was synced is there. While a file is overwritten each of its sectors may hold the old
bytes or the new ones, in any combination and whatever the order they were written in, and its
length may be the old one or any up to the new one. A name that was made is there or not until its
directory was synced.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from serial_runtime.plc.disk import Disk

SECTOR = 16  # bytes: small, so that every combination can be tried


class TornDisk(Disk):
    """The real file system, and what could be left of its last operations."""

    def __init__(self) -> None:
        self.operations = 0
        self._durable: dict[str, bytes] = {}  # content that is sure, by path
        self._nameless: set[str] = set()  # files whose names are not sure
        self._writing: tuple[str, bytes, bytes] | None = None  # path, old and new content

    def overwrite(self, path: str, data: bytes) -> None:
        self.operations += 1
        old = Path(path).read_bytes() if os.path.exists(path) else b""
        if not os.path.exists(path):
            self._nameless.add(path)
        self._writing = (path, old, data)
        super().overwrite(path, data)
        self._durable[path] = data

    def sync_directory(self, path: str) -> None:
        self.operations += 1
        super().sync_directory(path)
        self._nameless = {one for one in self._nameless if os.path.dirname(one) != path}

    def after_a_cut(self) -> Iterator[dict[str, bytes]]:
        """What the files may hold if the power went during the last write, or right after it."""
        assert self._writing is not None
        path, old, new = self._writing
        others = {one: data for one, data in self._durable.items() if one != path}
        for content in (*_mixtures(old, new), new):
            yield {**others, path: content}
        for lost in _subsets(self._nameless):
            yield {one: data for one, data in self._durable.items() if one not in lost}


def _subsets(names: set[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from itertools.combinations(sorted(names), size)


def _mixtures(old: bytes, new: bytes) -> Iterator[bytes]:
    """Every prefix of the new bytes over the old ones; every combination of sectors, or many."""
    for length in range(len(new) + 1):
        yield new[:length] + old[length:]
        yield new[:length]
    longest = max(len(old), len(new))
    sectors = range(0, longest, SECTOR)
    if len(sectors) <= 10:
        choices = list(itertools.product((False, True), repeat=len(sectors)))
    else:
        source = random.Random(1)
        choices = [tuple(source.random() < 0.5 for _ in sectors) for _ in range(500)]
    filled = old.ljust(longest, b"\0"), new.ljust(longest, b"\0")
    for chosen in choices:
        mixed = b"".join(
            filled[is_new][at : at + SECTOR] for at, is_new in zip(sectors, chosen, strict=True)
        )
        for length in {len(old), len(new)}:
            yield mixed[:length]
