# SPDX-License-Identifier: MIT
"""An object of the Beremiz IDE through the PLC object, as the IDE and our own client use it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import beremiz_object as object_
import pytest
from plc_scene import Scene, md5, status

from serial_runtime.board import Board, Options
from serial_runtime.errors import ImageError, StateError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.log import INFO, WARNING
from serial_runtime.plc.retain import RetainedValue
from serial_runtime.plc.retain_file import RetainFiles
from serial_runtime.plc.trial import load_on_trial

LIMIT_S = 60.0


class ObjectScene(Scene):
    """Not real time, so that it runs for everybody."""

    def __init__(self, directory: str, own_cycle: bool) -> None:
        self._own_cycle = own_cycle
        self.trial = partial(load_on_trial, own_cycle=own_cycle)  # type: ignore[assignment]
        super().__init__(directory)

    def make_board(self) -> Board:
        return Board(Options(priority=0, cpu_latency_us=-1, own_cycle=self._own_cycle))


@pytest.fixture(params=[False, True], ids=["hosted", "own"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectScene]:
    scene = ObjectScene(str(tmp_path), request.param)
    yield scene
    scene.end()


def samples(scene: Scene, token: int, count: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    end = time.monotonic() + LIMIT_S
    while len(found) < count:
        assert time.monotonic() < end, "no more samples came"
        found += scene.plc.get_traces(token, 60_000)[1]
        time.sleep(0.001)
    return found


def test_as_the_ide_does_it(scene: ObjectScene) -> None:
    program = object_.content()
    scene.load(program, **{"runtime_0.py": b"pass\n"})
    assert scene.plc.match_md5(md5(program))
    scene.plc.start()
    assert status(scene) is PlcStatus.STARTED
    assert f"id {md5(program)}" in scene.log_texts(INFO)
    order = [(object_.TEXT, b""), (object_.AN_INT, b"\x2a\0"), (object_.NOW, b"")]
    token = scene.plc.set_trace_list(order)
    assert token > 0
    for _, values in samples(scene, token, 20)[-3:]:
        assert values[:7] == b"\4text\x2a\0"
        assert len(values) == 7 + 16
    stringy = b"\5ahead" + bytes(121)  # 127 bytes, as the IDE forces a STRING
    token = scene.plc.set_trace_list([(object_.TEXT, stringy)])
    assert samples(scene, token, 3)[-1][1] == b"\5ahead"
    assert scene.plc.set_trace_list([(25, b"")]) == -4
    assert scene.plc.set_trace_list([(object_.AN_INT, b"\0")]) == -3
    assert scene.plc.set_trace_list([]) == -5
    assert scene.plc.forced()[1] == [object_.TEXT]
    scene.plc.stop()
    assert scene.plc.forced()[1] == []
    scene.load(program)  # the same: it is not loaded again
    scene.plc.start()
    scene.plc.stop()
    scene.plc.repair()
    assert status(scene) is PlcStatus.EMPTY


def test_names_come_along(scene: ObjectScene) -> None:
    program = object_.content()
    scene.load(program)
    assert scene.plc.variables()[object_.COUNT].path == "VAR.0"
    scene.load(program, **{"VARIABLES.csv": b"of another build"})
    assert scene.plc.variables()[object_.COUNT].path == "VAR.0"
    assert any("have no names: VARIABLES.csv is not" in text for text in scene.log_texts(WARNING))
    scene.load(program, **{"VARIABLES.csv": object_.variables_csv()})
    assert [row.path for row in scene.plc.variables()] == object_.NAMES
    scene.end()
    scene.begin()
    scene.plc.autoload(True)
    assert [row.path for row in scene.plc.variables()] == object_.NAMES
    assert status(scene) is PlcStatus.STARTED


def test_statistics_are_those_of_a_hosted_cycle(tmp_path: Path) -> None:
    for own_cycle in (False, True):
        scene = ObjectScene(str(tmp_path), own_cycle)
        scene.load(object_.content())
        scene.plc.start()
        if own_cycle:
            with pytest.raises(StateError, match="runs its own cycle"):
                scene.plc.statistics()
        else:
            assert scene.plc.statistics().period_ns == 1_000_000
        scene.end()


def test_retained_values_are_the_runtimes_only_when_hosted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where an object keeps its own
    kept: list[RetainedValue] = []
    for own_cycle in (False, True, False):
        files = RetainFiles(str(tmp_path / "kept"))
        monkeypatch.setattr(ObjectScene, "options", {"retain_files": files})
        scene = ObjectScene(str(tmp_path), own_cycle)
        scene.load(object_.content())
        scene.plc.start()
        if own_cycle:
            scene.plc.stop()
            with pytest.raises(StateError, match="no cold start: .* retain_buffer_file"):
                scene.plc.start(cold=True)
            assert status(scene) is PlcStatus.STOPPED
            assert scene.plc.retained()[1] == kept
            assert not [text for text in scene.log_texts(WARNING) if "no variable for" in text]
            scene.plc.start()
        elif kept:
            assert "1 of 1 retain variables got their values" in scene.log_texts(INFO)
        scene.plc.stop()
        kept = scene.plc.retained()[1]
        scene.end()
    assert [one.orphan for one in kept] == [False]


def test_what_cannot_be_hosted_leaves_the_program_before(tmp_path: Path) -> None:
    scene = ObjectScene(str(tmp_path), False)
    scene.load(object_.content())
    scene.plc.start()
    for word, why in (("XENOMAI", "Xenomai"), ("-Wl,-Bsymbolic", "Bsymbolic")):
        with pytest.raises(ImageError, match=f'{why}.*beremiz.cycle = "own"'):
            scene.load(object_.content(word))
    assert status(scene) is PlcStatus.STARTED
    scene.end()
