# SPDX-License-Identifier: MIT
"""Uploads by offset: gone on with after anything, bounded, and never a wrong byte."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from collections.abc import Hashable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from failing_disk import FailingDisk, PowerCut

from serial_runtime.errors import BlobError, StoreError
from serial_runtime.plc.blobs import Blobs
from serial_runtime.plc.coding import PATCH, PLAIN, ZSTD, UploadPlan
from serial_runtime.plc.disk import Disk
from serial_runtime.plc.uploads import MAX_AGE_S, MAX_STREAMS, Uploads

DATA = random.Random(2).randbytes(5000)
CHUNK = 700


def plan_of(data: bytes, **other: Any) -> UploadPlan:
    digest = hashlib.sha256(data).digest()
    plan = UploadPlan(hashlib.md5(data).hexdigest(), len(data), PLAIN, "", digest, len(data))
    return plan._replace(**other)


def no_base(md5: str) -> Any:
    raise StoreError(f"the program {md5} is not here")


class Area:
    """An upload area in one process after another."""

    def __init__(self, folder: Path, quota_bytes: int = 100_000, disk: Disk | None = None) -> None:
        self.folder, self.quota_bytes, self.disk = folder, quota_bytes, disk
        for name in ("uploads", "spool"):
            (folder / name).mkdir(exist_ok=True)
        self.begin()

    def begin(self) -> None:
        """A new process."""
        for path in (self.folder / "spool").iterdir():
            path.unlink()
        self.blobs = Blobs(str(self.folder / "spool"), self.quota_bytes)
        self.uploads = Uploads(
            str(self.folder / "uploads"), self.quota_bytes, self.blobs, no_base, self.disk
        )

    def send(self, owner: Hashable, plan: UploadPlan, stream: bytes, until: int = 1 << 30) -> int:
        """What a client does; returns the bytes it sent."""
        offset, held = self.uploads.open(owner, plan)
        if hashlib.md5(stream[:offset]).digest() != held:
            offset = 0
        sent = 0
        while offset < min(len(stream), until):
            part = stream[offset : offset + CHUNK]
            self.uploads.write(owner, offset, part)
            offset += len(part)
            sent += len(part)
        return sent

    def finish(self, owner: Hashable) -> bytes:
        """Decode; the content of the blob."""
        decoding = self.uploads.begin(owner)
        decoding.run()
        self.uploads.end(owner, decoding)
        return Path(self.blobs.path(owner, bytes.fromhex(decoding.plan.md5))).read_bytes()

    @property
    def streams(self) -> list[Path]:
        return list((self.folder / "uploads").iterdir())


@pytest.fixture
def area(tmp_path: Path) -> Area:
    return Area(tmp_path)


def test_a_file_becomes_a_blob_named_by_its_md5(area: Area) -> None:
    assert area.send("a", plan_of(DATA), DATA) == len(DATA)
    assert area.finish("a") == DATA
    with pytest.raises(BlobError):
        area.blobs.path("b", hashlib.md5(DATA).digest())
    more = area.blobs.append("a", b"more", hashlib.md5(DATA).digest())
    assert more == hashlib.md5(DATA + b"more").digest()


@pytest.mark.parametrize("again", ["same session", "new session", "new process"])
def test_it_goes_on_where_it_was_broken_off(area: Area, again: str) -> None:
    area.send("a", plan_of(DATA), DATA, until=3000)
    owner = "a" if again == "same session" else "b"
    if again == "new process":
        area.begin()
    elif again == "new session":
        area.uploads.close("a")
    assert area.send(owner, plan_of(DATA), DATA) == len(DATA) - 3500
    assert area.finish(owner) == DATA


def test_a_finished_stream_stays_until_its_file_is_installed(area: Area) -> None:
    area.send("a", plan_of(DATA), DATA)
    area.finish("a")
    area.begin()
    assert area.send("b", plan_of(DATA), DATA) == 0
    assert area.finish("b") == DATA
    area.send("b", plan_of(b"another"), b"another")
    area.uploads.used([hashlib.md5(DATA).digest(), b"unknown"])
    assert [path.read_bytes() for path in area.streams] == [b"another"]
    assert area.finish("b") == b"another"


def test_a_chunk_may_come_again_but_leaves_no_gap(area: Area) -> None:
    area.uploads.open("a", plan_of(DATA))
    area.uploads.write("a", 0, DATA[:2000])
    with pytest.raises(BlobError, match="2000 bytes, a chunk came for 2001"):
        area.uploads.write("a", 2001, b"x")
    area.uploads.write("a", 1000, DATA[1000:2000])
    with pytest.raises(BlobError, match="announced with 5000"):
        area.uploads.write("a", 2000, DATA[2000:] + b"x")
    with pytest.raises(BlobError, match="2000 bytes of 5000: go on"):
        area.finish("a")
    area.uploads.write("a", 2000, DATA[2000:])
    assert area.finish("a") == DATA


def test_an_upload_belongs_to_who_opened_it_last(area: Area) -> None:
    with pytest.raises(BlobError, match="no upload is open here"):
        area.uploads.write("b", 0, b"x")
    area.send("a", plan_of(DATA), DATA, until=1000)
    assert area.uploads.open("b", plan_of(DATA))[0] == 1400
    with pytest.raises(BlobError, match="another client has taken it over"):
        area.uploads.write("a", 1400, b"x")
    with pytest.raises(BlobError, match="no upload is open here"):
        area.finish("a")


def test_a_stream_damaged_where_it_is_kept_is_seen_at_once_or_at_the_end(area: Area) -> None:
    area.send("a", plan_of(DATA), DATA, until=3000)
    content = bytearray(DATA[:3500])
    content[3499] ^= 1
    area.streams[0].write_bytes(content)
    assert area.send("a", plan_of(DATA), DATA) == len(DATA)  # begun again
    content[:] = DATA
    content[17] ^= 1
    area.streams[0].write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        area.finish("a")
    assert area.streams == []
    assert list((area.folder / "spool").iterdir()) == []
    assert area.send("a", plan_of(DATA), DATA) == len(DATA)
    assert area.finish("a") == DATA


def test_a_stream_longer_than_announced_begins_again(area: Area) -> None:
    area.send("a", plan_of(DATA), DATA)
    area.streams[0].write_bytes(DATA + b"x")
    assert area.uploads.open("a", plan_of(DATA)) == (0, hashlib.md5().digest())


@pytest.mark.parametrize("cut_after", range(2 * (1 + -(-len(DATA) // CHUNK))))
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_power_loss(tmp_path: Path, cut_after: int, zeros: bool, kept: bool) -> None:
    """At every operation of an upload; what was written last may be gone, or zeros."""
    disk = FailingDisk(tmp_path / "graveyard")
    area = Area(tmp_path, disk=disk)
    disk.cut_after, disk.zeros = cut_after, zeros

    def upload() -> None:
        area.send("a", plan_of(DATA), DATA)
        area.send("a", plan_of(DATA[::-1]), DATA[::-1])

    with pytest.raises(PowerCut):
        upload()
    disk.cut_after = -1
    disk.lose(disk.unsynced if kept else 0)
    area.begin()
    for data in (DATA, DATA[::-1]):
        area.send("b", plan_of(data), data)
        assert area.finish("b") == data


@pytest.mark.parametrize(
    ("other", "kind", "sentence"),
    [
        ({"md5": "../../x"}, StoreError, "not an MD5"),
        ({"digest": b"short"}, StoreError, "SHA-256"),
        ({"coding": 9}, StoreError, "does not know the coding 9"),
        ({"coding": 255}, StoreError, "does not know the coding 255"),
        ({"coded_size": 4999}, StoreError, "4999 bytes for a file of 5000"),
        ({"coding": ZSTD, "coded_size": 5001}, StoreError, "5001 bytes for a file of 5000"),
        ({"coding": PATCH, "base": "0" * 32}, StoreError, "is not here"),
        ({"size": 100_001, "coding": ZSTD}, BlobError, "blob_quota_kib"),
    ],
)
def test_a_plan_that_cannot_be(
    area: Area, other: dict[str, Any], kind: type[StoreError], sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        area.uploads.open("a", plan_of(DATA, **other))
    assert type(caught.value) is kind
    assert area.streams == []


def test_the_area_is_bounded_and_the_oldest_idle_stream_gives_way(tmp_path: Path) -> None:
    area = Area(tmp_path, quota_bytes=12_000)
    for number in range(3):
        data = bytes([number]) * 4000
        area.send(number, plan_of(data), data)
        os.utime(max(area.streams, key=lambda path: path.stat().st_mtime), (number, 1000 + number))
        area.uploads.close(number)
    assert len(area.streams) == 3
    area.send("a", plan_of(DATA), DATA)
    assert sorted(path.read_bytes()[:1] for path in area.streams) == [b"\2", DATA[:1]]
    with pytest.raises(BlobError, match="uploads of other clients"):
        area.uploads.open("b", plan_of(bytes(8000)))
    assert area.finish("a") == DATA


def test_many_small_streams_are_bounded_in_number(area: Area) -> None:
    for number in range(3 * MAX_STREAMS):
        data = b"%d" % number
        area.send("a", plan_of(data), data)
    assert len(area.streams) == MAX_STREAMS
    for owner in range(MAX_STREAMS - 1):
        area.uploads.open(owner, plan_of(b"of %d" % owner))
    with pytest.raises(BlobError, match="uploads of other clients"):
        area.uploads.open("late", plan_of(b"late"))


def test_a_start_removes_what_is_stale_or_strange(area: Area) -> None:
    area.send("a", plan_of(DATA), DATA, until=1000)
    area.send("a", plan_of(b"young"), b"young")
    (area.folder / "uploads" / "strange").write_bytes(b"")
    old = next(path for path in area.streams if path.stat().st_size == 1400)
    os.utime(old, (0, old.stat().st_mtime - MAX_AGE_S - 60))
    area.begin()
    assert [path.read_bytes() for path in area.streams] == [b"young"]


class FullDisk(Disk):
    """Takes so many bytes in files that grow."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        others = sum(p.stat().st_size for p in self.folder.iterdir() if str(p) != path)
        room = self.size - others - offset
        super().write_at(path, offset, data[: max(room, 0)])
        if room < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_idle_streams_then_an_error_and_no_byte(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    disk = FullDisk(tmp_path / "uploads", 6000)
    area = Area(tmp_path, disk=disk)
    area.send("a", plan_of(bytes(3000)), bytes(3000))
    area.send("a", plan_of(DATA), DATA)  # the idle one went
    assert area.finish("a") == DATA
    disk.size = 3000
    other = DATA[::-1]
    area.uploads.used([hashlib.md5(DATA).digest()])
    with pytest.raises(BlobError, match="No space left on device; make room"):
        area.send("a", plan_of(other), other)
    disk.size = 6000
    assert area.send("a", plan_of(other), other) == len(other) - 3000  # what fitted was kept
    assert area.finish("a") == other


def test_what_cannot_be_kept_as_a_blob_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    area = Area(tmp_path, quota_bytes=len(DATA) + 100)
    area.send("a", plan_of(DATA), DATA)
    area.finish("a")
    with pytest.raises(BlobError, match="upload area is full"):
        area.uploads.open("a", plan_of(bytes(101)))
    area.send("a", plan_of(DATA), DATA)  # in the place of itself
    assert area.finish("a") == DATA
    assert len(list((tmp_path / "spool").iterdir())) == 1


def test_an_owner_that_ends_while_its_file_is_decoded_leaves_nothing(area: Area) -> None:
    area.send("a", plan_of(DATA), DATA)
    decoding = area.uploads.begin("a")
    decoding.run()
    area.uploads.close("a")
    with pytest.raises(BlobError, match="closed while"):
        area.uploads.end("a", decoding)
    assert list((area.folder / "spool").iterdir()) == []


def test_a_base_may_be_replaced_while_a_patch_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zstandard

    from serial_runtime.plc.coding import RECORD

    base = tmp_path / "base"
    base.write_bytes(DATA)
    area = Area(tmp_path)
    monkeypatch.setattr(area.uploads, "_find_base", lambda md5: SimpleNamespace(path=str(base)))
    file = DATA + b"!" * 900
    parameters = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compress(
        RECORD.pack(0, len(DATA), 900) + bytes(len(DATA)) + b"!" * 900
    )
    plan = plan_of(
        file, coding=PATCH, base="0" * 32, digest=hashlib.sha256(stream).digest(),
        coded_size=len(stream),
    )  # fmt: skip
    area.send("a", plan, stream)
    decoding = area.uploads.begin("a")
    base.unlink()
    base.write_bytes(b"another program")
    decoding.run()
    area.uploads.end("a", decoding)
    assert Path(area.blobs.path("a", bytes.fromhex(plan.md5))).read_bytes() == file
