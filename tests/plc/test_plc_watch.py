# SPDX-License-Identifier: MIT
"""Traces and forces of both services on the PLC object."""

from __future__ import annotations

import struct
import time

import pytest
from fake_board import VARIABLES
from plc_scene import Scene, image

from serial_runtime.errors import (
    TraceError,
    VariableError,
)
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.log import WARNING

A, B = image("a"), image("b")
FORCE = struct.pack("<i", 77)
BIG = 60_000


def fetched(scene: Scene, token: int, count: int) -> list[tuple[int, bytes]]:
    """Traces of service 1, until `count` have come."""
    samples: list[tuple[int, bytes]] = []
    deadline_s = time.monotonic() + 60
    while len(samples) < count and time.monotonic() < deadline_s:
        samples += scene.plc.get_traces(token, BIG)[1]
    return samples


def test_service_1_traces_and_forces_with_one_call(scene: Scene) -> None:
    scene.load(A)
    scene.plc.start()
    token = scene.plc.set_trace_list([(1, b""), (3, FORCE)])
    assert 0 < token < 1 << 31
    scene.board.run_cycles(20)
    samples = fetched(scene, token, 20)
    assert samples == [(tick, struct.pack("<ii", tick * 10 + 1, 77)) for tick in range(20)]
    assert scene.plc.get_traces(token, BIG) == (PlcStatus.STARTED, [])
    assert scene.plc.forced()[1] == [3]


def test_service_1_error_codes_change_nothing(scene: Scene) -> None:
    scene.load(A)
    assert scene.plc.get_traces(0, BIG) == (PlcStatus.BROKEN, [])
    token = scene.plc.set_trace_list([(0, FORCE)])
    assert scene.plc.set_trace_list([(0, b""), (VARIABLES + 1, b"")]) == -4
    assert scene.plc.set_trace_list([(0, b"short")]) == -3
    assert scene.plc.set_trace_list([(0, b"")] * 20_000) == -1
    assert scene.plc.forced()[1] == [0]
    assert scene.plc.get_traces(token, BIG)[0] is PlcStatus.STOPPED
    assert len([text for text in scene.log_texts(WARNING) if "trace list" in text]) == 3


def test_a_viewers_list_keeps_the_forces(scene: Scene) -> None:
    scene.load(A)
    scene.plc.set_trace_list([(3, FORCE)])
    assert scene.plc.set_trace_list([(1, b""), (0, FORCE)], keep_forces=True) > 0
    assert scene.plc.forced()[1] == [3]
    scene.plc.set_trace_list([(1, b"")])
    assert scene.plc.forced()[1] == []


def test_an_empty_list_suspends_and_keeps_the_forces(scene: Scene) -> None:
    scene.load(A)
    token = scene.plc.set_trace_list([(0, FORCE)])
    assert scene.plc.set_trace_list([]) == -5
    assert scene.plc.get_traces(token, BIG) == (PlcStatus.BROKEN, [])
    assert scene.plc.forced()[1] == [0]
    assert scene.plc.board_status().forced == 1
    later = scene.plc.set_trace_list([(1, FORCE)])  # a list replaces all forces
    assert later == token + 1
    assert scene.plc.forced()[1] == [1]


def test_service_2_forces_merge_and_an_empty_value_releases(scene: Scene) -> None:
    scene.load(A)
    scene.plc.force_variables({0: FORCE, 2: FORCE})
    scene.plc.force_variables({1: FORCE, 2: b""})
    assert scene.plc.forced()[1] == [0, 1]
    with pytest.raises(VariableError):
        scene.plc.force_variables({5: FORCE, 1: b"wrong size"})
    assert scene.plc.forced()[1] == [0, 1] == sorted(scene.board.forces)
    scene.plc.release_forces()
    assert scene.plc.forced()[1] == []
    assert scene.board.forces == {}


@pytest.mark.parametrize("end", ["stop", "new_plc", "same"])
def test_stop_and_a_new_program_release_the_forces(scene: Scene, end: str) -> None:
    scene.load(A)
    scene.plc.start()
    scene.plc.force_variables({0: FORCE})
    if end == "stop":
        scene.plc.stop()
    else:
        scene.load(B if end == "new_plc" else A)
    assert scene.plc.forced()[1] == []
    assert scene.board.forces == {}


def test_a_trace_survives_stop_and_start_but_not_a_new_program(scene: Scene) -> None:
    scene.load(A)
    scene.plc.start()
    token = scene.plc.set_trace_list([(0, b"")])
    scene.board.run_cycles(3)
    scene.plc.stop()
    scene.plc.start()
    scene.board.run_cycles(2)
    assert [tick for tick, _ in fetched(scene, token, 5)] == [0, 1, 2, 0, 1]
    scene.load(B)
    assert scene.plc.get_traces(token, BIG) == (PlcStatus.BROKEN, [])


def test_service_2_trace(scene: Scene) -> None:
    scene.load(A)
    with pytest.raises(TraceError, match="at least one"):
        scene.plc.open_trace([])
    with pytest.raises(VariableError):
        scene.plc.open_trace([VARIABLES + 1])
    with pytest.raises(TraceError, match="fewer"):
        scene.plc.open_trace([0] * 20_000)
    token = scene.plc.open_trace([0, VARIABLES])
    assert scene.plc.board_status().traced == 2
    state, batch = scene.plc.read_trace(token, 0, BIG)
    assert (state, *batch[:2]) == (PlcStatus.STOPPED, 0, 0)
    with pytest.raises(TraceError):
        scene.plc.close_trace(token + 1)
    scene.plc.close_trace(token)
    with pytest.raises(TraceError):
        scene.plc.close_trace(token)
    assert scene.plc.board_status().traced == 0


def test_tokens_of_two_processes_differ(scene: Scene) -> None:
    scene.load(A)
    first = scene.plc.open_trace([0])
    scene.end()
    scene.begin()
    scene.plc.autoload(False)
    with pytest.raises(TraceError):
        scene.plc.read_trace(first, 0, BIG)
    assert scene.plc.open_trace([0]) != first
