# SPDX-License-Identifier: MIT
"""The streams that a file can be uploaded as; ``plc.coding`` has their formats and turns them back.

The same file, base and link give the same stream, so that a client that was killed and started
again goes on with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct

from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.coding import MAX_WINDOW, PATCH, PLAIN, RECORD, ZSTD

NAMES = {PLAIN: "as it is", ZSTD: "compressed", PATCH: "patch"}
# The search for a patch takes 0.3 s and 20 MB per MB, but the square of that within zeros.
_MAX_PATCHED = 4 << 20
_MAX_PATCHED_FAST = 1 << 20
_ZEROS = bytes(1 << 17)
_BEST, _FAST = 19, 3  # levels of compression
_WORTH = 0.95
_MAGNITUDE = (1 << 63) - 1


class Encoded(NamedTuple):
    """A stream, and what it is of."""

    coding: int
    base: str  # MD5, of a patch; else ""
    digest: bytes  # SHA-256
    stream: bytes


def encodings(data: bytes, base: bytes, codings: int, *, slow_line: bool) -> list[Encoded]:
    """The streams of a file that save something, smallest first, and at last the file as it is.

    `base`: the file that a patch may be for, or nothing. `codings`: those the board takes, a bit
    for each. On a slow line it is worth to take some time; for what hardly compresses, which no
    program is, it is not worth on any.
    """
    found: list[tuple[int, str, bytes]] = []
    with contextlib.suppress(ImportError):  # a host without the packages sends files as they are
        frame = _compressed(data, _FAST)
        worth = len(frame) < _WORTH * len(data)
        limit = _MAX_PATCHED if slow_line else _MAX_PATCHED_FAST
        if codings >> PATCH & 1 and base and worth and len(data) <= limit >= len(base):
            records = _records(base, data)
            if records:
                found.append((PATCH, _md5(base), _compressed(records, _BEST)))
        if codings >> ZSTD & 1:
            patched = found and 2 * len(found[0][2]) < len(frame)  # then it will hardly be needed
            if slow_line and worth and not patched:
                frame = _compressed(data, _BEST)
            found.append((ZSTD, "", frame))
    found = sorted((one for one in found if len(one[2]) < len(data)), key=lambda one: len(one[2]))
    return [
        Encoded(coding, base_md5, hashlib.sha256(stream).digest(), stream)
        for coding, base_md5, stream in (*found, (PLAIN, "", data))
    ]


def _compressed(data: bytes, level: int) -> bytes:
    """One frame, whose decoder needs no more than MAX_WINDOW."""
    import zstandard

    own = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(data))
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(data),
        window_log=min(own.window_log, MAX_WINDOW.bit_length() - 1),
        write_content_size=False,  # or the window may be all of it
    )
    frame: bytes = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    return frame


def _records(base: bytes, data: bytes) -> bytes:
    """The difference as records of a patch; nothing when finding it would take too long.

    Nor on a host without the package, as on a board.
    """
    if _ZEROS in base or _ZEROS in data:
        return b""
    try:
        import bsdiff4
    except ImportError:
        return b""
    control, summed, added = _parts(bsdiff4.diff(base, data))
    records: list[bytes] = []
    seek = at_summed = at_added = 0
    for sums, adds, seek_after in control:
        if sums + adds:
            records += (
                RECORD.pack(seek, sums, adds),
                summed[at_summed : at_summed + sums],
                added[at_added : at_added + adds],
            )
            seek = 0
        seek += seek_after
        at_summed += sums
        at_added += adds
    return b"".join(records)


def _parts(patch: bytes) -> tuple[list[tuple[int, int, int]], bytes, bytes]:
    """Control triples, bytes to sum and bytes to add of a BSDIFF40 file.

    It has a magic of 8 bytes, three lengths (control, sums, result), then control, sums and
    additions, each compressed by bzip2. Numbers have 64 bits, the highest one is the sign.
    """
    import bz2

    control_size, summed_size, _ = _numbers(patch[8:32])
    at_summed = 32 + control_size
    at_added = at_summed + summed_size
    numbers = _numbers(bz2.decompress(patch[32:at_summed]))
    control = list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))
    return control, bz2.decompress(patch[at_summed:at_added]), bz2.decompress(patch[at_added:])


def _numbers(data: bytes) -> list[int]:
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    return [-(word & _MAGNITUDE) if word > _MAGNITUDE else word for word in words]


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
