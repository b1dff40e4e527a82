# SPDX-License-Identifier: MIT
"""The log of an emulated disk's writes, and which of them a power cut may take."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hil.power_cuts.write_log import SECTOR, Cut, Entry, cuts, position, read

HEAD = struct.pack("<QQQI", 0x6A736677736872, 1, 0, SECTOR).ljust(SECTOR, b"\0")


def entry(sector: int, data: bytes = b"", flags: int = 0) -> bytes:
    head = struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0)
    return head.ljust(SECTOR, b"\0") + data


def write(number: int, sectors: int = 1) -> Entry:
    return Entry(number * 4096, bytes([number]) * SECTOR * sectors, False, 0)


FLUSH = Entry(0, b"", True, 0)


def test_entries_and_where_each_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    data = bytes(range(256)) * 4
    log.write_bytes(HEAD + entry(3, data) + entry(0, flags=1))
    assert read(log) == [
        Entry(3 * SECTOR, data, False, 4 * SECTOR),
        Entry(0, b"", True, 5 * SECTOR),
    ]
    assert position(log) == 5 * SECTOR


def test_an_entry_the_emulator_was_killed_in_was_never_done(tmp_path: Path) -> None:
    log = tmp_path / "log"
    whole = HEAD + entry(3, bytes(2 * SECTOR))
    for length in range(len(HEAD), len(whole), 64):
        log.write_bytes(whole[:length])
        assert read(log) == []
    log.write_bytes(b"")
    assert read(log) == []


def test_what_is_no_such_log_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(2 * SECTOR))
    with pytest.raises(ValueError, match="is no log of writes"):
        read(log)
    log.write_bytes(HEAD + entry(3, bytes(SECTOR), flags=4))
    with pytest.raises(ValueError, match="flags 4"):
        read(log)


def test_each_prefix_is_tried_and_the_last_write_torn() -> None:
    tried = list(cuts([write(1), write(2, sectors=40), FLUSH], seed=1))
    prefixes = [cut for cut in tried if not cut.lost]
    assert prefixes == [Cut(1), Cut(2, torn=16), Cut(2), Cut(3)]


def test_only_writes_since_the_last_flush_may_be_lost() -> None:
    tried = list(cuts([write(1), write(2), FLUSH, write(3), write(4)], seed=1))
    lost = {(cut.made, cut.lost) for cut in tried if cut.lost}
    assert lost == {
        (made, frozenset(some))
        for made, every in ((2, (0, 1)), (5, (3, 4)))
        for some in (every[:1], every[1:], every)
    }


def test_of_many_writes_each_is_lost_alone_and_kept_alone() -> None:
    writes = [write(number) for number in range(12)]
    lost = {cut.lost for cut in cuts([*writes, FLUSH], seed=1) if cut.lost}
    every = frozenset(range(12))
    assert every in lost
    for one in every:
        assert {frozenset((one,)), every - {one}} <= lost


def test_cuts_come_in_the_order_of_time() -> None:
    made = [cut.made for cut in cuts([write(1), write(2), FLUSH, write(3), FLUSH], seed=1)]
    assert made == sorted(made)
