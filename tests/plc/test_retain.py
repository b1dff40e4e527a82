# SPDX-License-Identifier: MIT
"""Retained values: through stops, crashes, new processes and edited programs, on a fake board."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_board import RETAINED, VARIABLES, FakeBoard
from plc_scene import Scene, image, status

from serial_runtime.board import Image, Variable
from serial_runtime.errors import ProgramFault, StateError, StoreError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.disk import Disk
from serial_runtime.plc.log import CRITICAL, INFO, WARNING, Log
from serial_runtime.plc.retain import Retain
from serial_runtime.plc.retain_file import Key, RetainFiles

A, B, PLAIN = image("a", "retain"), image("b", "retain"), image("plain")
CRASHING = image("c", "retain", "crash-fini")
MD5 = "0" * 32


def at_tick(tick: int) -> dict[int, bytes]:
    """What the retain variables hold at the end of that cycle, see fake_board."""
    values = {index: struct.pack("<I", tick * 10 + index) for index in RETAINED[:2]}
    return {**values, VARIABLES: b"\0"}


class FullDisk(Disk):
    full = False

    def overwrite(self, path: str, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().overwrite(path, data)


class RetainScene(Scene):
    def begin(self) -> None:
        self.disk = FullDisk()
        files = RetainFiles(self._directory, self.disk)
        self.options = {"retain_files": files, "retain_interval_s": 0.0}
        super().begin()

    def started(self, program: bytes, cycles: int = 0) -> dict[int, bytes]:
        """Load, start, run; what it was started with."""
        self.load(program)
        self.plc.start()
        self.board.run_cycles(cycles)
        return self.board.given

    def captured(self, wait_for: Callable[[Callable[[], object]], None]) -> None:
        """Have the values of the next cycle written."""
        writes = self.plc.retained()[0].writes
        wait_for(lambda: self.plc.retained() and self.board.asked)
        self.board.run_cycles(1)
        wait_for(lambda: self.plc.retained()[0].writes > writes)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[RetainScene]:
    it = RetainScene(str(tmp_path / "store"))
    yield it
    it.end()


WaitFor = Callable[[Callable[[], object]], None]


def test_a_stop_keeps_the_values_of_the_last_cycle(scene: RetainScene) -> None:
    assert scene.started(A, 7) == {}
    scene.plc.stop()
    scene.plc.start()
    assert scene.board.given == at_tick(7)
    assert "3 of 3 retain variables got their values" in scene.log_texts(INFO)
    scene.board.run_cycles(2)
    scene.end()  # stops it
    scene.begin()
    scene.plc.autoload(True)
    assert scene.board.given == at_tick(2)
    kept = scene.plc.retained()
    assert [one.key.path for one in kept[1]] == ["V0", "V1", "TEXT"]
    assert kept[0][:3] == (True, 3, 0)


def test_a_crash_keeps_what_was_taken_before(scene: RetainScene, wait_for: WaitFor) -> None:
    scene.started(A, 5)
    scene.captured(wait_for)
    assert scene.board.asked  # again: answered at tick 6, taken after the crash
    scene.board.run_cycles(10)
    scene.board.crash()
    scene.plc.housekeeping()
    scene.plc.start()
    scene.re_execute()
    assert scene.board.given == at_tick(6)


def test_a_crash_in_fini_keeps_the_last_cycle(scene: RetainScene) -> None:
    scene.started(CRASHING, 9)

    def answer_and_crash() -> None:
        scene.board._answer()  # as the shim does, before fini
        scene.board._crashed("in fini")

    scene.board.stop = answer_and_crash  # type: ignore[method-assign]
    scene.plc.stop()
    assert status(scene) is PlcStatus.BROKEN
    scene.plc.start()
    scene.re_execute()
    assert scene.board.given == at_tick(9)


def test_a_cold_start_forgets(scene: RetainScene) -> None:
    scene.started(A, 5)
    scene.plc.stop()
    scene.plc.start(cold=True)
    assert scene.board.given == {}
    assert scene.plc.retained()[1] == []
    scene.board.crash()  # before anything was taken
    scene.plc.start()
    scene.re_execute()
    assert scene.board.given == {}
    scene.plc.stop()
    scene.plc.start()
    assert scene.board.given == at_tick(0)


def test_a_cold_start_after_a_crash_forgets(scene: RetainScene, wait_for: WaitFor) -> None:
    scene.started(A, 5)
    scene.captured(wait_for)
    scene.board.crash()
    scene.plc.start(cold=True)
    scene.re_execute()
    assert status(scene) is PlcStatus.STARTED
    assert scene.board.given == {}


def test_a_refused_cold_start_forgets_nothing(scene: RetainScene) -> None:
    scene.started(A, 5)
    with pytest.raises(StateError, match="started already"):
        scene.plc.start(cold=True)
    scene.plc.stop()
    scene.plc.start()
    assert scene.board.given == at_tick(5)


def test_an_edited_program_gets_what_fits_and_the_former_one_finds_the_rest(
    scene: RetainScene,
) -> None:
    scene.started(A, 5)
    scene.plc.stop()
    assert scene.started(PLAIN, 3) == {}
    assert (
        "retained values that this program has no variable for: V0 (not RETAIN), V1 (not RETAIN), "
        "TEXT (not RETAIN); they are kept for one that has"
    ) in scene.log_texts(WARNING)
    assert scene.plc.retained()[0].orphans == 3
    scene.end()
    scene.begin()
    scene.plc.autoload(True)
    told = [text for text in scene.log_texts(WARNING) if "retained values" in text]
    assert told == []  # it was told
    scene.plc.stop()
    assert scene.started(B, 1) == at_tick(5)
    assert scene.plc.retained()[0].orphans == 0


def test_variables_without_names_belong_to_their_program(scene: RetainScene) -> None:
    scene.started(image("x", "object", "retain"), 5)
    scene.plc.stop()
    assert scene.started(image("y", "object", "retain"), 6) == {}
    scene.plc.stop()
    assert scene.started(image("x", "object", "retain")) == at_tick(5)


def test_clearing(scene: RetainScene) -> None:
    scene.started(A, 5)
    with pytest.raises(StateError, match="stop it first, or start it cold"):
        scene.plc.clear_retained()
    assert "not cleared" in scene.log_texts(WARNING)[-1]
    scene.plc.stop()
    scene.disk.full = True
    with pytest.raises(StoreError, match="No space left"):
        scene.plc.clear_retained()
    assert len(scene.plc.retained()[1]) == 3
    scene.disk.full = False
    scene.plc.clear_retained()
    scene.end()
    scene.begin()
    scene.plc.autoload(True)
    assert scene.board.given == {}
    for name in ("retain-a", "retain-b"):
        assert b"TEXT" not in (Path(scene.store.directory) / name).read_bytes()


def test_values_of_a_cleared_run_never_come_back(scene: RetainScene) -> None:
    scene.started(A, 5)
    scene.plc.stop()
    scene.plc.clear_retained()
    scene.plc.start()
    scene.board.crash()
    scene.plc.start()
    scene.re_execute()
    assert scene.board.given == {}


def test_a_full_disk_stops_nothing(scene: RetainScene, wait_for: WaitFor) -> None:
    scene.started(A, 1)
    scene.disk.full = True
    wait_for(lambda: scene.plc.retained() and scene.board.asked)
    scene.board.run_cycles(1)
    wait_for(lambda: scene.plc.retained()[0].trouble)
    assert "retain-a: No space left on device" in scene.plc.retained()[0].trouble
    assert status(scene) is PlcStatus.STARTED
    scene.plc.stop()
    scene.plc.start()
    assert scene.board.given == at_tick(2)  # this process knows them
    scene.plc.stop()
    told = [text for text in scene.log_texts(CRITICAL) if "No space left" in text]
    assert len(told) == 1
    scene.disk.full = False
    wait_for(lambda: scene.plc.retained()[0].writes)
    assert scene.plc.retained()[0].trouble == ""
    assert "retain variables are written again" in scene.log_texts(INFO)


def test_an_init_that_refuses_loses_nothing(scene: RetainScene) -> None:
    scene.started(A, 5)
    scene.plc.stop()
    with pytest.raises(ProgramFault):
        scene.started(image("f", "retain", "fail-init"))
    assert scene.started(A) == at_tick(5)


def test_nothing_is_kept_without_files(tmp_path: Path) -> None:
    scene = Scene(str(tmp_path))
    scene.load(A)
    scene.plc.start()
    scene.plc.stop()
    scene.plc.start(cold=True)
    assert scene.board.given == {}
    scene.plc.stop()
    assert scene.plc.retained()[0].enabled is False
    with pytest.raises(StateError, match="retain.enabled"):
        scene.plc.clear_retained()
    scene.end()


# ---- the part itself, with a clock --------------------------------------------------------------


class Part:
    """Retain on a board that runs A, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        self.log, self.board = Log(), FakeBoard()
        (folder / "a").write_bytes(A)
        self.image = self.board.load(str(folder / "a"))
        self.files = RetainFiles(str(folder / "kept"))
        self.retain = Retain(self.board.as_board(), self.log, self.files, 10.0, lambda: self.now_s)

    def start(self, program: Image | None = None) -> dict[int, bytes]:
        program = program or self.image
        given = self.retain.values_for(program, MD5)
        self.board.start(given)
        self.retain.follow(program, MD5, given, at_once=False)
        return given

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.retain.housekeeping()

    def cycle(self) -> None:
        """The answer to what was asked is taken, and its write is done."""
        self.board.run_cycles(1)
        self.retain.housekeeping()
        self.retain._settle()

    def texts(self, level: int) -> list[str]:
        count = self.log.counts()[level]
        return [self.log.message(level, number).text for number in range(count)]


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    it = Part(tmp_path)
    yield it
    it.retain.close()


def test_values_are_written_when_they_have_changed_but_seldom(part: Part) -> None:
    part.start()
    part.later(9.9)
    assert not part.board.asked
    part.later(0.2)
    assert part.board.asked
    part.later(30)  # the cycle is slow
    assert part.retain.status().writes == 0
    part.cycle()
    assert part.retain.status()[:4] == (True, 3, 0, 1)
    part.later(1)
    assert not part.board.asked
    for _ in range(3):
        part.later(10.1)
        part.board._tick -= 1  # the values are the same
        part.cycle()
    assert part.retain.status().writes == 1
    assert part.retain.status().written_ago_ns == 31_300_000_000
    part.later(10.1)
    part.cycle()
    assert part.retain.status().writes == 2


def test_an_online_change_is_followed(part: Part) -> None:
    part.start()
    part.later(11)
    part.cycle()
    rows = list(part.image.variables)
    rows[1] = rows[1]._replace(path="RENAMED")
    part.retain.follow(part.image._replace(variables=tuple(rows)), MD5)
    part.later(0)  # at once
    part.cycle()
    paths = [(one.key.path, one.orphan) for one in part.retain.values()]
    assert paths == [("V1", True), ("V0", False), ("RENAMED", False), ("TEXT", False)]


def test_values_of_another_table_are_left_alone(part: Part) -> None:
    part.start()
    part.board._retained = [0, 1, 2, VARIABLES]
    part.later(11)
    part.cycle()
    assert part.retain.values() == []


def edited(image: Image, **changes: Any) -> Image:
    """The program with other rows: path=dict of new fields."""
    rows = [row._replace(**changes.get(row.path, {})) for row in image.variables]
    return image._replace(variables=tuple(rows))


def test_what_fits_is_given_by_name_and_type(part: Part) -> None:
    part.start()
    part.board.forces = {VARIABLES: b"\3abc"}
    part.board.run_cycles(4)
    part.board.stop()
    part.retain.stopped()
    wider = edited(part.image, V0={"type": 3}, TEXT={"capacity": 80})
    assert part.retain.values_for(wider, MD5) == {1: at_tick(4)[1], VARIABLES: b"\3abc"}
    assert part.start(wider) == {1: at_tick(4)[1], VARIABLES: b"\3abc"}
    assert "variable for: V0 (it is INT, was DINT); they" in part.texts(WARNING)[0]
    shorter = edited(part.image, TEXT={"capacity": 2})
    assert part.retain.values_for(shorter, MD5) == {0: at_tick(4)[0], 1: at_tick(4)[1]}
    no_retain = edited(part.image, V1={"options": 0})
    assert set(part.retain.values_for(no_retain, MD5)) == {0, VARIABLES}
    part.retain.forget(shorter, MD5)  # a cold start: a text of another length is forgotten, too
    assert part.retain.values() == []


def test_orphans_are_bounded(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial_runtime.plc.retain._MOST_ORPHANS", 5)
    for number in range(4):
        names = {path: {"path": f"{path}.{number}"} for path in ("V0", "V1", "TEXT")}
        part.start(edited(part.image, **names))
        part.board.run_cycles(1)
        part.board.stop()
        part.retain.stopped()
    kept = [(one.key.path, one.orphan) for one in part.retain.values()]
    assert [path for path, orphan in kept if orphan] == ["V1.1", "TEXT.1", "V0.2", "V1.2", "TEXT.2"]
    assert [path for path, orphan in kept if not orphan] == ["V0.3", "V1.3", "TEXT.3"]
    assert any("without a variable are gone" in text for text in part.texts(WARNING))


def test_too_many_are_told_once(part: Part) -> None:
    part.start()
    part.board.retain_refusal = "they take more than 262144 bytes"
    for _ in range(3):
        part.later(11)
    assert part.retain.status().trouble.endswith("more than 262144 bytes")
    assert len(part.texts(CRITICAL)) == 1


def test_damage_is_told_and_the_values_before_count(part: Part, tmp_path: Path) -> None:
    for cycles in (3, 4):
        part.start()
        part.board.run_cycles(cycles)
        part.board.stop()
        part.retain.stopped()
    part.retain.close()
    newest = tmp_path / "kept" / "retain-b"
    newest.write_bytes(newest.read_bytes()[:-2])
    again = Part.__new__(Part)
    again.now_s, again.log, again.board = 0.0, Log(), part.board
    again.image, again.files = part.image, RetainFiles(str(tmp_path / "kept"))
    again.retain = Retain(part.board.as_board(), again.log, again.files)
    assert again.start() == at_tick(3)
    assert "not whole (checksum); the set before counts" in again.texts(WARNING)[0]
    again.retain.close()


def test_a_row_is_known_by_its_key() -> None:
    from serial_runtime.plc.retain import _key

    row = Variable(3, "VAR.3", 4, 0, "", 1, 0)
    native, foreign = Image("n", "1", (), (row,)), Image("b", "1", (), (row,), beremiz=True)
    assert _key(row, native, MD5) == Key("VAR.3", 4, 0)
    assert _key(row, foreign, MD5) == Key(f"{MD5}:VAR.3", 4, 0)
    named = row._replace(path="CONFIG.X")
    assert _key(named, foreign, MD5) == Key("CONFIG.X", 4, 0)


def test_a_write_without_a_thread_is_tried_again(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    part.start()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        part.later(11)
        part.cycle()
    assert "out of memory" in part.retain.status().trouble
    part.later(11)
    part.cycle()
    assert part.retain.status()[3:] == (1, 0, "")
