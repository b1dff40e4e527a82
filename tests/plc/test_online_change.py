# SPDX-License-Identifier: MIT
"""Online change by the PLC object, on the real board: report, trial, store, forces, retain."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from plc_scene import md5
from test_real_board import RealScene, in_a_process, until

import serial_runtime
from serial_runtime.errors import ImageError, ProgramFault, StateError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.change_report import Fate
from serial_runtime.plc.changes import Order
from serial_runtime.plc.online_change import ChangeReport

SOURCE = Path(__file__).resolve().parents[1] / "board" / "images" / "change.c"


@cache
def program(*defines: str) -> bytes:
    """tests/board/images/change.c with these defines."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", "-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-Wl,-z,now", "-w"]
        command += [f"-D{define}" for define in defines]
        command += ["-I", serial_runtime.get_include(), str(SOURCE), "-o", f"{folder}/p.so"]
        subprocess.run(command, check=True)
        return (Path(folder) / "p.so").read_bytes()


OLD, NEW = ("VERSION=1",), ("VERSION=2",)


class Changing(RealScene):
    """Version 1 runs."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.load(program(*OLD))
        self.plc.start()

    def prepare(self, *defines: str, probation: int = 0, strict: bool = False) -> ChangeReport:
        data = program(*defines)
        order = Order(md5(data), self.upload(data), (), probation, strict)
        return self.plc.changes.prepare("ide", order)

    def change(self, *defines: str, probation: int = 0) -> None:
        """Again while this machine is too busy to leave a cycle the time."""

        def made() -> bool:
            try:
                self.plc.changes.make(self.prepare(*defines, probation=probation).number)
            except StateError as error:
                assert "time" in str(error) or "takes" in str(error)  # noqa: PT017
                return False
            return True

        until(made)

    def state(self) -> str:
        status = self.plc.changes.status()
        return status.state if status is not None else "none"

    def value(self, path: str) -> int:
        paths = [row.path for row in self.plc.variables()]
        data = self.plc.read_variables([paths.index(path)])[1]
        return int.from_bytes(data[:4], "little", signed=True)

    def index(self, path: str) -> int:
        return [row.path for row in self.plc.variables()].index(path)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Changing]:
    it = Changing(str(tmp_path))
    yield it
    it.end()


def test_the_report(scene: Changing) -> None:
    scene.plc.force_variables({scene.index("SPEED"): struct.pack("<h", 3)})
    report = scene.prepare(*NEW)
    rows = {(row.fate, row.name): row.text for row in report.rows}
    assert rows == {
        **{(Fate.KEPT, name): kind for name, kind in (
            ("COUNTER", "UDINT"), ("LAMP", "BOOL"), ("CYCLES", "UDINT"), ("DELAY.IN", "BOOL"),
            ("DELAY.PT", "TIME"), ("DELAY.Q", "BOOL"), ("DELAY.ET", "TIME"),
            ("DELAY.STATE", "USINT"), ("DELAY.START", "TIME"),
        )},
        (Fate.CONVERTED, "TEXT"): "STRING[8] -> STRING[16]",
        (Fate.CONVERTED, "SPEED"): "INT -> DINT",
        (Fate.UNFORCED, "SPEED"): "not forced any more: another type",
        (Fate.RESET, "LEVEL"): "DINT -> INT could lose a value: it gets its initial value",
        (Fate.NEW, "FRESH"): "DINT, its initial value",
        (Fate.MOVED, "LAMP"): "%QX0.0 -> %QX0.2",
        (Fate.DROPPED, "SIREN"): "BOOL, its value is lost",
        (Fate.DROPPED, "GONE"): "DINT, its value is lost",
        (Fate.OUTSIDE, "runs"): "4 bytes without a row: begin anew",
    }  # fmt: skip
    assert report.figures.period_ns == 1_000_000
    assert report.figures.copy_ns > 0
    assert report.probation == 10_000  # ten seconds
    assert scene.state() == "opened"
    assert scene.value("COUNTER") > 0  # it runs on
    scene.plc.changes.drop(report.number)
    with pytest.raises(StateError, match="is gone"):
        scene.plc.changes.make(report.number)


def test_tasks_in_the_report(scene: Changing) -> None:
    report = scene.prepare(*NEW, "INTERVAL_NS=2000000")
    tasks = [row for row in report.rows if row.fate is Fate.TASK]
    assert [tuple(row) for row in tasks] == [(Fate.TASK, "MAIN", "every 1 ms -> 2 ms")]


def test_strict_refuses_losses(scene: Changing) -> None:
    with pytest.raises(ImageError, match=r"4 values would be lost \(LEVEL, SIREN, GONE, runs\)"):
        scene.prepare(*NEW, strict=True)
    assert scene.state() == ""


def test_kept_after_its_trial(scene: Changing) -> None:
    scene.plc.force_variables({scene.index("COUNTER"): struct.pack("<I", 77)})
    token = scene.plc.open_trace([0])
    scene.change(*NEW, probation=20)
    assert scene.value("SPEED") == -7
    assert scene.plc.forced()[1] == [scene.index("COUNTER")]
    assert scene.value("COUNTER") == 77
    assert scene.plc.get_traces(token, 1000) == (PlcStatus.BROKEN, [])
    assert scene.plc.program().md5 == md5(program(*NEW))
    assert scene.plc.match_md5(md5(program(*NEW)))
    assert scene.plc.open_trace([0]) != token
    until(lambda: scene.state() == "kept")
    assert scene.store.current().md5 == md5(program(*NEW))
    scene.plc.release_forces()
    scene.change(*OLD, probation=1)  # and back
    until(lambda: scene.state() == "kept")
    scene.plc.stop()
    scene.plc.start()
    assert scene.store.current().md5 == md5(program(*OLD))


def test_on_trial_the_old_one_is_stored(scene: Changing) -> None:
    scene.change(*NEW)
    status = scene.plc.changes.status()
    assert status is not None
    assert status.state == "on trial"
    assert 0 < status.cycles_left <= 10_000
    assert scene.store.current().md5 == md5(program(*OLD))
    assert not scene.plc.match_md5(md5(program(*OLD)))  # the IDE's debugger would be wrong
    for call in (lambda: scene.load(program("VERSION=1", "OTHER")), lambda: scene.prepare(*OLD)):
        with pytest.raises(StateError, match="on trial"):
            call()
    scene.plc.stop()
    assert scene.state() == "taken back"
    assert scene.plc.program().md5 == md5(program(*OLD))
    scene.plc.start()
    assert scene.value("SPEED") & 0xFFFF == 0xFFF9


def test_another_program_drops_what_is_prepared(scene: Changing) -> None:
    report = scene.prepare(*NEW)
    with pytest.raises(StateError, match="loaded: there is nothing to change"):
        scene.prepare(*OLD)
    with pytest.raises(StateError, match="is gone"):
        scene.plc.changes.make(report.number)
    report = scene.prepare(*NEW)
    scene.plc.owner_closed("somebody else")
    assert scene.state() == "opened"
    scene.plc.owner_closed("ide")
    with pytest.raises(StateError, match="is gone"):
        scene.plc.changes.make(report.number)
    scene.prepare(*NEW)
    scene.load(program(*NEW))
    assert scene.plc.status()[0] is PlcStatus.STOPPED
    with pytest.raises(StateError, match="no program is running"):
        scene.prepare(*OLD)


def test_what_refuses_changes_nothing(scene: Changing) -> None:
    before = scene.value("COUNTER")
    with pytest.raises(ProgramFault, match="init returned 3"):
        scene.change(*NEW, "REFUSE")
    with pytest.raises(ImageError, match="two variables have the path FRESH"):
        scene.prepare("VERSION=2", "TWICE")
    assert scene.value("COUNTER") > before
    assert scene.plc.status()[0] is PlcStatus.STARTED
    assert scene.plc.program().md5 == md5(program(*OLD))
    assert any("online change" in text or "refused" in text for text in scene.log_texts(1))


def test_a_fault_on_trial_and_the_next_start(tmp_path: Path) -> None:
    told = in_a_process(
        tmp_path,
        """
from test_online_change import NEW, OLD, Changing, md5
from test_online_change import program as version
scene.end()
scene = Changing(scene._directory)
plc = scene.plc
plc.force_variables({scene.index("SPEED"): b"\\x09\\x00"})
scene.change(*NEW, "CRASH")
until(lambda: scene.state() == "taken back")
print(plc.changes.status().text)
print(plc.status()[0].name, scene.value("SPEED") & 0xFFFF, plc.forced()[1] != [])
before = scene.value("COUNTER")
until(lambda: scene.value("COUNTER") > before)
assert plc.program().md5 == md5(version(*OLD))
assert scene.store.current().md5 == md5(version(*OLD))
print(any("taken back" in text for text in scene.log_texts(0)))
try:
    plc.start()
except Exception as error:
    assert "started already" in str(error), error
assert plc.restart is None
plc.stop()
print(plc.status()[0].name)
plc.start()
print(plc.restart)
""",
    )
    assert "segmentation fault" in told
    assert "STARTED 9 True" in told
    assert "True\nSTOPPED" in told
    assert "RestartPlan(start=True" in told


def test_a_load_after_a_fault_on_trial(tmp_path: Path) -> None:
    told = in_a_process(
        tmp_path,
        """
from test_online_change import NEW, Changing
from test_online_change import program as version
scene.end()
scene = Changing(scene._directory)
scene.change(*NEW, "FAULT")
until(lambda: scene.state() == "taken back")
scene.load(version(*NEW))
print(scene.plc.status()[0].name, scene.plc.restart)
""",
    )
    assert "STOPPED RestartPlan(start=False" in told
