# SPDX-License-Identifier: MIT
"""Every write an emulated board has made to its disk, and what a power cut could leave of them.

QEMU's driver ``blklogwrites`` notes each write and each flush when it is done, in the format of
Linux' dm-log-writes: little-endian, in sectors. A superblock (u64 magic, u64 version, u64 entries,
u32 bytes of a sector), then entries: a sector with u64 first sector, u64 sectors, u64 flags,
u64 unused, and the data.

A disk with a cache may lose any of the writes since the last flush, and the one under way may be
half done; a write before the flush is there, and a block of 4 KiB is written whole or not at all.
That is what the file system relies on: a block of its journal that is torn in the middle has a
wrong checksum.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
BLOCK = 8  # sectors that are written whole or not at all
FAR = 1 << 62  # behind every entry
_HEAD = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_MAGIC = 0x6A736677736872
_FLUSH, _FUA, _DISCARD = 1, 2, 4


class Entry(NamedTuple):
    """One write, or one flush (which has no data)."""

    offset: int  # bytes
    data: bytes
    flush: bool
    end: int  # of the entry, in the log: what `position` was when it was done


class Cut(NamedTuple):
    """What is on the disk when the power goes."""

    made: int  # entries that were done
    lost: frozenset[int] = frozenset()  # of them, by number
    torn: int = -1  # the last one: so many sectors of it are there; -1: all

    def __str__(self) -> str:
        words = f"after {self.made} entries"
        if self.torn >= 0:
            words += f", of the last one {self.torn} sectors"
        if self.lost:
            words += f", without {sorted(self.lost)}"
        return words


def position(log: Path) -> int:
    """How far the log goes now: what is there was written before this call."""
    return log.stat().st_size


def read(log: Path) -> list[Entry]:
    """All whole entries. ValueError: it is no such log."""
    data = log.read_bytes()
    if len(data) < SECTOR:
        return []
    magic, version, _, sector = _HEAD.unpack_from(data)
    if (magic, version, sector) != (_MAGIC, 1, SECTOR):
        raise ValueError(f"{log} is no log of writes in sectors of {SECTOR} bytes")
    entries, at = [], SECTOR
    while at + SECTOR <= len(data):
        first, sectors, flags, _ = _ENTRY.unpack_from(data, at)
        at += SECTOR
        if flags & (_FUA | _DISCARD):
            raise ValueError(f"{log}: an entry with the flags {flags}, which no board's disk makes")
        end = at + sectors * SECTOR
        if end > len(data):
            break  # the emulator was killed in the middle
        entries.append(Entry(first * SECTOR, data[at:end], bool(flags & _FLUSH), end))
        at = end
    return entries


def cuts(entries: Sequence[Entry], seed: int, random_losses: int = 6) -> Iterator[Cut]:
    """What a power cut may leave, in the order of time.

    After each write all of them, and the last one torn. Before each flush, when most are at risk:
    without any write since the flush before, without each, with just one of them, and without
    `random_losses` random choices.
    """
    source = random.Random(seed)
    loose: list[int] = []  # since the last flush
    for made, entry in enumerate(entries, 1):
        if entry.flush:
            yield from _losses(made - 1, loose, source, random_losses)
            loose = []
        else:
            loose.append(made - 1)
        if blocks := len(entry.data) // SECTOR // BLOCK // 2:
            yield Cut(made, torn=blocks * BLOCK)
        yield Cut(made)
    yield from _losses(len(entries), loose, source, random_losses)


def _losses(made: int, loose: Sequence[int], source: random.Random, count: int) -> Iterator[Cut]:
    every = frozenset(loose)
    choices = [every, *(frozenset((one,)) for one in loose), *(every - {one} for one in loose)]
    for _ in range(count):
        choices.append(frozenset(one for one in loose if source.random() < 0.5))
    for lost in sorted(set(choices), key=sorted):
        if lost:
            yield Cut(made, lost)
