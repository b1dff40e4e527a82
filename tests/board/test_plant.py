# SPDX-License-Identifier: MIT
"""The client for plants, by address and by IEC type, against a real board."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from serial_runtime.board import Board
from serial_runtime.errors import BoardError, StateError, VariableError
from serial_runtime.plant import Plant

# Of conftest.py.
ImageMaker = Callable[..., str]
BoardMaker = Callable[..., Board]
Until = Callable[..., None]

NAME = f"client-{os.getpid()}"


@pytest.fixture
def board(new_board: BoardMaker) -> Board:
    return new_board(priority=0, io=f"sim:{NAME}")


@pytest.fixture
def plant(board: Board) -> Iterator[Plant]:
    with Plant.attach(NAME) as attached:
        yield attached


def test_it_plays_with_a_program(board: Board, plant: Plant, image: ImageMaker) -> None:
    board.load(image("forces"))  # OUTPUT (%QW3) is INPUT (%IW1) + 1, LAMP (%QX9.1) is %IX9.7
    assert plant.wait(0) == 0
    plant.write({"%IW1": -5, "%ix9.7": True})
    board.start()
    for _ in range(200):
        assert plant.wait(60)
        if plant["%QX9.1"]:
            break
    assert plant.read("%QW3", "INT") == -4
    assert plant["%QW3"] == 0xFFFC
    assert plant["%QX9.1"] is True
    assert plant.read("%QX9.1", "BOOL") is True
    before = plant.tick
    assert plant.wait(60) == plant.tick - before > 0
    board.stop()
    plant.wait(0.0)  # the outputs became safe, in no cycle of their own
    assert plant.wait(0.01) == 0
    assert plant["%QW3"] == 0


def test_inputs_are_written_together_and_stay(board: Board, plant: Plant) -> None:
    plant.write({"%ID1": 2.5, "%IL1": -0.5, "%IB0": 7, "%IX1.3": True, "%IW511": 65535})
    plant.write({"%IX1.3": False, "%IX1.4": True})
    plant.close()
    with Plant.attach(NAME) as again:  # finds what the plant before it left
        again.write({"%IB1": 9})
        assert again.board_open
        inputs = again._segment.read_inputs(0, 16)
    assert inputs == bytes([7, 9, 0, 0]) + b"\0\0\x20\x40" + b"\0\0\0\0\0\0\xe0\xbf"


@pytest.mark.parametrize(
    ("address", "value", "named"),
    [
        ("%QW0", 1, "a plant writes inputs"),
        ("%IW0", 65536, "-32768 to 65535"),
        ("%IX0.0", -1, "0 to 1"),
        ("%IX0", 1, "a bit needs its byte"),
        ("%IW512", 1, "beyond the process image"),
        ("%IW0", 1.5, "a float needs 32 or 64 bits"),
        ("%ID0", 1e39, "too large for a REAL"),
    ],
)
def test_a_wrong_input_is_named_and_nothing_is_written(
    board: Board, plant: Plant, address: str, value: float, named: str
) -> None:
    with pytest.raises(VariableError, match=named):
        plant.write({"%IB100": 1, address: value})
    assert plant._segment.read_inputs(0, 1024) == bytes(1024)


def test_a_wrong_output_is_named(board: Board, plant: Plant) -> None:
    for address, iec_type, named in (
        ("%IW0", "", "a plant reads outputs"),
        ("%QW0", "DINT", "%QW0 is no DINT"),
        ("%QW0", "STRING", "%QW0 is no STRING"),
        ("%QB0", "BOOL", "%QB0 is no BOOL"),
    ):
        with pytest.raises(VariableError, match=named):
            plant.read(address, iec_type)


def test_there_is_one_plant_and_it_needs_a_board(board: Board, plant: Plant) -> None:
    with pytest.raises(BoardError, match="busy"):
        Plant(NAME)
    with pytest.raises(BoardError, match="No such file"):
        Plant.attach(f"nobody-{os.getpid()}", timeout_s=0.01)


def test_in_lockstep_each_cycle_sees_what_was_written_before_it(
    new_board: BoardMaker, image: ImageMaker
) -> None:
    board = new_board(priority=0, io=f"lockstep:{NAME}")
    board.load(image("forces"))  # OUTPUT (%QW3) is INPUT (%IW1) + 1, once in 2 ms
    with Plant.attach(NAME) as plant:
        board.start()
        for n in range(500):
            plant.write({"%IW1": n})
            plant.step()
            assert (plant.tick, plant["%QW3"]) == (n, n + 1)
        plant.step(1000)
        assert plant.tick == 1499
        statistics = board.statistics()
        assert (statistics.ticks, statistics.overruns) == (1500, 0)
        board.stop()
        with pytest.raises(BoardError, match="does a program run"):
            plant.step(timeout_s=0.01)
        board.start()
        plant.step(0)  # what it had allowed is run now, from the beginning
        assert plant.tick == 0
        assert plant["%QW3"] == 500


def test_only_a_plant_in_lockstep_steps(board: Board, plant: Plant) -> None:
    with pytest.raises(StateError, match="lockstep:NAME"):
        plant.step()
