# SPDX-License-Identifier: MIT
"""The fixtures of the rig, for the tests of PLC programs on a board:

    python -m pytest -p hil.plugin --lg-env hil/boards/simulator.yaml my_tests/

docs/hil.md is the manual.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.boards.board import Board, Pins, Power
from hil.boards.programs import image_of
from hil.plants.bench import Bench
from hil.plants.run import Run
from hil.report.notes import keep_run, note
from hil.report.versions import versions_of
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

FULL = "full"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="long scenarios of the rig as well")


def _end(*_: object) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, _end)  # boards are switched off at any end but SIGKILL
    config.addinivalue_line("markers", f"{FULL}: too long for `make hil`")
    config.addinivalue_line("markers", "requirement(id): what this test shows to be met")
    config.addinivalue_line("markers", "only(*kinds): runs on simulator, emulated or real boards")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("requirement"):
            for name in mark.args:
                note(item, "requirement", str(name))
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker(FULL):
                item.add_marker(pytest.mark.skip(reason="long: --full runs it"))


@pytest.fixture(scope="session")
def _own_cache() -> Iterator[None]:
    """The host's end keeps nothing in the user's own cache, nor finds anything there."""
    with tempfile.TemporaryDirectory(prefix="hil-cache-") as folder:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = folder
        yield
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def _only(request: pytest.FixtureRequest) -> None:
    """Skips a test that is for other kinds of boards."""
    mark = request.node.get_closest_marker("only")
    if mark and request.getfixturevalue("board").kind not in mark.args:
        pytest.skip(f"for boards that are {' or '.join(mark.args)}")


@pytest.fixture(autouse=True)
def _noted(request: pytest.FixtureRequest) -> Iterator[None]:
    """The report has every fault that a test orders, and every power cut, with its time."""
    if not {"line", "power"} & set(request.fixturenames):
        yield
        return
    line, power = request.getfixturevalue("line"), request.getfixturevalue("power")
    began_s = time.monotonic()

    def tell(text: str) -> None:
        note(request.node, "note", f"{time.monotonic() - began_s:.2f} {text}")

    line.on_order = power.on_cut = tell
    yield
    line.on_order = power.on_cut = lambda text: None


@pytest.fixture(scope="session")
def _strategy(_own_cache: None, env: Any) -> Iterator[Any]:
    """The strategy of the target; off at the end."""
    strategy = env.get_target("main").get_driver("Strategy")
    yield strategy
    strategy.cut()


@pytest.fixture(scope="session")
def board(
    _strategy: Any, env: Any, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[Board]:
    """The board, as it was left by the test before."""
    found = Board(Path(env.config_file).stem, _strategy)
    yield found
    record_testsuite_property("board", found.name)
    record_testsuite_property("environment", found.kind)
    for name, version in versions_of(found).items():
        record_testsuite_property(f"version:{name}", version)


@pytest.fixture(scope="session")
def line(_strategy: Any) -> Any:
    """The line in between: see `hil.boards.line.LineDriver`."""
    _strategy.target.activate(_strategy.line)
    return _strategy.line


@pytest.fixture(scope="session")
def power(_strategy: Any) -> Power:
    """The board's plug."""
    return Power(_strategy)


@pytest.fixture
def pins(_strategy: Any) -> Iterator[Pins]:
    """The wires of the board's process I/O; inputs are low before each test."""
    if _strategy.pins is None:
        pytest.skip("this target has no pins")
    _strategy.on()
    _strategy.target.activate(_strategy.pins)
    _strategy.pins.release()
    yield _strategy.pins
    if _strategy.at != "off":
        _strategy.pins.release()


@pytest.fixture
def plc(board: Board, line: Any) -> Iterator[Client]:
    """A client of the runtime on a board that is served, without a program, over a good line."""
    line.clear()
    board.go("served")
    client = board.connected()
    with contextlib.closing(client):
        cleared(client)
        yield client
    line.clear()


def cleared(client: Client) -> None:
    """No program, no forces, no retained values, no row of crashes."""
    if client.status().status == Status.Started:
        client.stop()
    client.unforce()
    client.repair()
    client.clear_retained()


@pytest.fixture
def plant(board: Board, _strategy: Any, request: pytest.FixtureRequest) -> Bench:
    """Plants to run against the board, see `hil.plants.bench`; docs/plants.md is the manual."""
    board.go("served")
    folder = getattr(_strategy.power, "folder", None)
    modbus = Path(folder) / "modbus.sock" if folder else None

    def keep(run: Run) -> None:
        keep_run(request, run)

    def pins() -> Any:
        return request.getfixturevalue("pins")

    return Bench(board, pins, modbus if modbus and modbus.exists() else None, keep)


@pytest.fixture(scope="session")
def program(board: Board) -> Callable[..., bytes]:
    """`program(path_or_source, *flags) -> bytes`: an image of a C program for this board.

    A text with a newline is the source itself. `md5` is a matter of hashlib.
    """

    def built(source: str | Path, *flags: str) -> bytes:
        if isinstance(source, str) and "\n" in source:
            with tempfile.TemporaryDirectory(prefix="hil-source-") as folder:
                file = Path(folder) / "program.c"
                file.write_text(source)
                return image_of(file, board.target, flags).data
        return image_of(Path(source), board.target, flags).data

    return built
