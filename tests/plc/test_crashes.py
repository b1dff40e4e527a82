# SPDX-License-Identifier: MIT
"""The row of crashes: what counts, what ends it, power cuts at every write, and the safe mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from failing_disk import FailingDisk, PowerCut
from plc_scene import Scene, image, status

from serial_runtime.errors import ProgramFault
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.crashes import Crashes
from serial_runtime.plc.disk import Disk
from serial_runtime.plc.log import CRITICAL, WARNING

A = image("a")


class Process:
    """One process after another on the same directory; time passes when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot_id = "first"
        self.now_s = 0.0
        self.disk = Disk()
        self.begin()

    def begin(self) -> Crashes:
        self.crashes = Crashes(
            str(self.folder),
            stable_s=60.0,
            boot_id=self.boot_id,
            clock=lambda: self.now_s,
            disk=self.disk,
        )
        return self.crashes


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_the_end_of_the_process_while_a_program_ran_is_a_crash(process: Process) -> None:
    for count in (1, 2, 3):
        assert not process.crashes.safe_mode
        process.crashes.begins()
        assert process.begin().count == count
    assert process.crashes.safe_mode
    assert process.crashes.reason == "the runtime's process died while the program ran"
    assert process.begin().count == 3  # nothing ran


def test_a_fault_counts_once_though_the_process_dies_later(process: Process) -> None:
    process.crashes.begins()
    process.crashes.faulted("segmentation fault\nin PUMP")
    process.crashes.faulted("again")
    assert process.begin().count == 1
    assert process.crashes.reason == "segmentation fault in PUMP"


def test_an_orderly_end_is_none_and_does_not_end_the_row(process: Process) -> None:
    process.crashes.begins()
    process.crashes.faulted("x")
    process.crashes.begins()
    process.crashes.ended()
    assert process.begin().count == 1


def test_a_loss_of_power_is_none(process: Process) -> None:
    process.crashes.begins()
    process.boot_id = "second"
    assert process.begin().count == 0
    assert process.begin().count == 0


@pytest.mark.parametrize(("lasts_s", "count"), [(59.9, 2), (60.0, 1)])
def test_a_run_that_lasts_ends_the_row(process: Process, lasts_s: float, count: int) -> None:
    process.crashes.begins()
    process.crashes.faulted("x")
    process.now_s = 1000.0
    process.crashes.begins()
    process.now_s += lasts_s
    process.crashes.runs()
    assert process.begin().count == count


def test_an_order_ends_it(process: Process) -> None:
    process.crashes.begins()
    process.crashes.faulted("x")
    process.crashes.clear()
    assert (process.crashes.count, process.crashes.reason) == (0, "")
    assert process.begin().count == 0


def test_no_limit_no_safe_mode(tmp_path: Path) -> None:
    (tmp_path / "crashes").write_text("7\nx\n")
    assert Crashes(str(tmp_path), limit=0).count == 7
    assert not Crashes(str(tmp_path), limit=0).safe_mode
    assert Crashes(str(tmp_path), limit=7).safe_mode


@pytest.mark.parametrize("content", [b"", b"\0" * 30, b"-1\n", b"x", b"\xff\xfe", "²\n".encode()])
def test_damaged_files_count_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "crashes").write_bytes(content)
    (tmp_path / "running").write_bytes(content)
    assert Crashes(str(tmp_path), boot_id="b").count == 0


def test_a_disk_that_fails_is_told_and_keeps_nothing_from_running(process: Process) -> None:
    (process.folder / "running").mkdir()
    process.crashes.begins()
    assert "cannot be counted" in process.crashes.trouble


def died(crashes: Crashes) -> None:
    crashes.begins()
    crashes.faulted("new")


def cleared(crashes: Crashes) -> None:
    crashes.clear()


@pytest.mark.parametrize(("action", "allowed"), [(died, {1, 2}), (cleared, {1, 0})])
def test_a_power_cut_at_any_instant_leaves_old_or_new(
    tmp_path: Path, action: Callable[[Crashes], None], allowed: set[int]
) -> None:
    seen = set()
    cut_after, unsynced_kept, finished = 0, 0, False
    while not finished:
        folder = tmp_path / f"{cut_after}-{unsynced_kept}"
        (folder / "s").mkdir(parents=True)
        (folder / "s" / "crashes").write_text("1\nold\n")
        disk = FailingDisk(folder / "grave")
        crashes = Crashes(str(folder / "s"), boot_id="first", disk=disk)
        disk.lose(disk.unsynced)
        disk.operations, disk.cut_after = 0, cut_after
        try:
            action(crashes)
            finished = True
        except PowerCut:
            pass
        unsynced = disk.unsynced
        disk.lose(min(unsynced_kept, unsynced))
        found = Crashes(str(folder / "s"), boot_id="second")
        assert found.count in allowed, (cut_after, unsynced_kept)
        seen.add(found.count)
        found.begins()
        found.faulted("after the cut")
        assert Crashes(str(folder / "s"), boot_id="second").count == found.count
        if unsynced_kept < unsynced:
            unsynced_kept, finished = unsynced_kept + 1, False
        else:
            cut_after, unsynced_kept = cut_after + 1, 0
    assert seen == allowed


# ---- the PLC object ------------------------------------------------------------------------------


def crash(scene: Scene) -> None:
    scene.board.crash("segmentation fault in PUMP")
    scene.plc.housekeeping()


def new_process(scene: Scene, *, autostart: bool = True) -> None:
    scene.kill()
    scene.begin()
    scene.plc.autoload(autostart)


def test_after_three_crashes_nothing_is_started_by_itself(scene: Scene) -> None:
    scene.load(A)
    scene.plc.start()
    for _ in range(2):
        crash(scene)
        new_process(scene)
        assert status(scene) is PlcStatus.STARTED
    warned = scene.log_texts(WARNING)
    assert "the program has crashed 2 times in a row: segmentation fault in PUMP" in warned
    new_process(scene)  # without a fault: the process died
    assert status(scene) is PlcStatus.STOPPED
    assert scene.plc.supervision().safe_mode
    (said,) = scene.log_texts(CRITICAL)
    assert said.startswith("safe mode: the program is not started, since it has crashed 3 times")
    new_process(scene)
    assert status(scene) is PlcStatus.STOPPED
    scene.plc.start()  # somebody's order
    assert not scene.plc.supervision().safe_mode
    assert scene.plc.supervision().crashes == 0
    new_process(scene)
    assert status(scene) is PlcStatus.STARTED


def test_a_new_program_and_repair_end_the_row(scene: Scene) -> None:
    for order in (lambda: scene.load(image("b")), lambda: scene.plc.repair()):
        scene.load(A)
        scene.plc.start()
        crash(scene)
        assert scene.plc.supervision().crashes == 1
        order()
        assert scene.plc.supervision().crashes == 0
        new_process(scene, autostart=False)


@pytest.mark.parametrize("word", ["crash-init", "fail-init"])
def test_a_program_that_crashes_in_init_counts_one_that_refuses_does_not(
    scene: Scene, word: str
) -> None:
    scene.load(image("a", word))
    with pytest.raises(ProgramFault):
        scene.plc.start()
    scene.plc.housekeeping()
    assert scene.plc.supervision().crashes == (word == "crash-init")
    new_process(scene, autostart=False)
    assert scene.plc.supervision().crashes == (word == "crash-init")


def test_stopped_in_good_order_is_no_crash(scene: Scene) -> None:
    scene.load(A)
    scene.plc.start()
    scene.plc.stop()
    new_process(scene, autostart=False)
    scene.plc.start()
    scene.end()
    scene.begin()
    assert scene.plc.supervision().crashes == 0
