# SPDX-License-Identifier: MIT
"""Uploads: ids as the IDE computes them, repeats, owners, quotas."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import BlobError
from serial_runtime.plc.blobs import MAX_OWNERS_FACTOR, Blobs

SEED = b"0123456789abcdef0123456789abcdef"


def content(path: str) -> bytes:
    return Path(path).read_bytes()


@given(st.binary(max_size=40), st.lists(st.binary(max_size=200), max_size=8))
def test_ids_are_the_running_md5_and_the_file_is_the_data(seed: bytes, chunks: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blobs = Blobs(folder, 10_000)
        running = hashlib.md5(seed)
        blob_id = blobs.seed("ide", seed)
        assert blob_id == running.digest()
        for chunk in chunks:
            running.update(chunk)
            new_id = blobs.append("ide", chunk, blob_id)
            assert new_id == running.digest()
            # The reply was lost: the same append again, any number of times.
            assert blobs.append("ide", chunk, blob_id) == new_id
            assert blobs.append("ide", chunk, blob_id) == new_id
            blob_id = new_id
        assert content(blobs.path("ide", blob_id)) == b"".join(chunks)
        blobs.purge("ide")
        assert os.listdir(folder) == []


def test_a_repeat_with_other_data_is_refused(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), 1000)
    first = blobs.seed("a", SEED)
    second = blobs.append("a", b"chunk", first)
    for other in (b"chunX", b"chun", b"chunkk", b""):
        with pytest.raises(BlobError, match=first.hex()):
            blobs.append("a", other, first)
    third = blobs.append("a", b"more", second)
    with pytest.raises(BlobError):
        blobs.append("a", b"chunk", first)  # only the last one may be repeated
    assert content(blobs.path("a", third)) == b"chunkmore"


def test_owners_see_and_purge_only_their_own(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), 1000)
    mine = blobs.append("a", b"mine", blobs.seed("a", SEED))
    his = blobs.append("b", b"mine", blobs.seed("b", SEED))
    assert mine == his
    blobs.purge("a")
    with pytest.raises(BlobError):
        blobs.path("a", mine)
    assert content(blobs.path("b", his)) == b"mine"
    blobs.purge("nobody")


def test_two_uploads_with_one_seed_do_not_mix(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), 1000)
    start = blobs.seed("a", SEED)
    first = blobs.append("a", b"one", start)
    assert blobs.seed("a", SEED) == start
    second = blobs.append("a", b"two", start)
    assert content(blobs.path("a", first)) == b"one"
    assert content(blobs.path("a", second)) == b"two"
    # The same content by another way is one blob.
    assert blobs.append("a", b"one", blobs.seed("a", SEED)) == first
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unfinished_upload_begins_again_with_its_seed(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), 1000)
    for _ in range(5):
        blobs.append("a", b"data", blobs.seed("a", SEED))
        blobs.seed("a", SEED)
    assert len(list(tmp_path.iterdir())) == 2


def test_quotas_in_bytes_and_in_number(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), quota_bytes=100, quota_count=3)
    full = blobs.append("a", bytes(90), blobs.seed("a", b"1"))
    other = blobs.seed("a", b"2")
    with pytest.raises(BlobError, match="full"):
        blobs.append("a", bytes(11), other)
    other = blobs.append("a", bytes(10), other)
    assert len(content(blobs.path("a", full))) == 90
    assert len(content(blobs.path("a", other))) == 10
    blobs.seed("a", b"3")
    with pytest.raises(BlobError, match="3 uploads"):
        blobs.seed("a", b"4")
    blobs.discard("a", [full, b"unknown"])
    blobs.append("a", bytes(90), blobs.seed("a", b"4"))


def test_many_clients_together_are_bounded_too(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), quota_bytes=100, quota_count=3)
    for owner in range(MAX_OWNERS_FACTOR):
        blobs.append(owner, bytes(100), blobs.seed(owner, b"1"))
    late = blobs.seed("late", b"1")
    with pytest.raises(BlobError, match="other clients"):
        blobs.append("late", b"x", late)
    for owner in range(100, 100 + 2 * MAX_OWNERS_FACTOR - 1):
        blobs.seed(owner, b"1")
    with pytest.raises(BlobError, match="other clients"):
        blobs.seed("last", b"1")
    blobs.purge(0)
    blobs.append("late", b"x", late)


def test_a_full_disk_is_a_blob_error_and_the_chunk_can_be_repeated(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path), 1000)
    start = blobs.append("a", b"12345", blobs.seed("a", SEED))
    path = Path(blobs.path("a", start))
    path.rename(path.with_suffix(".away"))
    with pytest.raises(BlobError, match="cannot be stored"):
        blobs.append("a", b"678", start)
    path.with_suffix(".away").rename(path)
    path.write_bytes(b"12345XXXXXXX")  # the rest of a write that failed half way
    end = blobs.append("a", b"678", start)
    assert content(blobs.path("a", end)) == b"12345678"


def test_names_of_spool_files_owe_nothing_to_the_client(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "spool"), 1000)
    (tmp_path / "spool").mkdir()
    blobs.seed("../../owner", b"../../seed\0")
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]
