# SPDX-License-Identifier: MIT
"""The rig itself: every state, the wires, the line and the plug, on whatever board there is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from hil.boards.board import Board, Pins, ShellError
from hil.scenarios.patience import eventually
from serial_runtime.errors import LinkError
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

pytestmark = pytest.mark.requirement("REQ-RIG-1")


def follows(pins: Pins, number: int, level: bool) -> bool:
    return pins[f"DO{number}"] == level


def test_up_and_down_through_the_states(board: Board) -> None:
    board.go("running")
    with connect(board.uri) as client:
        assert client.status().status == Status.Started
    board.go("programmed")
    with connect(board.uri) as client:
        assert client.status().status == Status.Stopped
    board.go("booted")
    assert board.service.pid() == 0
    board.go("served")
    with connect(board.uri) as client:
        assert client.ours


def test_the_shell(board: Board) -> None:
    board.go("booted")
    assert board.shell("echo one; echo two") == "one\ntwo\n"
    with pytest.raises(ShellError, match="no such file|No such file") as caught:
        board.shell("cat /nothing/here")
    assert caught.value.code == 1
    assert board.versions()["kernel"].startswith("Linux")


def test_the_wires(board: Board, pins: Pins) -> None:
    board.go("running")
    for level in (True, False):
        for number in range(4):
            pins[f"DI{number}"] = level
            eventually(partial(follows, pins, number, level), f"DO{number} follows")


def test_the_line_unplugged(line: Any, plc: Client) -> None:
    line.unplug()
    with pytest.raises(LinkError):
        connect(line.uri, timeout_s=0.5, reconnect_s=0.0)
    line.plug()
    assert plc.status().status == Status.Empty


def test_a_killed_runtime_comes_back(board: Board, plc: Client) -> None:
    before = board.service.pid()
    board.service.kill()
    eventually(lambda: board.service.pid() not in (0, before), "a new process")
    assert plc.status().status == Status.Empty


def test_a_power_cut(board: Board, power: Any) -> None:
    board.go("running")
    power.cycle()
    board.go("served")
    with connect(board.uri) as client:
        eventually(lambda: client.status().status == Status.Started, "autostart")


def test_another_profile(board: Board) -> None:
    board.go("booted")
    board.service.configure({"store.autostart": False})
    board.go("running")
    board.service.stop()
    board.service.start()
    board.go("served")
    with connect(board.uri) as client:
        assert client.status().status == Status.Stopped
    board.service.stop()
    board.service.configure({})
    board.service.start()
