# SPDX-License-Identifier: MIT
"""The PLC object, case by case: its life, refusals, reload prevention."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_board import VARIABLES
from plc_scene import Scene, image, md5, status
from tiny_elf import Wrong

from serial_runtime.errors import (
    BlobError,
    ImageError,
    ProgramFault,
    SerialRuntimeError,
    StateError,
    StoreError,
    TableChanged,
    TraceError,
)
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.log import INFO, WARNING
from serial_runtime.plc.plc_object import PLC

A, B = image("a"), image("b")
FORCE = struct.pack("<i", 77)
BIG = 60_000


def test_an_ordinary_day(scene: Scene) -> None:
    assert status(scene) is PlcStatus.EMPTY
    scene.load(A, table=b"1;2")
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.match_md5(md5(A))
    assert not scene.plc.match_md5(md5(B))
    assert (Path(scene.store.current().files_directory) / "table").read_bytes() == b"1;2"
    scene.plc.start()
    assert status(scene) is PlcStatus.STARTED
    scene.plc.stop()
    assert status(scene) is PlcStatus.STOPPED
    scene.plc.repair()
    assert status(scene) is PlcStatus.EMPTY
    assert not scene.plc.match_md5(md5(A))
    assert scene.store.empty


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda plc: plc.start(), "load one first"),
        (lambda plc: plc.stop(), "not started"),
        (lambda plc: plc.variables(), "load one first"),
        (lambda plc: plc.read_variables([0]), "load one first"),
        (lambda plc: plc.force_variables({0: FORCE}), "load one first"),
        (lambda plc: plc.open_trace([0]), "load one first"),
        (lambda plc: plc.log_message(0, 0), "no critical message"),
        (lambda plc: plc.log_message(9, 0), "level 9"),
    ],
)
def test_what_an_empty_plc_refuses(
    scene: Scene, call: Callable[[PLC], object], sentence: str
) -> None:
    with pytest.raises(StateError, match=sentence):
        call(scene.plc)
    assert status(scene) is PlcStatus.EMPTY


def test_refused_commands_leave_a_warning_in_the_log(scene: Scene) -> None:
    for call in (scene.plc.start, scene.plc.stop):
        with pytest.raises(StateError):
            call()
    scene.load(A)
    scene.plc.start()
    for call in (scene.plc.start, scene.plc.repair):
        with pytest.raises(StateError):
            call()
    assert [text.split(":")[0] for text in scene.log_texts(WARNING) if "refused" in text] == [
        "start refused",
        "stop refused",
        "start refused",
        "repair refused",
    ]
    assert status(scene) is PlcStatus.STARTED


@pytest.mark.parametrize(
    ("data", "announced", "error", "sentence"),
    [
        (B, md5(A), StoreError, "MD5"),
        (B, "../../../etc/x", StoreError, "32 hexadecimal"),
        (B, "", StoreError, "32 hexadecimal"),
        (b"", md5(b""), ImageError, "not an ELF"),
        (b"#!/bin/sh", md5(b"#!/bin/sh"), ImageError, "not an ELF"),
        (image("c", wrong=Wrong(tls=True)), None, ImageError, "thread-local"),
        (image("c", wrong=Wrong(version=7)), None, ImageError, "ABI version 7"),
        (image("c", "fail-trial"), None, ImageError, "SIGSEGV"),
    ],
)
def test_a_bad_upload_never_disturbs_the_running_program(
    scene: Scene, data: bytes, announced: str | None, error: type[Exception], sentence: str
) -> None:
    scene.load(A, table=b"1")
    scene.plc.start()
    scene.plc.force_variables({1: FORCE})
    token = scene.plc.open_trace([0])
    before = scene.store.current()
    blob_id = scene.upload(data)
    announced = md5(data) if announced is None else announced
    with pytest.raises(error) as refusal:
        scene.plc.new_plc("ide", announced, blob_id)
    assert sentence in str(refusal.value)
    assert any(sentence in text for text in scene.log_texts(WARNING))
    assert status(scene) is PlcStatus.STARTED
    assert scene.plc.forced()[1] == [1]
    assert scene.plc.read_trace(token, 0, BIG)[0] is PlcStatus.STARTED
    assert len(scene.board.paths) == 1
    assert scene.store.current() == before
    assert scene.plc.match_md5(md5(A))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "x" * 256])
def test_bad_names_of_extra_files(scene: Scene, name: str) -> None:
    scene.load(A)
    program, extra = scene.upload(B), scene.upload(b"evil", b"x")
    with pytest.raises(StoreError):
        scene.plc.new_plc("ide", md5(B), program, [("good", extra), (name, extra)])
    with pytest.raises(StoreError, match="two"):
        scene.plc.new_plc("ide", md5(B), program, [("same", extra), ("same", extra)])
    assert scene.plc.match_md5(md5(A))


def test_two_extra_files_may_share_one_upload(scene: Scene) -> None:
    program, extra = scene.upload(A), scene.upload(b"both", b"x")
    scene.plc.new_plc("ide", md5(A), program, [("one", extra), ("two", extra)])
    folder = Path(scene.store.current().files_directory)
    assert [(folder / name).read_bytes() for name in ("one", "two")] == [b"both", b"both"]


def test_uploads_are_used_up_by_success_only_and_belong_to_their_owner(scene: Scene) -> None:
    blob_id = scene.upload(A)
    with pytest.raises(BlobError):
        scene.plc.new_plc("another", md5(A), blob_id)
    with pytest.raises(StoreError):
        scene.plc.new_plc("ide", md5(B), blob_id)
    scene.plc.purge_blobs("another")
    scene.plc.new_plc("ide", md5(A), blob_id)
    with pytest.raises(BlobError, match=blob_id.hex()):
        scene.plc.new_plc("ide", md5(A), blob_id)
    for free in (scene.plc.purge_blobs, scene.plc.owner_closed):
        blob_id = scene.upload(B)
        free("ide")
        with pytest.raises(BlobError):
            scene.plc.append_chunk("ide", b"x", blob_id)
    assert list(Path(scene.store.spool_directory).iterdir()) == []


def test_a_program_the_board_refuses_leaves_the_one_before_loaded(scene: Scene) -> None:
    scene.load(A, table=b"1")
    scene.plc.start()
    with pytest.raises(ImageError, match="the table is bad"):
        scene.load(image("c", "fail-load"), other=b"2")
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.match_md5(md5(A))
    assert scene.store.current().files == ("table",)
    scene.plc.start()
    assert status(scene) is PlcStatus.STARTED


def test_a_full_disk_at_the_switch_leaves_the_one_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.load(A)

    def full(program: object) -> None:
        raise StoreError("the program cannot be switched: No space left on device")

    monkeypatch.setattr(scene.store, "commit", full)
    with pytest.raises(StoreError, match="No space"):
        scene.load(B)
    monkeypatch.undo()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.program().md5 == md5(A)
    scene.load(B)
    assert scene.plc.match_md5(md5(B))


def test_the_loaded_program_is_never_loaded_again(scene: Scene) -> None:
    scene.load(A, table=b"1")
    scene.plc.start()
    token = scene.plc.open_trace([0])
    scene.plc.force_variables({0: FORCE})
    scene.load(A, table=b"2", more=b"3")
    assert len(scene.board.paths) == 1
    assert scene.board.unloads == 0
    assert Path(scene.board.paths[0]).exists()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.forced()[1] == []
    with pytest.raises(TraceError):
        scene.plc.read_trace(token, 0, BIG)
    folder = Path(scene.store.current().files_directory)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "table": b"2",
        "more": b"3",
    }
    scene.plc.start()
    scene.load(B)
    scene.load(A)
    assert len(set(scene.board.paths)) == 3


def test_copies_that_are_not_loaded_any_more_are_removed(scene: Scene) -> None:
    for data in (A, B, A, B):
        scene.load(data)
    run = Path(scene.board.paths[-1]).parent
    assert [str(path) for path in run.iterdir()] == scene.board.paths[-1:]


def test_init_may_refuse_to_start(scene: Scene) -> None:
    scene.load(image("c", "fail-init"))
    with pytest.raises(ProgramFault, match="init returned 1"):
        scene.plc.start()
    assert status(scene) is PlcStatus.STOPPED
    assert any("init returned 1" in text for text in scene.log_texts(WARNING))


def test_program_messages_and_ours_share_one_log(scene: Scene) -> None:
    scene.board.program_logs(INFO, "level is high")
    scene.plc.log(INFO, "from a transport")
    assert "level is high" in scene.log_texts(INFO)
    assert "from a transport" in scene.log_texts(INFO)
    scene.plc.reset_log()
    assert scene.plc.status()[1] == (0, 0, 0, 0)


def test_status_and_program(scene: Scene) -> None:
    assert scene.plc.program() == (False, "", "", "", 0, 0, ())
    scene.load(A)
    program = scene.plc.program()
    assert program[:5] == (True, md5(A), "fake", "1", VARIABLES + 1)
    assert program.tasks[0].name == "MAIN"
    assert [variable.path for variable in scene.plc.variables()][-1] == "TEXT"
    assert scene.plc.read_variables([0, 1]) == (0, struct.pack("<ii", 0, 1))
    found = scene.plc.board_status()
    assert found[:4] == (PlcStatus.STOPPED, False, "a fake: not real time", 0)
    assert found.uptime_ns > 0


def test_an_index_never_means_a_variable_of_another_program(scene: Scene) -> None:
    scene.load(A)
    table = scene.plc.program().table
    assert scene.plc.read_variables([0], table) == scene.plc.read_variables([0])
    scene.plc.force_variables({0: FORCE}, table)
    assert scene.plc.forced() == (table, [0])
    scene.load(B)
    assert scene.plc.program().table != table
    calls: list[Callable[[], object]] = [
        lambda: scene.plc.variables(table),
        lambda: scene.plc.read_variables([0], table),
        lambda: scene.plc.force_variables({0: FORCE}, table),
        lambda: scene.plc.open_trace([0], table),
    ]
    for call in calls:
        with pytest.raises(TableChanged):
            call()
    assert scene.plc.forced()[1] == []


def test_no_service_1_refusal_is_anything_but_ours(scene: Scene) -> None:
    """Garbage in every argument: an exception of ours or an answer, and the PLC lives."""
    plc = scene.plc
    attempts: list[Callable[[], object]] = [
        lambda: plc.append_chunk("ide", b"x", b""),
        lambda: plc.append_chunk("ide", b"x", bytes(1000)),
        lambda: plc.new_plc("ide", "\0", b"", [("", b"")]),
        lambda: plc.new_plc("ide", md5(A), b"", []),
        lambda: plc.set_trace_list([(0xFFFFFFFF, bytes(5000))]),
        lambda: plc.get_traces(0xFFFFFFFF, 0),
        lambda: plc.log_message(255, 0xFFFFFFFF),
        lambda: plc.match_md5("\0../" * 100),
        lambda: plc.read_trace(0xFFFFFFFF, 0xFFFFFFFF, 0),
        lambda: plc.close_trace(0),
    ]
    for attempt in attempts:
        with contextlib.suppress(SerialRuntimeError):
            attempt()
    assert status(scene) is PlcStatus.EMPTY
