# SPDX-License-Identifier: MIT
"""Batches of trace records: whatever is packed is unpacked, and nothing else is taken."""

from __future__ import annotations

import random
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serial_runtime.errors import ProtocolError
from serial_runtime.iec import IecType, wire_size
from serial_runtime.plc import trace_coding
from serial_runtime.plc.trace_coding import (
    COLUMNS,
    FOLLOWS,
    RAW,
    ZLIB,
    ZSTD,
    Packed,
    TraceCoding,
    supported,
)

HAS_ZSTD = bool(supported() >> ZSTD & 1)
FIXED = [kind for kind in IecType if kind != IecType.STRING]
BIG = 1 << 20


def record(tick: int, values: bytes) -> bytes:
    return struct.pack("<II", tick, len(values)) + values


def dints(count: int, ticks: int, changing: int, seed: int = 1) -> list[bytes]:
    """Records of `count` DINT, of which some change at random from tick to tick."""
    source = random.Random(seed)
    values = [source.getrandbits(32) for _ in range(count)]
    found = []
    for tick in range(ticks):
        for place in range(changing):
            values[place] = source.getrandbits(32)
        found.append(record(1000 + tick, struct.pack(f"<{count}I", *values)))
    return found


@settings(max_examples=200)
@given(
    kinds=st.lists(st.sampled_from(FIXED), max_size=6),
    compressors=st.sampled_from([0, 1 << ZLIB, 1 << ZSTD, 1 << ZLIB | 1 << ZSTD]),
    data=st.data(),
)
def test_what_is_packed_is_unpacked(
    kinds: list[IecType], compressors: int, data: st.DataObject
) -> None:
    size = sum(map(wire_size, kinds))
    ours, theirs = TraceCoding(kinds, compressors), TraceCoding(kinds)
    before = b""
    for _ in range(data.draw(st.integers(1, 4))):
        values = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1))
        ticks = data.draw(st.integers(0, 2**32 - 1))
        records = [record((ticks + n) % 2**32, value) for n, value in enumerate(values)]
        room = data.draw(st.integers(8 + size, 500))
        packed = ours.pack(records, before, room)
        assert len(packed.data) <= room
        assert 1 <= packed.records <= len(records)
        assert theirs.unpack(packed, before) == records[: packed.records]
        before = records[packed.records - 1]


@given(st.lists(st.binary(max_size=20), min_size=1), st.integers(0, 3))
def test_strings_make_records_of_any_length(texts: list[bytes], tick: int) -> None:
    kinds = [IecType.INT, IecType.STRING, IecType.LREAL]
    records = [
        record(tick + n, b"\1\2" + bytes([len(text)]) + text + bytes(8))
        for n, text in enumerate(texts)
    ]
    packed = TraceCoding(kinds, 1 << ZLIB).pack(records, records[0], BIG)
    assert packed.records == len(records)
    assert TraceCoding(kinds).unpack(packed, records[0]) == records
    if len(set(map(len, texts))) > 1:
        assert not packed.coding & COLUMNS


# The example of docs/link.md.
EXAMPLE = [record(7, b"\1\x2a\x00"), record(8, b"\1\x29\x00"), record(9, b"\0\x29\x00")]
COLUMNS_ALONE = bytes.fromhex(
    "0e0202 000000 000000 000000 060000 000000 000000 000000 020001 540100 000000"
)
COLUMNS_AFTER = bytes.fromhex(
    "020202 000000 000000 000000 000000 000000 000000 000000 000001 000100 000000"
)


@pytest.mark.parametrize(
    ("before", "columns"), [(b"", COLUMNS_ALONE), (record(6, b"\1\x2a\x00"), COLUMNS_AFTER)]
)
def test_the_columns_are_as_documented(before: bytes, columns: bytes) -> None:
    import zlib

    kinds = [IecType.BOOL, IecType.INT]
    packed = TraceCoding(kinds, 1 << ZLIB).pack(EXAMPLE, before, BIG)
    assert packed.coding == ZLIB | COLUMNS | (FOLLOWS if before else 0)
    assert zlib.decompress(packed.data) == columns
    assert TraceCoding(kinds).unpack(packed, before) == EXAMPLE


def test_small_steps_either_way_stay_small() -> None:
    kinds = [IecType.INT, IecType.BOOL, IecType.DINT]
    records = [
        record(tick, struct.pack("<hBi", tick % 3 - 1, tick & 1, 1 - tick % 3))
        for tick in range(90)
    ]
    coding = TraceCoding(kinds)
    columns = coding._differences(b"".join(records), len(records[0]), records[0])
    high = columns[9 * 90 : 10 * 90], columns[12 * 90 : 15 * 90]
    assert all(not any(column) for column in high)


def test_the_packed_size_is_that_of_what_changes() -> None:
    kinds = [IecType.DINT] * 100
    before, *records = dints(100, 93, changing=20)
    for compressor, most in ((ZLIB, 86), (ZSTD, 82)):
        if supported() >> compressor & 1:
            packed = TraceCoding(kinds, 1 << compressor).pack(records, before, BIG)
            assert packed.records == 92
            assert 80 * 92 < len(packed.data) < most * 92
    still = TraceCoding(kinds, 1 << ZLIB).pack([before] * 92, before, BIG)
    assert len(still.data) < 3 * 92


def test_incompressible_records_travel_as_they_are() -> None:
    records = [record(0, random.Random(1).randbytes(1))]
    packed = TraceCoding([IecType.BYTE], 1 << ZLIB).pack(records, b"", BIG)
    assert (packed.coding, packed.data) == (RAW, b"".join(records))


def test_a_batch_fills_its_room_after_one_attempt() -> None:
    kinds = [IecType.DINT] * 100
    attempts = []

    class Counting(TraceCoding):
        def _pack(self, data: bytes, records: object, before: bytes) -> Packed:
            attempts.append(len(data) // 408)
            return super()._pack(data, records, before)  # type: ignore[arg-type]

    coding = Counting(kinds, 1 << ZLIB)
    records, before, sizes = dints(100, 2000, changing=20), b"", []
    while records:
        packed = coding.pack(records[:321], before, 9000)
        assert len(packed.data) <= 9000
        sizes.append(len(packed.data))
        before = records[packed.records - 1]
        del records[: packed.records]
    assert len(attempts) <= len(sizes) + 2
    assert sum(sizes[2:-1]) / len(sizes[2:-1]) > 0.9 * 9000


def test_a_sudden_change_of_the_ratio_costs_few_attempts() -> None:
    attempts = 0

    class Counting(TraceCoding):
        def _pack(self, data: bytes, records: object, before: bytes) -> Packed:
            nonlocal attempts
            attempts += 1
            return super()._pack(data, records, before)  # type: ignore[arg-type]

    coding = Counting([IecType.DINT] * 100, 1 << ZLIB)
    coding.pack([dints(100, 1, changing=0)[0]] * 300, b"", 3000)
    attempts = 0
    packed = coding.pack(dints(100, 300, changing=100), b"", 3000)
    assert packed.records >= 5
    assert attempts <= 3


def damaged() -> list[Packed]:
    good = TraceCoding([IecType.BOOL], 1 << ZLIB).pack(
        [record(tick, b"\1") for tick in range(50)], b"", BIG
    )
    assert good.coding == ZLIB | COLUMNS
    bad = [
        good._replace(records=49),
        good._replace(records=450),
        good._replace(coding=good.coding | FOLLOWS),
        good._replace(coding=good.coding | 0x10),
        good._replace(coding=3),
        good._replace(coding=ZLIB),
        good._replace(data=good.data[:-5]),
        good._replace(data=b""),
        good._replace(data=b"x" + good.data),
        Packed(RAW, 1, record(0, b"\1")[:-1]),
        Packed(RAW, 2, record(0, b"\1")),
        Packed(RAW, 1, b"\0\0\0"),
        Packed(ZLIB | COLUMNS, 1, __import__("zlib").compress(bytes(300_000))),
    ]
    if HAS_ZSTD:
        import zstandard

        frame = zstandard.ZstdCompressor().compress
        bad += [
            Packed(ZSTD | COLUMNS, 1, frame(bytes(300_000))),
            Packed(ZSTD | COLUMNS, 1, frame(bytes(9))[:-2]),
            Packed(ZSTD | COLUMNS, 1, b"no frame"),
        ]
    return bad


@pytest.mark.parametrize("batch", damaged())
def test_a_damaged_batch_is_refused(batch: Packed) -> None:
    with pytest.raises(ProtocolError, match="trace batch"):
        TraceCoding([IecType.BOOL]).unpack(batch, b"")


def test_records_shorter_than_the_values_they_should_hold_are_refused() -> None:
    good = TraceCoding([IecType.BOOL], 1 << ZLIB).pack(
        [record(tick, b"\1") for tick in range(50)], b"", BIG
    )
    with pytest.raises(ProtocolError, match="trace batch"):
        TraceCoding([IecType.DINT]).unpack(good, b"")


def test_without_zstandard_there_is_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr(trace_coding, "supported", supported.__wrapped__)
    assert trace_coding.supported() == 1 << ZLIB
    coding = TraceCoding([IecType.BOOL], 1 << ZLIB | 1 << ZSTD)
    packed = coding.pack([record(tick, b"\1") for tick in range(50)], b"", BIG)
    assert packed.coding & 3 == ZLIB
    with pytest.raises(ProtocolError, match="nobody asked for"):
        coding.unpack(packed._replace(coding=ZSTD), b"")
