# SPDX-License-Identifier: MIT
"""Program images, compiled once a session, and boards that are closed whatever happens."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serial_runtime.board import Board, Options

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent / "images"
FLAGS = [
    "-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-gnu-unique",
    "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wall", "-Wextra",
    f"-I{ROOT / 'serial_runtime' / 'include'}",
]  # fmt: skip

LONG_S = 60.0  # however busy the machine is; never waited out

# An image in a file of its own, built from tests/board/images with these defines (or options,
# with their dash).
ImageMaker = Callable[..., str]
BoardMaker = Callable[..., Board]
Until = Callable[..., None]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("images")
    done: dict[tuple[str, ...], Path] = {}

    def build(name: str, *defines: str, compiler: str = "gcc") -> Path:
        key = (compiler, name, *defines)
        if key not in done:
            path = folder / f"{len(done)}-{name}.so"
            flags = [word if word[0] == "-" else f"-D{word}" for word in defines]
            subprocess.run(
                [compiler, *FLAGS, *flags, str(SOURCES / f"{name}.c"), "-o", str(path)], check=True
            )
            done[key] = path
        return done[key]

    return build


@pytest.fixture
def image(built: Callable[..., Path], tmp_path: Path) -> ImageMaker:
    """``image(name, *defines)``: the path of a fresh copy, as every load wants one."""
    number = itertools.count()

    def copy(name: str, *defines: str, compiler: str = "gcc") -> str:
        path = tmp_path / f"{next(number)}.so"
        shutil.copy(built(name, *defines, compiler=compiler), path)
        return str(path)

    return copy


@pytest.fixture
def new_board() -> Iterator[BoardMaker]:
    """``new_board(**options)``; does not keep the processor awake unless asked to."""
    boards: list[Board] = []

    def make(**options: object) -> Board:
        board = Board(Options(**{"cpu_latency_us": -1, **options}))  # type: ignore[arg-type]
        boards.append(board)
        return board

    yield make
    for board in boards:
        board.close()


@pytest.fixture
def until() -> Until:
    """``until(condition)``: poll it, fail when it does not come true in time."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < end, "the condition did not come true"
            time.sleep(0.001)

    return wait
