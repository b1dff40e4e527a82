# SPDX-License-Identifier: MIT
"""Outputs are safe, read at the pins, whatever ends the program; then the board goes on."""

from __future__ import annotations

import pytest

from hil.boards.board import Board, Pins
from hil.scenarios import observe
from hil.scenarios.patience import eventually
from serial_runtime.errors import LinkError
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status


@pytest.fixture
def alive(running: Client, pins: Pins) -> Client:
    """The program runs, and its outputs are on."""
    pins[observe.BUTTON] = True
    eventually(lambda: pins[observe.ALIVE] and pins[observe.FOLLOWER], "its outputs")
    return running


def safe(pins: Pins) -> None:
    """All outputs."""
    eventually(
        lambda: not any(pins[one] for one in (observe.ALIVE, observe.FOLLOWER, observe.FORCEABLE)),
        "safe outputs",
    )


@pytest.mark.requirement("REQ-SAFE-STOP")
def test_a_stop(alive: Client, pins: Pins) -> None:
    alive.stop()
    safe(pins)
    alive.start()
    eventually(lambda: pins[observe.ALIVE], "it runs again")


FAULTS = {"wild write": (1, "CRASH_WILD"), "endless loop": (2, "CRASH_ENDLESS"), "its own": (3, "")}


@pytest.mark.requirement("REQ-SAFE-FAULT")
@pytest.mark.parametrize(("kind", "function"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_program(kind: int, function: str, alive: Client, pins: Pins) -> None:
    alive.force({"CRASH": bytes([kind])})
    observe.state_becomes(alive, Status.Broken)
    safe(pins)
    status = alive.board_status()
    assert function in status.fault or "asked for it" in status.fault
    assert alive.supervision().crashes == 1
    alive.start()
    observe.runs_on(alive)
    eventually(lambda: pins[observe.ALIVE], "it runs again")


def crashes(client: Client) -> int:
    """In a row, as the runtime that is there now knows; it may be on its way."""
    eventually(client.supervision, "the runtime is back", again=(LinkError,))
    return int(client.supervision().crashes)


@pytest.mark.requirement("REQ-SAFE-DEATH")
def test_the_death_of_the_runtime(alive: Client, pins: Pins, board: Board) -> None:
    """The guard makes them safe, alone: nobody starts the runtime again yet, which would, too."""
    if board.kind == "simulator":
        board.service.kill()
        board.service.stop()
    else:
        unit = "serial-runtime"
        board.shell(f"systemctl kill --kill-who=main --signal=KILL {unit}; systemctl stop {unit}")
    safe(pins)
    board.service.start()
    assert crashes(alive) == 1
    assert alive.supervision().guarded
    observe.state_becomes(alive, Status.Started)
    eventually(lambda: pins[observe.ALIVE], "it runs again")


@pytest.mark.requirement("REQ-SAFE-AGAIN")
def test_the_runtime_is_started_again_after_its_death(
    alive: Client, pins: Pins, board: Board
) -> None:
    board.service.kill()
    assert crashes(alive) == 1
    observe.state_becomes(alive, Status.Started)
    eventually(lambda: pins[observe.ALIVE], "it runs again")


@pytest.mark.full
@pytest.mark.requirement("REQ-SAFE-ROW")
def test_a_row_of_crashes(alive: Client, pins: Pins, board: Board) -> None:
    """Safe mode: it serves, but starts nothing by itself; an order ends that."""
    limit = alive.supervision().crash_limit
    for crash in range(limit):
        observe.state_becomes(alive, Status.Started)
        eventually(lambda: pins[observe.ALIVE], "it runs")
        board.service.kill()
        assert crashes(alive) == crash + 1
    assert alive.supervision().safe_mode
    assert alive.status().status == Status.Stopped
    safe(pins)
    alive.start()
    assert not alive.supervision().safe_mode
    eventually(lambda: pins[observe.ALIVE], "it runs again")
