# SPDX-License-Identifier: MIT
"""Closed loops: each plant under its program, on whatever board the session has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import serial_runtime
from hil.boards.board import Board
from hil.plants.bench import Bench
from hil.plants.conveyor import ConveyorPlant
from hil.plants.heater import HeaterPlant
from hil.plants.tank import TankPlant

PROGRAMS = Path(__file__).parent.parent / "programs"
PROFILES = Path(__file__).parent / "profiles"
TANK = Path(serial_runtime.__file__).parent / "demo" / "tank.c"
Program = Callable[..., bytes]


def _on(board: Board, name: str) -> Path:
    """The profile; where time is real a shorter one with wider limits."""
    return PROFILES / (f"{name}.toml" if board.kind == "simulator" else f"{name}-wired.toml")


@pytest.fixture
def _in_time(board: Board, request: pytest.FixtureRequest) -> None:
    """For runs of minutes where time is real."""
    if board.kind != "simulator" and not request.config.getoption("--full"):
        pytest.skip("long: --full runs it")


def test_the_conveyor_sorts(board: Board, plant: Bench, program: Program) -> None:
    image = program(PROGRAMS / "conveyor.c")
    plant.run(ConveyorPlant(), image, _on(board, "conveyor")).check()


@pytest.mark.usefixtures("_in_time")
def test_the_heater_holds_its_temperature(board: Board, plant: Bench, program: Program) -> None:
    image = program(PROGRAMS / "heater.c")
    plant.run(HeaterPlant(), image, _on(board, "heater"), every=10).check()


@pytest.mark.usefixtures("_in_time")
def test_the_tank_does_its_batches(board: Board, plant: Bench, program: Program) -> None:
    plant.run(TankPlant(), program(TANK), _on(board, "tank")).check()


@pytest.mark.only("simulator")
@pytest.mark.requirement("REQ-RIG-1")
def test_a_broken_controller_is_caught(plant: Bench, program: Program) -> None:
    """Else the limits above would mean nothing."""
    image = program(PROGRAMS / "heater.c", "-DBROKEN_CONTROLLER")
    run = plant.run(HeaterPlant(), image, PROFILES / "heater.toml", seconds=420, keep=False)
    assert {"REQ-HEAT-1", "REQ-HEAT-2"} <= {v.limit.requirement for v in run.failures}
