# SPDX-License-Identifier: MIT
"""Streams made on the host, turned back by what the board runs."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.plc.coding import PATCH, PLAIN, ZSTD, Decoding, UploadPlan
from serial_runtime.rpc.encoding import Encoded, encodings

ALL = 0b111
CODE = bytes(random.Random(3).choices(range(256), [1 / (n + 1) for n in range(256)], k=30_000))
EDITED = CODE[:9000] + b"another statement" + CODE[9100:]
# An address in every row, all of them moved.
TABLE = b"".join(n.to_bytes(4, "little") + b"\x08\0\0\0" for n in range(0x4000, 0x20000, 48))
MOVED = b"".join(n.to_bytes(4, "little") + b"\x08\0\0\0" for n in range(0x4010, 0x20010, 48))


def decoded(encoded: Encoded, base: bytes, data: bytes) -> bytes:
    plan = UploadPlan(
        hashlib.md5(data).hexdigest(), len(data), encoded.coding, encoded.base, encoded.digest,
        len(encoded.stream),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        Path(name, "stream").write_bytes(encoded.stream)
        Path(name, "base").write_bytes(base)
        decoding = Decoding(plan, f"{name}/stream", f"{name}/base", f"{name}/target")
        decoding.run()
        decoding.result()
        return Path(name, "target").read_bytes()


def in_turn(data: bytes, base: bytes = b"", codings: int = ALL, slow: bool = True) -> list[int]:
    """The codings offered; every one of them gives the file, and none is longer than the next."""
    found = encodings(data, base, codings, slow_line=slow)
    for one in found:
        assert decoded(one, base, data) == data
        assert one.digest == hashlib.sha256(one.stream).digest()
    sizes = [len(one.stream) for one in found]
    assert sizes == sorted(sizes)
    assert found[-1].stream == data
    return [one.coding for one in found]


@pytest.mark.parametrize("slow", [True, False])
def test_the_smallest_comes_first_and_plain_last(slow: bool) -> None:
    assert in_turn(EDITED, CODE, slow=slow)[0] == PATCH
    assert in_turn(TABLE, slow=slow) == [ZSTD, PLAIN]
    assert in_turn(MOVED, TABLE, slow=slow) == [PATCH, ZSTD, PLAIN]


def test_what_saves_nothing_is_not_offered() -> None:
    noise = random.Random(4).randbytes(2000)
    assert in_turn(noise) == [PLAIN]
    assert in_turn(noise, random.Random(5).randbytes(2000)) == [PLAIN]
    assert in_turn(noise, noise) == [PLAIN]  # no program; to seek a patch would take its time
    assert in_turn(b"") == [PLAIN]
    assert in_turn(b"", b"base") == [PLAIN]
    assert in_turn(b"x", b"base") == [PLAIN]


def test_only_what_the_board_takes() -> None:
    assert in_turn(EDITED * 2, CODE, 1 << PLAIN) == [PLAIN]
    assert in_turn(TABLE, TABLE, 1 << PLAIN | 1 << ZSTD) == [ZSTD, PLAIN]


def test_the_same_program_again_costs_next_to_nothing() -> None:
    assert len(encodings(CODE, CODE, ALL, slow_line=True)[0].stream) < 100


def test_rows_that_all_moved_alike_cost_little() -> None:
    assert len(encodings(MOVED, TABLE, ALL, slow_line=True)[0].stream) < len(MOVED) / 100


def test_the_same_input_gives_the_same_stream() -> None:
    assert encodings(EDITED, CODE, ALL, slow_line=True) == encodings(
        EDITED, CODE, ALL, slow_line=True
    )


def test_long_zeros_take_no_time() -> None:
    """The search for a patch would take minutes within them."""
    zeros = bytes(3 << 20)
    assert in_turn(CODE + zeros, zeros + CODE) == [ZSTD, PLAIN]


def test_a_window_is_never_larger_than_the_board_allows() -> None:
    data = random.Random(6).randbytes(6 << 20) + bytes(1 << 20)
    for slow in (True, False):
        assert in_turn(data, slow=slow) == [ZSTD, PLAIN]


def test_a_host_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bsdiff4", None)
    assert in_turn(MOVED, TABLE) == [ZSTD, PLAIN]
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert [one.coding for one in encodings(MOVED, TABLE, ALL, slow_line=True)] == [PLAIN]


PIECES = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 200), st.binary(max_size=30)), max_size=12
)


@given(PIECES)
def test_a_file_of_pieces_of_its_base(pieces: list[tuple[int, int, bytes]]) -> None:
    base = CODE[:1000]
    data = b"".join(base[at : at + size] + more for at, size, more in pieces)
    in_turn(data, base, slow=False)
