# SPDX-License-Identifier: MIT
"""What a board does by itself after its power was off, and what it still knows then."""

from __future__ import annotations

import pytest

from hil.boards.board import Board, Pins, Power
from hil.scenarios import observe
from hil.scenarios.patience import eventually
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status


@pytest.mark.requirement("REQ-START-AUTO")
def test_power_off_and_on(running: Client, board: Board, pins: Pins, power: Power) -> None:
    """The stored program starts; retained values are of one cycle, no older than a stop's."""
    digest, board_id = running.program().md5, running.plc_id()
    running.stop()
    kept = observe.count(running)
    running.start()
    running.force({"SPEED": b"\7\0"})
    eventually(lambda: observe.count(running) > kept, "it goes on from there")
    power.cycle()
    observe.state_becomes(running, Status.Started)
    assert running.program().md5 == digest
    assert running.plc_id() == board_id
    assert observe.count(running) > kept
    assert running.forced() == [], "forces are not stored"
    assert observe.texts(running)["scenario: ready"] == 1, "nor is the log"
    if board.kind != "simulator":  # there it is the death of a process
        assert running.supervision().crashes == 0
    eventually(lambda: pins[observe.ALIVE], "its outputs")


@pytest.mark.full
@pytest.mark.requirement("REQ-START-EMPTY")
def test_an_empty_board(plc: Client, pins: Pins, power: Power) -> None:
    power.cycle()
    observe.state_becomes(plc, Status.Empty)
    assert not pins[observe.ALIVE]


@pytest.mark.full
@pytest.mark.requirement("REQ-START-TIME")
def test_the_clock_is_set_back(running: Client, board: Board) -> None:
    """By a quarter of a century: cycles, timeouts and retained values do not mind."""
    if board.kind == "simulator":
        pytest.skip("its clock is this computer's; tests/board has a clock of its own")
    skipped = running.statistics().skipped
    board.shell("date -s 2001-01-01")
    observe.runs_on(running)
    before = observe.count(running)
    running.stop()
    running.start()
    assert observe.count(running) >= before
    stamps = {line.sec for line in running.log() if "started" in line.text}
    assert any(sec < 1_000_000_000 for sec in stamps), "stamps of the log follow"
    board.shell("date -s 2031-01-01")
    observe.runs_on(running)
    assert running.statistics().skipped >= skipped  # it answers; its figures are sane
