# SPDX-License-Identifier: MIT
"""The PLC object after a program fault, after a re-execution, and at start."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from plc_scene import Scene, image, md5, status

from serial_runtime.errors import (
    ImageError,
    ProgramFault,
    StateError,
)
from serial_runtime.plc.answers import PlcStatus, RestartPlan
from serial_runtime.plc.log import CRITICAL, WARNING

A, B = image("a"), image("b")
FORCE = struct.pack("<i", 77)
BIG = 60_000


def crashed(scene: Scene) -> None:
    scene.load(A)
    scene.plc.start()
    scene.board.crash("segmentation fault in PUMP")


def test_a_fault_is_broken_with_its_reason_in_log_and_status(scene: Scene) -> None:
    crashed(scene)
    assert status(scene) is PlcStatus.BROKEN
    assert scene.plc.board_status().fault == "segmentation fault in PUMP"
    assert ["segmentation fault in PUMP" in text for text in scene.log_texts(CRITICAL)] == [True]
    assert scene.plc.match_md5(md5(A))
    assert scene.plc.restart is None
    for refused in (
        scene.plc.stop,
        lambda: scene.plc.force_variables({0: FORCE}),
        lambda: scene.plc.open_trace([0]),
    ):
        with pytest.raises(StateError):
            refused()
    assert scene.plc.set_trace_list([(0, b"")]) == -4
    assert scene.plc.set_trace_list([]) == -5


def test_start_after_a_fault_restarts_the_runtime_and_starts_there(scene: Scene) -> None:
    crashed(scene)
    scene.plc.start()
    assert scene.plc.restart is not None
    assert scene.plc.restart.start
    scene.re_execute()
    assert status(scene) is PlcStatus.STARTED
    assert scene.plc.restart is None


def test_a_new_program_after_a_fault_is_loaded_by_the_next_process(scene: Scene) -> None:
    crashed(scene)
    scene.load(B, table=b"1")
    assert scene.plc.restart == RestartPlan(False, "a program was loaded after a program fault")
    assert scene.plc.match_md5(md5(B))
    scene.re_execute()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.program().md5 == md5(B)
    scene.plc.start()


def test_a_program_that_only_a_new_process_can_load(scene: Scene) -> None:
    scene.load(image("a", "unique"))
    scene.plc.start()
    second = image("b", "unique")
    scene.load(second)
    assert scene.plc.restart == RestartPlan(False, "only a new process can load the program")
    assert scene.plc.match_md5(md5(second))
    scene.re_execute()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.program().md5 == md5(second)
    scene.plc.start()


def test_load_and_start_after_a_fault_start_the_new_program(scene: Scene) -> None:
    crashed(scene)
    scene.load(B)
    scene.plc.start()
    scene.re_execute()
    assert status(scene) is PlcStatus.STARTED
    assert scene.plc.program().md5 == md5(B)


def test_the_same_program_may_be_loaded_after_its_fault(scene: Scene) -> None:
    crashed(scene)
    scene.load(A, more=b"1")
    scene.re_execute()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.store.current().files == ("more",)


def test_a_new_program_that_fails_there_leaves_the_one_before_not_started(scene: Scene) -> None:
    crashed(scene)
    scene.load(image("c", "fail-load"))
    scene.plc.start()
    scene.re_execute()
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.program().md5 == md5(A)
    assert any("the table is bad" in text for text in scene.log_texts(CRITICAL))


def test_a_bad_upload_after_a_fault_is_refused_as_ever(scene: Scene) -> None:
    crashed(scene)
    with pytest.raises(ImageError):
        scene.load(image("c", "fail-trial"))
    assert scene.plc.restart is None
    assert scene.plc.match_md5(md5(A))


def test_repair_after_a_fault_ends_empty(scene: Scene) -> None:
    crashed(scene)
    scene.plc.repair()
    assert scene.plc.restart is not None
    with pytest.raises(StateError, match="load one first"):
        scene.plc.start()
    scene.re_execute()
    assert status(scene) is PlcStatus.EMPTY


@pytest.mark.parametrize(("word", "call"), [("crash-init", "start"), ("crash-fini", "stop")])
def test_a_crash_in_init_or_fini_is_broken_too(scene: Scene, word: str, call: str) -> None:
    scene.load(image("c", word))
    if call == "start":
        with pytest.raises(ProgramFault):
            scene.plc.start()
    else:
        scene.plc.start()
        scene.plc.stop()
    assert status(scene) is PlcStatus.BROKEN
    assert "segmentation fault" in scene.plc.board_status().fault
    scene.load(A)
    scene.re_execute()
    assert status(scene) is PlcStatus.STOPPED


def test_a_crash_while_the_next_program_is_switched_to(scene: Scene) -> None:
    scene.load(image("c", "crash-fini"))
    scene.plc.start()
    scene.load(B)  # stopping the old one crashes: the new one waits for the next process
    assert scene.plc.restart is not None
    scene.re_execute()
    assert scene.plc.program().md5 == md5(B)


# ---- autoload ------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [True, False])
def test_autoload(scene: Scene, start: bool) -> None:
    scene.load(A)
    scene.end()
    scene.begin()
    scene.plc.autoload(start)
    assert status(scene) is (PlcStatus.STARTED if start else PlcStatus.STOPPED)


def test_a_stored_program_that_does_not_load_is_broken_and_can_be_repaired(scene: Scene) -> None:
    scene.load(A)
    scene.end()
    Path(scene.store.current().path).write_bytes(A[:-1])
    scene.begin()
    scene.plc.autoload(True)
    assert status(scene) is PlcStatus.BROKEN
    assert "damaged" in scene.plc.board_status().fault
    assert any("damaged" in text for text in scene.log_texts(CRITICAL))
    with pytest.raises(StateError, match="damaged"):
        scene.plc.start()
    with pytest.raises(StateError, match="damaged"):
        scene.plc.variables()
    scene.plc.repair()
    assert status(scene) is PlcStatus.EMPTY
    assert scene.plc.restart is None


def test_a_broken_store_takes_a_new_program_without_a_restart(scene: Scene) -> None:
    scene.load(A)
    scene.end()
    Path(scene.store.current().path).unlink()
    scene.begin()
    scene.plc.autoload(False)
    assert status(scene) is PlcStatus.BROKEN
    assert not scene.plc.match_md5(md5(A))
    scene.load(B)
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.restart is None


def test_autoload_whose_start_is_refused_stays_stopped(scene: Scene) -> None:
    scene.load(image("c", "fail-init"))
    scene.end()
    scene.begin()
    scene.plc.autoload(True)
    assert status(scene) is PlcStatus.STOPPED
    assert any("init returned 1" in text for text in scene.log_texts(WARNING))


def test_messages_of_the_runtime_carry_the_tick(scene: Scene) -> None:
    scene.load(image("a"))
    scene.plc.start()
    scene.board.run_cycles(7)
    with pytest.raises(StateError):
        scene.plc.start()
    scene.board.run_cycles(2)
    scene.board.crash()
    scene.plc.status()
    refused, fault = scene.plc.log_message(1, 1), scene.plc.log_message(0, 0)
    assert ("started already" in refused.text, refused.tick) == (True, 7)
    assert ("broken" in fault.text, fault.tick) == (True, 9)


def test_the_log_tells_what_was_started(scene: Scene) -> None:
    scene.load(image("a"))
    scene.end()
    scene.begin()
    scene.plc.autoload(True)
    assert "program fake started" in scene.log_texts(2)


def test_outputs_without_their_guard_are_told_once(scene: Scene) -> None:
    scene.board.guarded = False
    scene.plc.housekeeping()
    scene.plc.housekeeping()
    assert [text[:44] for text in scene.log_texts(0)] == [
        "outputs are not guarded, as the process that does it"[:44]
    ]
