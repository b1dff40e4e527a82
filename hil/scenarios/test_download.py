# SPDX-License-Identifier: MIT
"""A program gets onto the board whole, or the one before stays: over noise, breaks, cut cables."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.boards.board import Board, Pins
from hil.scenarios import observe
from hil.scenarios.host import SOURCE, Host, version
from hil.scenarios.patience import eventually
from serial_runtime import demo
from serial_runtime.errors import SerialRuntimeError
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

Program = Callable[[str | Path], bytes]
TANK = Path(demo.__file__).with_name("tank.c")


def ballast(image: bytes, size: int) -> bytes:
    """The image as long as wanted; what is added cannot be compressed."""
    return image + random.Random(size).randbytes(max(0, size - len(image)))


def is_there(client: Client, image: bytes) -> None:
    """The board has this program and no other, and it runs."""
    digest = hashlib.md5(image, usedforsecurity=False).hexdigest()
    assert client.program().md5 == digest
    client.start()
    observe.runs_on(client)


@pytest.mark.requirement("REQ-LOAD-NOISE")
def test_over_noise(plc: Client, line: Any, program: Program) -> None:
    image = ballast(program(SOURCE), 40_000)
    before = observe.faults(line)
    line.order("set ber=5e-5 drop=2e-5")
    plc.download(image, whole=True)
    line.clear()
    assert observe.faults(line) > before, "or it was no test"
    is_there(plc, image)


CONDITIONS = [
    ("ber=1e-4", 20_000),
    ("drop=3e-4", 20_000),
    ("burst=1e-4 burst-bytes=64", 60_000),
    ("ber=1e-5", 300_000),
    ("ber=2e-5 burst=2e-5 drop=2e-5 insert=2e-5 duplicate=2e-5 breaks=0.5 stalls=1", 60_000),
]


@pytest.mark.full
@pytest.mark.requirement("REQ-LOAD-NOISE")
@pytest.mark.parametrize(("conditions", "size"), CONDITIONS)
def test_sizes(conditions: str, size: int, plc: Client, line: Any, program: Program) -> None:
    image = ballast(program(SOURCE), size)
    line.order(f"set {conditions}")
    plc.download(image, whole=True)
    line.clear()
    is_there(plc, image)


@pytest.mark.requirement("REQ-LOAD-RESUME")
def test_goes_on_after_the_cable_was_out(plc: Client, line: Any, program: Program) -> None:
    image = ballast(program(SOURCE), 60_000)
    pulled: list[int] = []

    def progress(done: int, total: int) -> None:
        if done > total // 2 and not pulled:
            pulled.append(done)
            line.unplug()
            line.plug()

    sent = plc.download(image, whole=True, progress=progress)
    assert pulled
    assert sent.bytes_sent < 1.5 * len(image), "not from the beginning"
    is_there(plc, image)


@pytest.mark.requirement("REQ-LOAD-RESUME")
def test_goes_on_where_a_host_that_died_left_off(
    plc: Client, line: Any, program: Program, host: Host
) -> None:
    image = ballast(program(SOURCE), 80_000)
    (host.folder / "image.so").write_bytes(image)
    plc.close()
    before = observe.carried(line, "to-board")
    with host.running("load", "image.so", "--whole") as process:
        eventually(
            lambda: observe.carried(line, "to-board") > before + len(image) // 2, "half of it"
        )
        process.kill()
        process.wait()
    assert host.json("status")["state"] == "Empty", "half a program is none"
    sent = host.json("load", "image.so", "--whole", "--start")
    assert sent["bytes_kept"] > 0
    assert sent["bytes_sent"] < len(image)


@pytest.mark.requirement("REQ-LOAD-SECOND")
def test_a_second_program_and_back(running: Client, program: Program, pins: Pins) -> None:
    eventually(lambda: pins[observe.ALIVE], "its output")
    before = observe.count(running)
    running.download(program(TANK))
    assert not pins[observe.ALIVE], "the program was stopped"
    running.start()
    assert running.program().name == "TANK"
    running.download(program(SOURCE))
    running.start()
    assert observe.count(running) > before, "what is retained outlives another program"


@pytest.mark.requirement("REQ-LOAD-REFUSE")
def test_what_is_no_program_is_refused_and_the_old_one_runs_on(
    running: Client, program: Program
) -> None:
    good = program(SOURCE)
    torn = bytearray(program(version(2)))
    torn[: len(torn) // 2] = bytes(len(torn) // 2)
    for bad in (b"no program at all", good[: len(good) // 2], bytes(torn)):
        with pytest.raises(SerialRuntimeError):
            running.download(bad)
        observe.runs_on(running)
    assert running.status().status == Status.Started


@pytest.mark.full
@pytest.mark.requirement("REQ-LOAD-FULL")
def test_a_full_disk(running: Client, board: Board, program: Program) -> None:
    """Refused with a sentence; the program runs on, and all is well when there is room again."""
    if board.kind == "simulator":
        pytest.skip("its disk is this computer's; tests/plc has disks that fail")
    filler = f"{board.store}/filler"
    board.shell(f"cat /dev/zero > {filler} 2>/dev/null || true; sync", timeout_s=300)
    try:
        with pytest.raises(SerialRuntimeError, match="space|disk|full"):
            running.download(ballast(program(version(2)), 200_000), whole=True)
        observe.runs_on(running)
        eventually(lambda: running.retain_status().trouble, "the retain file cannot be written")
    finally:
        board.shell(f"rm -f {filler}; sync")
    eventually(lambda: not running.retain_status().trouble, "it can again")
    running.download(program(version(2)))
    running.start()
    eventually(lambda: observe.number(running, "VERSION") == 2, "the new program runs")


@pytest.mark.requirement("REQ-LOAD-PATCH")
def test_an_edited_program_goes_as_a_patch(plc: Client, program: Program, host: Host) -> None:
    pytest.importorskip("bsdiff4")
    first, second = program(SOURCE), program(version(2))
    (host.folder / "first.so").write_bytes(first)
    (host.folder / "second.so").write_bytes(second)
    plc.close()
    host.ok("load", "first.so")
    answer = json.loads(host.ok("load", "second.so", "--start", "--json"))
    assert answer["coding"] == "patch"
    assert answer["bytes_sent"] < len(second) // 4
