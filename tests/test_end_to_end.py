# SPDX-License-Identifier: MIT
"""The main job as a user has it: a runtime process, a paced line, our client at the other end."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import ImageError
from serial_runtime.iec import IecType, pack, unpack
from serial_runtime.line import VirtualCable
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

ROOT = Path(__file__).resolve().parent.parent
TANK = ROOT / "serial_runtime" / "demo" / "tank.c"
CRASH = ROOT / "tests" / "images" / "crash.c"
HUNDRED = ROOT / "benchmarks" / "images" / "hundred.c"
BAUD = 921600
OUTAGE_S = 0.5


def image_of(source: Path, folder: Path, *flags: str) -> bytes:
    image = folder / "image.so"
    build([source], image, include_dirs=[get_include()], flags=flags)
    return image.read_bytes()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[VirtualCable]:
    with VirtualCable(BAUD, tmp_path / "cable") as cable:
        yield cable


class Runtime:
    """`serial-runtime serve` at the board's end of the cable."""

    def __init__(self, cable: VirtualCable, folder: Path, *prefix: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "serial_runtime", "serve", "--port", cable.board_end]
            + ["--baud", str(BAUD), "--dir", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("READY"):
                return
        raise AssertionError("the runtime ended before it was ready")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def runtime(cable: VirtualCable, tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime(cable, tmp_path / "plc")
    yield runtime
    assert runtime.end() == 0


@pytest.fixture
def client(cable: VirtualCable, runtime: Runtime) -> Iterator[Client]:
    with connect(f"ERPC://{cable.host_end}:{BAUD}", timeout_s=20) as client:
        yield client


def dint(client: Client, name: str) -> int:
    value, _ = unpack(IecType.DINT, client.read([name]).values, 0)
    assert isinstance(value, int)
    return value


def assert_no_tick_lost(ticks: list[int], client: Client) -> None:
    """Ticks may be missing only where the cycle itself skipped them (a busy machine)."""
    assert ticks == sorted(set(ticks))
    missing = ticks[-1] - ticks[0] + 1 - len(ticks)
    assert missing <= client.statistics().skipped


def outage(cable: VirtualCable) -> None:
    """Both ends vanish; they come back a while later."""
    cable.unplug()
    threading.Timer(OUTAGE_S, cable.plug).start()


def test_the_main_job(client: Client, tmp_path: Path) -> None:
    assert client.ours
    assert client.status().status == Status.Empty
    image = image_of(TANK, tmp_path)
    seen: list[tuple[int, int]] = []
    client.download(image, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(image), len(image))
    assert client.program().name == "TANK"
    assert len(client.variables()) >= 40
    assert client.status().status == Status.Stopped
    client.start()
    assert client.status().status == Status.Started

    first = client.read(["TANK.LEVEL"]).tick
    wait_for(lambda: client.read(["TANK.LEVEL"]).tick > first + 3)
    client.force({"TANK.LEVEL": pack(IecType.REAL, 1.5)})
    assert client.forced() == ["TANK.LEVEL"]
    with client.trace(["TANK.LEVEL"]) as trace:
        ticks = []
        for sample in trace:
            ticks.append(sample.tick)
            value, _ = unpack(IecType.REAL, sample.values, 0)
            if len(ticks) > 2:  # the first may be of the cycle before
                assert value == 1.5
            if len(ticks) == 30:
                break
    assert_no_tick_lost(ticks, client)
    client.unforce()
    assert client.forced() == []

    figures = client.statistics()
    assert figures.ticks > 0
    assert figures.period_ns == 10_000_000
    assert figures.wakeup.count > 0
    assert any("started" in line.text.lower() for line in client.log())
    client.stop()
    assert client.status().status == Status.Stopped


def test_unplugged_in_the_middle_of_a_download(
    client: Client, cable: VirtualCable, tmp_path: Path
) -> None:
    image = image_of(HUNDRED, tmp_path) + os.urandom(200_000)
    pulled = []

    def progress(done: int, total: int) -> None:
        if not pulled and done > total // 3:
            pulled.append(done)
            outage(cable)

    client.download(image, progress=progress)
    assert pulled
    assert client.program().name == "hundred"
    client.start()
    assert client.status().status == Status.Started


def test_an_edited_program_goes_as_a_patch(client: Client, tmp_path: Path) -> None:
    source = tmp_path / "edited.c"
    source.write_text(HUNDRED.read_text())
    client.download(image_of(source, tmp_path))
    client.start()
    source.write_text(HUNDRED.read_text().replace("->tick + i", "->tick + 1000 + i"))
    edited = image_of(source, tmp_path)
    sent = client.download(edited)
    assert sent.coding == "patch"
    assert sent.bytes_sent < len(edited) / 25
    assert client.match_md5(hashlib.md5(edited).hexdigest())
    client.start()
    snapshot = client.read(["V0"])
    assert unpack(IecType.DINT, snapshot.values, 0)[0] == snapshot.tick + 1000


def test_the_board_is_killed_in_the_middle_of_a_download(
    cable: VirtualCable, tmp_path: Path
) -> None:
    image = image_of(HUNDRED, tmp_path) + os.urandom(200_000)
    runtimes = [Runtime(cable, tmp_path / "plc")]

    def progress(done: int, total: int) -> None:
        if len(runtimes) == 1 and done > total // 2:
            runtimes[0].process.kill()
            runtimes[0].process.communicate()
            runtimes.append(Runtime(cable, tmp_path / "plc"))

    try:
        with connect(f"ERPC://{cable.host_end}:{BAUD}", timeout_s=20) as client:
            sent = client.download(image, progress=progress)
            assert sent.bytes_sent < 1.4 * len(image)  # it went on
            assert client.match_md5(hashlib.md5(image).hexdigest())
            client.start()
    finally:
        assert runtimes[-1].end() == 0


def test_unplugged_in_the_middle_of_a_trace(
    client: Client, cable: VirtualCable, tmp_path: Path
) -> None:
    client.download(image_of(HUNDRED, tmp_path))
    client.start()
    ticks = []
    with client.trace(["V0", "V7"]) as trace:
        for sample in trace:
            value, place = unpack(IecType.DINT, sample.values, 0)
            other, _ = unpack(IecType.DINT, sample.values, place)
            assert (value, other) == (sample.tick, sample.tick + 7)
            ticks.append(sample.tick)
            if len(ticks) == 500:
                outage(cable)
            if len(ticks) == 2500:
                break
        assert trace.lost <= client.statistics().skipped
    assert_no_tick_lost(ticks, client)


CRASHES = {
    "SEGV": "segmentation",
    "ABORT": "abort",
    "STACK": "stack overflow",
    "DIVIDE": "division by zero",
    "TRAP": "illegal",
    "FAULT": "pump 1 runs dry",
    "LOOP": "watchdog",
}


def check_crash(client: Client, runtime: Runtime, kind: str, folder: Path) -> None:
    client.download(image_of(CRASH, folder, f"-DCRASH_{kind}"))
    client.start()
    wait_for(lambda: client.status().status == Status.Broken)
    fault = client.board_status().fault
    assert CRASHES[kind] in fault.lower()
    assert "_board" not in fault
    assert any(CRASHES[kind] in line.text.lower() for line in client.log([0]))
    # The next load works, in the same process: it executes itself anew.
    client.download(image_of(HUNDRED, folder))
    wait_for(lambda: client.status().status == Status.Stopped)
    client.start()
    wait_for(lambda: client.status().status == Status.Started)
    first = dint(client, "V0")
    wait_for(lambda: dint(client, "V0") > first)
    assert runtime.process.poll() is None
    assert any(CRASHES[kind] in line.text.lower() for line in client.log([0])), "log kept"


@pytest.mark.parametrize("kind", CRASHES)
def test_a_crash_leaves_the_board_reachable(
    client: Client, runtime: Runtime, kind: str, tmp_path: Path
) -> None:
    check_crash(client, runtime, kind, tmp_path)


def test_an_endless_loop_on_the_only_cpu(cable: VirtualCable, tmp_path: Path) -> None:
    runtime = Runtime(cable, tmp_path / "plc", "taskset", "-c", "0")
    try:
        with connect(f"ERPC://{cable.host_end}:{BAUD}", timeout_s=20) as client:
            check_crash(client, runtime, "LOOP", tmp_path)
    finally:
        assert runtime.end() == 0


def test_start_after_a_crash_starts_the_same_program(client: Client, tmp_path: Path) -> None:
    client.download(image_of(CRASH, tmp_path, "-DCRASH_SEGV"))
    client.start()
    wait_for(lambda: client.status().status == Status.Broken)
    client.start()  # executes the runtime anew, and crashes again there
    wait_for(lambda: len([x for x in client.log([0]) if "segmentation" in x.text.lower()]) == 2)


def test_a_program_for_another_machine_disturbs_nothing(client: Client, tmp_path: Path) -> None:
    client.download(image_of(HUNDRED, tmp_path))
    client.start()
    foreign = bytearray(image_of(HUNDRED, tmp_path))
    foreign[18:20] = (243).to_bytes(2, "little")  # e_machine: RISC-V
    with pytest.raises(ImageError, match="RISC-V"):
        client.download(bytes(foreign))
    assert client.status().status == Status.Started
    first = dint(client, "V0")
    wait_for(lambda: dint(client, "V0") > first)


def test_a_restarted_runtime_has_its_program(cable: VirtualCable, tmp_path: Path) -> None:
    runtime = Runtime(cable, tmp_path / "plc")
    with connect(f"ERPC://{cable.host_end}:{BAUD}", timeout_s=20) as client:
        image = image_of(HUNDRED, tmp_path)
        client.download(image)
        md5 = client.program().md5
        assert runtime.end() == 0
        runtime = Runtime(cable, tmp_path / "plc")
        assert client.program().md5 == md5
        client.start()
        assert client.status().status == Status.Started
    assert runtime.end() == 0
