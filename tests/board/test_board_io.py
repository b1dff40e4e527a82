# SPDX-License-Identifier: MIT
"""Parts of the process image with I/O threads: this test is the thread of one."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serial_runtime.board import Board
from serial_runtime.board_io import AREA_BYTES, PartPort
from serial_runtime.board_plant import Plant
from serial_runtime.board_types import GpioChip, GpioLine, IoNews, IoPart
from serial_runtime.errors import StateError
from serial_runtime.iec.location import parse_location

# Of conftest.py.
ImageMaker = Callable[..., str]
BoardMaker = Callable[..., Board]
Until = Callable[..., None]

INPUT, SWITCH, QUALITY = 4, 6, "%IX100.0"  # rows of forces.c: OUTPUT is INPUT + 1, LAMP is SWITCH


def area(*addresses: str) -> bytes:
    """An area with the bits of these addresses."""
    filled = bytearray(AREA_BYTES)
    for address in addresses:
        parse_location(address).store(filled, -1)
    return bytes(filled)


def values(**at: int) -> bytearray:
    filled = bytearray(AREA_BYTES)
    for address, value in at.items():
        parse_location("%" + address).store(filled, value)
    return filled


PART = IoPart(
    inputs=area("%IW1", QUALITY),
    outputs=area("%QW3", "%QX9.1"),
    lost=area(QUALITY, "%IW1"),
    safe=bytes(values(QW3=77)),
    stale_ns=3_600_000_000_000,
)


def test_values_go_both_ways_and_outputs_become_safe(
    image: ImageMaker, new_board: BoardMaker, until: Until
) -> None:
    board = new_board(priority=0, io_parts=(PART,))
    port = PartPort(0)
    board.load(image("forces"))
    assert port.take() == (IoNews.SAFE, PART.safe)
    port.publish(values(IW1=41, IW2=999))
    board.start()
    out = parse_location("%QW3")
    until(lambda: out.load(port.take()[1]) == 42)
    news, outputs = port.take()
    assert news != IoNews.SAFE
    assert outputs[:6] + outputs[8:] == bytes(AREA_BYTES - 2)  # nothing of what is not the part's
    assert struct.unpack("<h", board.read([INPUT])[1]) == (41,)
    inputs, seen = port.look()
    assert (inputs, seen) == (bytes(values(IW1=41, IW2=999)), outputs)
    board.stop()
    assert port.take() == (IoNews.SAFE, PART.safe)
    board.start()
    until(lambda: out.load(port.take()[1]) == 42)


def test_a_part_stands_beside_a_simulated_plant(
    image: ImageMaker, new_board: BoardMaker, until: Until
) -> None:
    name = f"beside-{os.getpid()}"
    board = new_board(priority=0, io=f"sim:{name}", io_parts=(PART,))
    plant, port = Plant(name), PartPort(0)
    try:
        board.load(image("forces"))
        plant.write_inputs(0, bytes([0xFF]) * 20)  # also where the part is
        port.publish(values(IW1=10))
        board.start()
        until(lambda: board.read([INPUT, SWITCH])[1] == bytes([10, 0, 1]))
        until(lambda: plant.read_outputs(6, 4) == bytes([11, 0, 0, 2]))
        assert port.take()[1][6:10] == bytes([11, 0, 0, 2])
    finally:
        plant.close()


def test_a_fault_makes_the_outputs_safe(image: ImageMaker) -> None:
    script = Path(__file__).parent / "scripts" / "io_fault.py"
    path = image("crash", "KIND=segmentation", "UNTIL_SEEN")
    done = subprocess.run(
        [sys.executable, str(script), path],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.stdout.split() == ["True", "SAFE", "True"], done.stderr


def test_silence_of_the_thread_is_seen_by_the_program(
    image: ImageMaker, new_board: BoardMaker, until: Until
) -> None:
    board = new_board(priority=0, io_parts=(PART._replace(stale_ns=1),))
    board.load(image("forces"))
    board.start()
    PartPort(0).publish(values(IW1=5))
    # Heard in one cycle, silent in the next.
    until(lambda: board.statistics().ticks > 50)
    assert struct.unpack("<h", board.read([INPUT])[1]) == (0,)


def test_a_missing_chip_does_not_keep_a_program_from_running(
    image: ImageMaker, new_board: BoardMaker, until: Until
) -> None:
    chip = GpioChip("/dev/no-chip", (GpioLine(3, 1, 0, 9, 2),), 1_000_000, 0, area(QUALITY))
    board = new_board(priority=0, io_parts=(PART._replace(gpio=chip),))
    board.load(image("forces"))
    board.start()
    until(lambda: board.statistics().ticks > 10)
    assert "/dev/no-chip cannot be opened: No such file" in PartPort(0).gpio().text
    for call in (PartPort(0).take, lambda: PartPort(0).publish(bytes(AREA_BYTES))):
        with pytest.raises(StateError):
            call()  # the chip's thread does that


def test_ports_know_when_there_is_no_board(new_board: BoardMaker) -> None:
    board = new_board(priority=0, io_parts=(PART,))
    board.close()
    port = PartPort(0)
    for call in (port.take, port.look, port.gpio, lambda: port.publish(bytes(AREA_BYTES))):
        with pytest.raises(StateError, match="no such part"):
            call()
