# SPDX-License-Identifier: MIT
"""As a user has it: a runtime and a bridge, each a process, and an IDE's client on TCP."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from erpc import Reference
from stock_ide import Ide

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.line import VirtualCable
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status

ROOT = Path(__file__).resolve().parent.parent.parent
BAUD = 921600
WaitFor = Callable[[Callable[[], object]], None]


def spawn(*words: str) -> subprocess.Popen[str]:
    """A command that prints READY."""
    return subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:1] == ["READY"], process.communicate()[1]
    return words[1:]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[VirtualCable]:
    with VirtualCable(BAUD, tmp_path / "cable") as cable:
        yield cable


@pytest.fixture
def serve(cable: VirtualCable, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    folder = str(tmp_path / "plc")
    process = spawn("serve", "--port", cable.board_end, "--baud", str(BAUD), "--dir", folder)
    ready(process)
    yield process
    assert ended(process)[0] == 0


@pytest.fixture
def bridge(cable: VirtualCable) -> Iterator[subprocess.Popen[str]]:
    process = spawn("bridge", f"ERPC://{cable.host_end}:{BAUD}", "--listen", "127.0.0.1:0")
    yield process
    if process.returncode is None:
        assert ended(process)[0] == 0


def test_the_ide_and_the_commands(
    cable: VirtualCable,
    serve: subprocess.Popen[str],
    bridge: subprocess.Popen[str],
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    (place,) = ready(bridge)
    build([ROOT / "serial_runtime/demo/tank.c"], tmp_path / "i.so", include_dirs=[get_include()])
    image = (tmp_path / "i.so").read_bytes()
    ide = Ide(int(place.rpartition(":")[2]))
    assert ide.status() == Status.Empty
    assert ide.transfer(image)
    assert ide.start() == 0
    with connect(place) as client:
        assert client.program().name == "TANK"
        level, running = client.indices(["TANK.LEVEL", "PUMP1.RUN"])
        token = ide.watch(running, level)
        ticks: list[int] = []

        def traced(count: int) -> bool:
            state, samples = ide.traces(token)
            assert state == Status.Started
            assert all(len(values) == 5 for _, values in samples)
            ticks.extend(tick for tick, _ in samples)
            return len(ticks) >= count

        wait_for(lambda: traced(20))
        cable.unplug()
        cable.plug()
        wait_for(lambda: traced(40))
        skipped = client.statistics().skipped
        assert ticks[-1] - ticks[0] + 1 - len(ticks) <= skipped, "only what the cycle skipped"
    second = spawn("bridge", f"ERPC://{cable.host_end}:{BAUD}", "--listen", "127.0.0.1:0")
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 3
    assert "is in use by" in errors
    assert "a bridge: connect to ERPC://127.0.0.1:0 instead" in errors
    assert ide.stop()
    assert ide.calls.GetPLCID(Reference()) == 2
    ide.close()


def test_a_board_that_comes_later(
    cable: VirtualCable, bridge: subprocess.Popen[str], tmp_path: Path, wait_for: WaitFor
) -> None:
    (place,) = ready(bridge)
    ide = Ide(int(place.rpartition(":")[2]))
    assert ide.status() == Status.Disconnected
    assert ide.start() == 1
    folder = str(tmp_path / "plc")
    serve = spawn("serve", "--port", cable.board_end, "--baud", str(BAUD), "--dir", folder)
    ready(serve)
    wait_for(lambda: ide.status() == Status.Empty)
    ide.close()
    code, errors = ended(bridge)
    assert code == 0
    assert "is a runtime running there?" in errors
    assert ended(serve)[0] == 0


def test_a_port_that_is_not_there() -> None:
    process = spawn("bridge", "/dev/ttyNOTHERE", "--listen", "127.0.0.1:0")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "/dev/ttyNOTHERE does not exist" in errors
