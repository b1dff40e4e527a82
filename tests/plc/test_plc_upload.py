# SPDX-License-Identifier: MIT
"""The PLC object: programs that arrive by offset, also as a patch of the one it has."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import zstandard
from plc_scene import Scene, image, md5, status

from serial_runtime.errors import BlobError, StoreError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.coding import PATCH, PLAIN, RECORD, UploadPlan

A, B = image("a"), image("b", "something", "longer")


def patch(base: bytes, data: bytes) -> tuple[UploadPlan, bytes]:
    """The simplest one: sums over the common length, the rest as it is."""
    common = min(len(base), len(data))
    sums = bytes((d - b) % 256 for d, b in zip(data, base, strict=False))
    records = RECORD.pack(0, common, len(data) - common) + sums + data[common:]
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(records)
    digest = hashlib.sha256(stream).digest()
    return UploadPlan(md5(data), len(data), PATCH, md5(base), digest, len(stream)), stream


def plain(data: bytes) -> tuple[UploadPlan, bytes]:
    digest = hashlib.sha256(data).digest()
    return UploadPlan(md5(data), len(data), PLAIN, "", digest, len(data)), data


def load(scene: Scene, sent: tuple[UploadPlan, bytes], owner: int = 7) -> None:
    plan, stream = sent
    offset, _ = scene.plc.open_upload(owner, plan)
    if offset < len(stream):
        scene.plc.write_upload(owner, offset, stream[offset:])
    scene.plc.finish_upload(owner)
    scene.plc.new_plc(owner, plan.md5, bytes.fromhex(plan.md5), [])


def test_a_patch_of_the_loaded_program_while_it_runs(scene: Scene) -> None:
    load(scene, plain(A))
    scene.plc.start()
    load(scene, patch(A, B))
    assert status(scene) is PlcStatus.STOPPED
    assert Path(scene.store.current().path).read_bytes() == B
    assert list(Path(scene.store.uploads_directory).iterdir()) == []
    assert list(Path(scene.store.spool_directory).iterdir()) == []


def test_a_patch_of_a_program_that_is_not_there_is_refused_at_once(scene: Scene) -> None:
    with pytest.raises(StoreError, match="no program is stored"):
        load(scene, patch(A, B))
    load(scene, plain(B))
    with pytest.raises(StoreError, match=f"{md5(A)} is not on the board any more"):
        load(scene, patch(A, B))
    assert scene.plc.match_md5(md5(B))


def test_a_base_that_goes_during_the_upload_is_refused_at_its_end(scene: Scene) -> None:
    load(scene, plain(A))
    plan, stream = patch(A, B)
    scene.plc.open_upload(7, plan)
    scene.plc.write_upload(7, 0, stream)
    load(scene, plain(image("c")), owner=8)
    with pytest.raises(StoreError, match="not on the board any more"):
        scene.plc.finish_upload(7)
    assert scene.plc.match_md5(md5(image("c")))


def test_a_base_that_is_damaged_on_the_disk_installs_nothing(scene: Scene) -> None:
    load(scene, plain(A))
    path = Path(scene.store.current().path)
    content = bytearray(A)
    content[len(A) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="upload the file whole"):
        load(scene, patch(A, B))
    assert scene.plc.match_md5(md5(A))
    load(scene, plain(B))
    assert Path(scene.store.current().path).read_bytes() == B


def test_patches_of_the_current_and_of_the_pending_program(scene: Scene) -> None:
    load(scene, plain(A))
    scene.plc.start()
    scene.board.crash()
    load(scene, plain(B))  # taints: it waits for the next process
    assert scene.plc.restart is not None
    assert scene.store.newest().md5 == md5(B)
    for base in (A, B):
        plan, stream = patch(base, image("d"))
        scene.plc.open_upload(7, plan)
        scene.plc.write_upload(7, 0, stream)
        scene.plc.finish_upload(7)
    scene.re_execute()
    assert scene.plc.match_md5(md5(B))
    load(scene, patch(B, image("d")))
    assert scene.plc.match_md5(md5(image("d")))


def test_the_next_process_goes_on(scene: Scene) -> None:
    plan, stream = plain(A)
    scene.plc.open_upload(7, plan)
    scene.plc.write_upload(7, 0, stream[:300])
    scene.end()
    scene.begin()
    scene.plc.autoload(False)
    with pytest.raises(BlobError, match="the board has restarted; open it again"):
        scene.plc.write_upload(7, 300, stream[300:])
    assert scene.plc.open_upload(7, plan)[0] == 300
    load(scene, (plan, stream))
    assert Path(scene.store.current().path).read_bytes() == A


def test_a_closed_session_has_no_upload(scene: Scene) -> None:
    plan, _ = plain(A)
    scene.plc.open_upload(7, plan)
    scene.plc.owner_closed(7)
    with pytest.raises(BlobError, match="no upload is open"):
        scene.plc.write_upload(7, 0, b"x")


def test_an_upload_does_not_change_while_it_is_installed(scene: Scene) -> None:
    """It was verified by then, and becomes the stored program as it is."""
    blob_id = scene.upload(A)

    def meddle(path: str) -> None:
        with pytest.raises(BlobError, match="is being installed"):
            scene.plc.append_chunk("ide", b"more", blob_id)

    scene.plc._loader._trial = meddle
    scene.plc.new_plc("ide", md5(A), blob_id)
    assert Path(scene.store.current().path).read_bytes() == A


def test_an_upload_that_was_refused_can_go_on(scene: Scene) -> None:
    half = scene.upload(A[:100], seed=b"seed")
    with pytest.raises(StoreError):
        scene.plc.new_plc("ide", md5(A), half)
    scene.plc.new_plc("ide", md5(A), scene.plc.append_chunk("ide", A[100:], half))
    assert Path(scene.store.current().path).read_bytes() == A
