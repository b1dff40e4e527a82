# SPDX-License-Identifier: MIT
"""Streams back to files: only what was announced, whatever a stream holds, in bounded memory."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import BlobError, StoreError
from serial_runtime.plc.coding import (
    MAX_WINDOW,
    PATCH,
    PLAIN,
    RECORD,
    ZSTD,
    Decoding,
    UploadPlan,
    _sums,
    codings,
)

FILE = random.Random(1).randbytes(3000) * 40
BASE = bytes(range(256)) * 300


def frame(data: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=False)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def plan_of(coding: int, stream: bytes, file: bytes = FILE, size: int = -1) -> UploadPlan:
    return UploadPlan(
        hashlib.md5(file).hexdigest(),
        len(file) if size < 0 else size,
        coding,
        hashlib.md5(BASE).hexdigest() if coding == PATCH else "",
        hashlib.sha256(stream).digest(),
        len(stream),
    )


def decode(folder: Path, plan: UploadPlan, stream: bytes) -> bytes:
    (folder / "stream").write_bytes(stream)
    (folder / "base").write_bytes(BASE)
    base = str(folder / "base") if plan.coding == PATCH else ""
    target = folder / "target"
    decoding = Decoding(plan, str(folder / "stream"), base, str(target))
    for name in ("stream", "base"):  # they may go while it decodes
        (folder / name).unlink()
    decoding.run()
    try:
        digest = decoding.result()
    except StoreError:
        decoding.discard()
        assert not target.exists()
        raise
    data = target.read_bytes()
    assert digest.hexdigest() == hashlib.md5(data).hexdigest() == plan.md5
    return data


def record(seek: int, summed: bytes, added: bytes) -> bytes:
    return RECORD.pack(seek, len(summed), len(added)) + summed + added


def test_every_coding_gives_the_file(tmp_path: Path) -> None:
    for coding, stream in ((PLAIN, FILE), (ZSTD, frame(FILE))):
        assert decode(tmp_path, plan_of(coding, stream), stream) == FILE
        (tmp_path / "target").unlink()
    records = record(300, bytes(50_000), b"") + record(-50_200, b"\2" * 100, b"new" * 30_000)
    file = BASE[300:50_300] + bytes((b + 2) % 256 for b in BASE[100:200]) + b"new" * 30_000
    stream = frame(records)
    assert decode(tmp_path, plan_of(PATCH, stream, file), stream) == file


def test_an_empty_file(tmp_path: Path) -> None:
    assert decode(tmp_path, plan_of(PLAIN, b"", b""), b"") == b""


@given(st.binary(max_size=80), st.data())
def test_sums_are_bytewise(first: bytes, data: st.DataObject) -> None:
    second = data.draw(st.binary(min_size=len(first), max_size=len(first)))
    assert _sums(first, second) == bytes((a + b) % 256 for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("coding", "stream", "sentence"),
    [
        (PLAIN, FILE[:-1] + b"X", "upload the file whole"),
        (PLAIN, FILE + b"X", "more than 120000 bytes"),
        (ZSTD, FILE, "cannot be decompressed"),
        (ZSTD, frame(FILE)[:-9], "gives [0-9]+ bytes"),
        (ZSTD, frame(FILE[:-1]), "gives 119999 bytes"),
        (ZSTD, frame(bytes(50 << 20)), "more than 120000 bytes"),
        (PATCH, frame(FILE), "base|record"),
        (PATCH, frame(record(0, b"", b"")), "empty record"),
        (PATCH, frame(record(-1, b"\0", b"")), "beyond its base"),
        (PATCH, frame(record(len(BASE), b"\0", b"")), "beyond its base"),
        (PATCH, frame(record(1 - len(BASE), b"\0" * 9, b"")), "beyond its base"),
        (PATCH, frame(record(0, b"\0" * 9, b"")[:-1]), "ends within a record"),
        (PATCH, frame(record(0, b"\0" * 9, b"")[:5]), "ends within a record"),
        (PATCH, frame(RECORD.pack(0, 0, 0xFFFFFFFF) + b"x" * 200_000), "more than|ends within"),
    ],
)
def test_a_wrong_stream_is_refused_and_leaves_nothing(
    tmp_path: Path, coding: int, stream: bytes, sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        decode(tmp_path, plan_of(coding, stream), stream)
    assert not isinstance(caught.value, BlobError)


def test_a_stream_that_is_not_the_announced_one_is_not_even_decoded(tmp_path: Path) -> None:
    stream = frame(FILE)
    torn = stream[:200] + bytes(len(stream) - 200)
    with pytest.raises(StoreError, match="damaged where it was kept"):
        decode(tmp_path, plan_of(ZSTD, stream), torn)


def test_a_frame_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    greedy = zstandard.ZstdCompressionParameters.from_level(
        1, window_log=MAX_WINDOW.bit_length(), write_content_size=False
    )
    compressor = zstandard.ZstdCompressor(compression_params=greedy).compressobj()
    stream = compressor.compress(FILE) + compressor.flush()
    with pytest.raises(StoreError, match="cannot be decompressed"):
        decode(tmp_path, plan_of(ZSTD, stream), stream)


def test_a_board_without_the_decompressor_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codings() == 0b111
    monkeypatch.setattr("importlib.machinery.PathFinder.find_spec", lambda name: None)
    assert codings() == 0b001
    monkeypatch.setitem(sys.modules, "zstandard", None)  # there, but it cannot be imported
    stream = frame(FILE)
    with pytest.raises(StoreError, match="upload the file as it is"):
        decode(tmp_path, plan_of(ZSTD, stream), stream)
    assert decode(tmp_path, plan_of(PLAIN, FILE), FILE) == FILE


def test_the_board_imports_it_with_the_first_stream_that_needs_it() -> None:
    code = (
        "import sys, serial_runtime.daemon, serial_runtime.plc.plc_object as plc, "
        "serial_runtime.rpc.server; from serial_runtime.plc.coding import codings; codings(); "
        "sys.exit(' '.join({'zstandard', 'bsdiff4', 'hashlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_disk_that_takes_no_file_is_a_matter_of_room(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"in the way")
    (tmp_path / "stream").write_bytes(FILE)
    decoding = Decoding(
        plan_of(PLAIN, FILE), str(tmp_path / "stream"), "", str(tmp_path / "target")
    )
    decoding.run()
    with pytest.raises(BlobError, match="cannot be stored"):
        decoding.result()
