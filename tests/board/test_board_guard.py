# SPDX-License-Identifier: MIT
"""Whatever the process dies of, the outputs become safe, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import serial_runtime
from serial_runtime.board import Board, BoardState
from serial_runtime.board_plant import Plant

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[[Callable[[], object]], None]

SCRIPT = Path(__file__).resolve().parent / "scripts" / "guarded.py"
ROOT = Path(serial_runtime.__file__).resolve().parents[1]


def children(pid: int) -> list[int]:
    """Processes whose parent it is."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid:
            found.append(int(place.parent.name))
    return found


class Runtime:
    """A process with a board whose lamp is on, and the plant that sees it."""

    def __init__(self, image: str, name: str, *more: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), image, name, *more],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"
        self.plant = Plant(name)
        (self.guard,) = children(self.process.pid)

    def order(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def lamp(self) -> int:
        return self.plant.read_outputs(0, 1)[0]

    def guard_has_left(self) -> bool:
        try:
            state = Path(f"/proc/{self.guard}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"  # whoever inherits it may take his time


@contextmanager
def runtime(image: str, name: str, *more: str) -> Iterator[Runtime]:
    made = Runtime(image, f"{name}-{os.getpid()}", *more)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()
        made.plant.close()
        Path(f"/dev/shm/serial-runtime.{made.name}").unlink(missing_ok=True)


def kill(of: Runtime) -> None:
    of.process.kill()


def kill_its_group(of: Runtime) -> None:
    os.killpg(of.process.pid, signal.SIGKILL)


def exit_at_once(of: Runtime) -> None:
    of.order("exit")


def abort_outside_the_cycle(of: Runtime) -> None:
    of.order("abort")


def write_wild(of: Runtime) -> None:
    of.order("wild")


DEATHS: dict[Callable[[Runtime], None], int] = {
    kill: -signal.SIGKILL,
    kill_its_group: -signal.SIGKILL,
    exit_at_once: 3,
    abort_outside_the_cycle: -signal.SIGABRT,
    write_wild: -signal.SIGSEGV,
}


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.__name__)
def test_dies(image: ImageMaker, until: Until, death: Callable[[Runtime], None]) -> None:
    with runtime(image("wild"), death.__name__) as made:
        until(made.lamp)
        death(made)
        assert made.process.wait(timeout=60) == DEATHS[death]
        until(lambda: made.lamp() == 0)
        until(made.guard_has_left)


def test_parts_of_process_io_do_not_keep_it_from_that(image: ImageMaker, until: Until) -> None:
    with runtime(image("wild"), "parts", "parts") as made:
        until(made.lamp)
        kill(made)
        until(lambda: made.lamp() == 0)
        until(made.guard_has_left)


def test_executes_another_program(image: ImageMaker, until: Until) -> None:
    with runtime(image("wild"), "execute") as made:
        until(made.lamp)
        made.order("execute")
        until(lambda: made.lamp() == 0)
        assert made.process.poll() is None


def test_the_guard_keeps_nothing_of_the_runtime(image: ImageMaker) -> None:
    with runtime(image("wild"), "keeps") as made:
        kept = {os.readlink(place) for place in Path(f"/proc/{made.guard}/fd").iterdir()}
        assert {word.split(":")[0].split("[")[0] for word in kept} == {
            "pipe",
            "anon_inode",  # of the parent
            f"/dev/shm/serial-runtime.{made.name}",
        }


def test_its_end_is_noticed(new_board: BoardMaker, image: ImageMaker, until: Until) -> None:
    before = set(children(os.getpid()))
    board = new_board(io=f"sim:noticed-{os.getpid()}")
    (guard,) = set(children(os.getpid())) - before
    until(lambda: Path(f"/proc/{guard}/comm").read_text() == "plc-guard\n")
    assert board.guarded
    os.kill(guard, signal.SIGKILL)
    until(lambda: not board.guarded)
    board.load(image("wild"))
    board.start()
    assert board.state == BoardState.RUNNING
    board.close()
    assert set(children(os.getpid())) == before


def test_without_outputs_there_is_none(new_board: BoardMaker) -> None:
    before = children(os.getpid())
    assert new_board().guarded
    assert children(os.getpid()) == before
