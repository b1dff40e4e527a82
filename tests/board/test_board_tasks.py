# SPDX-License-Identifier: MIT
"""Tasks with threads of their own: whole sets of values, the phase, forces, figures, faults."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import serial_runtime
from serial_runtime.board import Board
from serial_runtime.board_plant import Plant
from serial_runtime.errors import ImageError, StateError, VariableError

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
PlantMaker = Callable[[], Plant]
Until = Callable[[Callable[[], object]], None]

# Rows of images/threads.c.
SCAN, FAST, SLOW = 0, 2, 4
SCAN_WRONG, FAST_WRONG, SLOW_WRONG = WRONG = (6, 7, 8)
SCAN_FAST, SCAN_SLOW, FAST_SCAN, FAST_SLOW, SLOW_SCAN, SLOW_FAST = range(9, 21, 2)
IN, IN_NOT, OUT, OUT_NOT, SCRATCH, LOGS, SCAN_TEXT, TEXT, OFF_GRID = range(21, 30)
PAIRS = (SCAN, FAST, SLOW, SCAN_FAST, SCAN_SLOW, FAST_SCAN, FAST_SLOW, SLOW_SCAN, SLOW_FAST)
IN_PAIRS = [index for pair in PAIRS for index in (pair, pair + 1)]
ALL = 0xFFFFFFFF
NAME = f"tasks-{os.getpid()}"


def number(board: Board, index: int) -> int:
    return int(struct.unpack("<I", board.read([index])[1])[0])


def numbers(board: Board, *indices: int) -> tuple[int, ...]:
    return struct.unpack(f"<{len(indices)}I", board.read(indices)[1])


def check_pairs(values: tuple[int, ...]) -> None:
    for a, b in zip(values[::2], values[1::2], strict=True):
        assert a == b ^ ALL


def thread_names() -> set[str]:
    tasks = Path("/proc/self/task")
    return {
        name
        for folder in tasks.iterdir()
        if (name := (folder / "comm").read_text().strip()).startswith("plc-")
    }


@pytest.fixture
def new_plant() -> Iterator[PlantMaker]:
    """The plant of the driver "sim:" and NAME, once a board has opened it."""
    plants: list[Plant] = []

    def make() -> Plant:
        plants.append(Plant(NAME))
        return plants[-1]

    yield make
    for plant in plants:
        plant.close()


@pytest.fixture(params=[True, False], ids=["threads", "single"])
def threads(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def records(data: bytes, each: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for at in range(0, len(data), 8 + each):
        tick, length = struct.unpack_from("<II", data, at)
        assert length == each
        yield tick, struct.unpack_from(f"<{each // 4}I", data, at + 8)


def test_every_reader_sees_whole_sets(
    new_board: BoardMaker,
    image: ImageMaker,
    until: Until,
    new_plant: PlantMaker,
    threads: bool,
) -> None:
    board = new_board(threads=threads, io=f"sim:{NAME}")
    plant = new_plant()
    loaded = board.load(image("threads"))
    assert [task.own_thread for task in loaded.tasks] == [threads, False, threads]
    generation = board.set_trace(IN_PAIRS)
    board.start()
    assert thread_names() == {"plc-scan", "plc-watchdog"} | (
        {"plc-task-1", "plc-task-3"} if threads else set()
    )
    traced: set[int] = set()
    count = 0

    def look() -> bool:
        nonlocal count
        count += 1
        plant.write_inputs(0, struct.pack("<HH", count, count ^ 0xFFFF))
        out, complement = struct.unpack("<HH", plant.read_outputs(0, 4)[0:4])
        assert complement == out ^ 0xFFFF or out == complement == 0
        check_pairs(numbers(board, *IN_PAIRS))
        data = board.read_trace(generation, 1 << 16, 0)
        for tick, values in records(data, 4 * len(IN_PAIRS)):
            check_pairs(values)
            traced.add(tick)
        return numbers(board, SLOW_FAST)[0] > 20 and len(traced) > 100

    until(look)
    assert numbers(board, *WRONG) == (0, 0, 0)
    assert struct.unpack("<H", board.read([IN])[1])[0] > 0
    if threads:  # the scan would run it in the next tick, when it skips one
        assert number(board, OFF_GRID) == 0
    board.stop()
    check_pairs(numbers(board, *IN_PAIRS[:6]))
    assert numbers(board, *WRONG) == (0, 0, 0)
    # A second start begins anew, in the same phase.
    board.start()
    until(lambda: number(board, SLOW_SCAN) > 3)
    assert numbers(board, *WRONG) == (0, 0, 0)
    assert number(board, SLOW) < 1_000_000
    board.stop()
    assert not thread_names()


def test_forces_reach_the_variables_of_a_task(
    new_board: BoardMaker,
    image: ImageMaker,
    until: Until,
    new_plant: PlantMaker,
    threads: bool,
) -> None:
    board = new_board(threads=threads, io=f"sim:{NAME}")
    plant = new_plant()
    board.load(image("threads"))
    five = struct.pack("<I", 5)
    board.set_forces({SCRATCH: five, FAST: five})  # also before the start
    board.start()
    until(lambda: number(board, FAST_SLOW) > 3)
    assert numbers(board, SCRATCH, FAST) == (5, 5)  # written around the macros, or not
    board.set_forces({OUT: b"\7\0", IN: b"\x11\x11", SLOW_FAST: five, SCAN: five})
    until(lambda: plant.read_outputs(0, 2) == b"\7\0")
    until(lambda: board.read([IN])[1] == b"\x11\x11")
    until(lambda: numbers(board, SLOW_FAST, FAST_SCAN) == (5, 5))  # a copy's target, and source
    until(lambda: number(board, FAST) > 6)  # released
    board.set_forces({})
    until(lambda: plant.read_outputs(0, 2) > b"\7\0" and number(board, SLOW_FAST) > 5)
    board.stop()
    until(lambda: plant.read_outputs(0, 4) == bytes(4))
    board.set_forces({FAST: five})  # at rest: at once
    assert number(board, FAST) == 5


def test_the_log_of_all_tasks_is_one(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("threads"))
    board.set_forces({LOGS: b"\1"})
    board.start()
    said: list[tuple[int, str]] = []

    def drain() -> bool:
        said.extend((record.tick, record.text) for record in board.drain_log())
        return len(said) > 5

    until(drain)
    board.stop()
    assert {text for _, text in said} == {"slow"}
    assert all(tick % 5 == 0 for tick, _ in said)
    assert [tick for tick, _ in said] == sorted(tick for tick, _ in said)


def test_a_variable_of_a_task_is_not_shared_with_python(
    new_board: BoardMaker, image: ImageMaker
) -> None:
    board = new_board(python=True)
    board.load(image("threads"))
    board.share([SCAN, SCAN_FAST])
    with pytest.raises(VariableError, match=r"FAST belongs to a task with a thread .*SR_COPY"):
        board.share([SCAN, FAST])


def test_the_program_of_the_manual(new_board: BoardMaker, until: Until, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    path = str(tmp_path / "planner.so")
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"]
        + ["-fno-gnu-unique", f"-I{serial_runtime.get_include()}", "-xc", "-", "-o", path],
        input=page.partition("```c\n")[2].partition("```")[0].encode(),
        check=True,
    )
    board = new_board()
    loaded = board.load(path)
    assert [task.own_thread for task in loaded.tasks] == [False, True]
    board.start()
    seen = [row.index for row in loaded.variables if row.path.endswith("_SEEN")]

    def both_arrived() -> bool:
        setpoint, level = struct.unpack("<2f", board.read(seen)[1])
        return setpoint == 80 and level > 0

    until(both_arrived)


def test_overruns_by_the_profile(image: ImageMaker) -> None:
    script = Path(__file__).resolve().parent / "scripts" / "overruns.py"
    path = image("threads", "BURN=20000000")
    root = Path(serial_runtime.__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, str(script), path, "2"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert re.fullmatch(
        r"not done before the next release in 2 cycles in a row "
        r"\(profile key rt\.overrun\) \(task (FAST|SLOW), tick \d+\)",
        done.stdout.strip(),
    )


def test_priorities_below_the_scan(new_board: BoardMaker, image: ImageMaker) -> None:
    board = new_board(priority=2)
    board.load(image("threads"))
    with pytest.raises(StateError, match=r"rt\.priority must be at least 3, or rt\.tasks"):
        board.start()
    board.close()
    board = new_board(priority=2, threads=False)
    board.load(image("threads"))
    board.start()
    board.stop()


def test_more_threads_than_there_may_be(new_board: BoardMaker, image: ImageMaker) -> None:
    board = new_board()
    with pytest.raises(ImageError, match=r"more than 8 tasks .*rt\.tasks"):
        board.load(image("refused", "MANY_THREADS"))
    board.close()
    assert len(new_board(threads=False).load(image("refused", "MANY_THREADS")).tasks) == 10
