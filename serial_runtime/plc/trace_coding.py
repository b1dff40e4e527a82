# SPDX-License-Identifier: MIT
"""How the records of a trace batch are packed, and unpacked at the client.

A record is u32 tick, u32 length, values. Most of what a PLC does from one tick to the next is
nothing, or little: so each record of a batch becomes its difference to the record before, the
differences are sorted by byte (all first bytes, then all second bytes, ...), and a common
compressor does the rest:

    difference   field by field (tick, length, each value in the width of its type), as whole
                 numbers: this record less the one before, modulo 2^(8 * width)
    zigzag       0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ...: small ones keep their high bytes 0
    columns      byte k of every record, for each k
    compressor   zstd level 1, or zlib level 1; a higher level finds hardly more

A batch is one large integer meanwhile, so that all fields of all records are handled at once:
about 2 µs for a record of 100 DINT, less than it takes to read it from the ring. Floating point
values are taken as whole numbers too: neighbours differ little in this form. The widths are: 4, 4,
then the width of each value; 8 and 8 for the two halves of TIME, DATE, TOD and DT; and from the
first STRING on every byte is a field, since what follows has no fixed place.

The first record's difference is to the record before the batch, when both sides have it, else to
zeros. Records of different lengths (STRINGs) are compressed as they are.

Both sides import this; zstandard is optional on either, and imported when it is first used.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from itertools import accumulate

from serial_runtime.errors import ProtocolError
from serial_runtime.iec import IecType, wire_size
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The coding of a batch: a compressor, and how the records were prepared for it.
RAW, ZLIB, ZSTD = 0, 1, 2
_COMPRESSOR = 0x03
COLUMNS = 0x04  # differences in columns
FOLLOWS = 0x08  # the first difference is to the record before the batch

_MOST_BYTES = 256 << 10  # the client takes no more, whatever the board claims
_LEVEL = 1


class Packed(NamedTuple):
    """A coded batch."""

    coding: int
    records: int  # how many
    data: bytes


@lru_cache(1)
def supported() -> int:
    """The compressors at hand, as bits `1 << ZLIB`, `1 << ZSTD`."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return 1 << ZLIB
    return 1 << ZLIB | 1 << ZSTD


class TraceCoding:
    """Packs and unpacks the batches of one trace list. For one thread at a time."""

    def __init__(self, kinds: Sequence[int], compressors: int = 0) -> None:
        """`kinds`: the IEC types of the list. `compressors`: what the other side takes, as bits."""
        self._widths = _widths(kinds)
        usable = compressors and compressors & supported()
        self._compressor = ZSTD if usable >> ZSTD & 1 else ZLIB if usable >> ZLIB & 1 else RAW
        self._records_per_byte = 0.0  # in the batch before; 0: nothing known
        self._masks = _Masks([], 0, 0)

    def pack(self, records: Sequence[bytes], before: bytes, room: int) -> Packed:
        """As many of `records` (at least one) as fit `room` bytes, but see BATCH_BYTES.

        `before` is the record before them if the other side has it, else b"". A single record
        that does not fit is returned all the same.
        """
        if self._compressor == RAW:
            ends = accumulate(map(len, records))
            count = max(1, sum(end <= room for end in ends))
            return Packed(RAW, count, b"".join(records[:count]))
        # What the last batch needed, and a little less; too many cost a second attempt.
        rate = self._records_per_byte or 1 / len(records[0])
        count = max(1, min(len(records), int(room * rate * 0.95)))
        while True:
            data = b"".join(records[:count])
            packed = self._pack(data, records[:count], before)
            if len(packed.data) <= room or count == 1:
                self._records_per_byte = count / len(packed.data)
                return packed
            count = max(1, min(count * 9 // 10, int(count * room / len(packed.data) * 0.95)))

    def unpack(self, packed: Packed, before: bytes) -> list[bytes]:
        """The records of a batch. ProtocolError when it is damaged."""
        data = self._decompressed(packed)
        if not packed.records:
            return []
        if not packed.coding & COLUMNS:
            return _split(data, packed.records)
        size, rest = divmod(len(data), packed.records)
        if rest or size < sum(self._widths) or (packed.coding & FOLLOWS and len(before) != size):
            raise ProtocolError("a trace batch is cut")
        joined = self._summed(data, size, before if packed.coding & FOLLOWS else bytes(size))
        return [joined[at : at + size] for at in range(0, len(joined), size)]

    # ---- inside ------------------------------------------------------------------------------

    def _pack(self, data: bytes, records: Sequence[bytes], before: bytes) -> Packed:
        count, size = len(records), len(records[0])
        coding = self._compressor
        prepared = data
        if count * size == len(data) and all(len(record) == size for record in records):
            coding |= COLUMNS
            if len(before) == size:
                coding |= FOLLOWS
            else:
                before = bytes(size)
            prepared = self._differences(data, size, before)
        compressed = self._compressed(prepared)
        if len(compressed) >= len(data):
            return Packed(RAW, count, data)
        return Packed(coding, count, compressed)

    def _differences(self, data: bytes, size: int, before: bytes) -> bytes:
        masks = self._masks_for(size, len(data) // size)
        high = masks.high
        now = int.from_bytes(data, "little")
        then = int.from_bytes(before + data[:-size], "little")
        # The high bit of each field is set, so nothing is borrowed from the next field.
        difference = ((now | high) - (then & ~high)) ^ ((now ^ ~then) & high)
        signs = 0
        for width, part in masks.by_width:
            negative = difference & part
            signs |= (negative << 1) - (negative >> 8 * width - 1)
        zigzag = ((difference & ~high) << 1) ^ signs
        rows = zigzag.to_bytes(len(data), "little")
        return b"".join([rows[place::size] for place in range(size)])

    def _summed(self, columns: bytes, size: int, before: bytes) -> bytes:
        count = len(columns) // size
        rows = bytearray(len(columns))
        for place in range(size):
            rows[place::size] = columns[place * count : (place + 1) * count]
        masks = self._masks_for(size, count)
        high = masks.high
        zigzag = int.from_bytes(rows, "little")
        signs = ones = 0
        for width, part in masks.by_width:
            low = part >> 8 * width - 1
            ones |= low
            negative = zigzag & low
            signs |= (negative << 8 * width) - negative
        total = ((zigzag & ~ones) >> 1) ^ signs
        total = _add(total, int.from_bytes(before, "little"), high)
        every = (1 << 8 * len(columns)) - 1
        distance = size  # sums of 1, 2, 4, 8 ... records
        while distance < len(columns):
            total = _add(total, total << 8 * distance & every, high)
            distance *= 2
        return total.to_bytes(len(columns), "little")

    def _masks_for(self, size: int, count: int) -> _Masks:
        if (self._masks.size, self._masks.count) != (size, count):
            self._masks = _Masks(self._widths, size, count)
        return self._masks

    def _compressed(self, data: bytes) -> bytes:
        if self._compressor == ZLIB:
            return zlib.compress(data, _LEVEL)
        import zstandard

        return zstandard.ZstdCompressor(level=_LEVEL).compress(data)

    def _decompressed(self, packed: Packed) -> bytes:
        kind = packed.coding & _COMPRESSOR
        if packed.coding & ~(_COMPRESSOR | COLUMNS | FOLLOWS) or not supported() >> kind & 1 | (
            kind == RAW
        ):
            raise ProtocolError(f"a trace batch has coding {packed.coding}, which nobody asked for")
        if kind == RAW:
            return packed.data
        if kind == ZLIB:
            stream = zlib.decompressobj()
            try:
                data = stream.decompress(packed.data, _MOST_BYTES)
            except zlib.error as error:
                raise ProtocolError(f"a trace batch is damaged: {error}") from None
            if not stream.eof:
                raise ProtocolError("a trace batch is cut or too long")
            return data
        import zstandard

        try:
            if not 0 <= zstandard.frame_content_size(packed.data) <= _MOST_BYTES:
                raise ProtocolError("a trace batch is too long")
            return zstandard.ZstdDecompressor().decompress(packed.data)
        except zstandard.ZstdError as error:
            raise ProtocolError(f"a trace batch is damaged: {error}") from None


class _Masks:
    """The highest bit of every field of a batch, for each width and in all."""

    def __init__(self, widths: Sequence[int], size: int, count: int) -> None:
        self.size = size
        self.count = count
        places: dict[int, bytearray] = {}
        at = 0
        for width in [*widths, *[1] * (size - sum(widths))]:
            at += width
            places.setdefault(width, bytearray(size))[at - 1] = 0x80
        self.by_width = [
            (width, int.from_bytes(bytes(one) * count, "little")) for width, one in places.items()
        ]
        self.high = sum(part for _, part in self.by_width)


def _widths(kinds: Sequence[int]) -> list[int]:
    widths = [4, 4]
    for kind in kinds:
        if kind == IecType.STRING:
            break
        size = wire_size(kind)
        widths += [8, 8] if size == 16 else [size]
    return widths


def _add(left: int, right: int, high: int) -> int:
    """The sum of each field: what is carried out of one is lost, not given to the next."""
    return ((left & ~high) + (right & ~high)) ^ ((left ^ right) & high)


def _split(data: bytes, count: int) -> list[bytes]:
    found = []
    at = 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at:end])
        at = end
    if at != len(data) or len(found) != count:
        raise ProtocolError("a trace batch is cut")
    return found
