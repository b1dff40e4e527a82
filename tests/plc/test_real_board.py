# SPDX-License-Identifier: MIT
"""The PLC object on the real board: the same state machine, and a fault's whole story."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from plc_machine import PlcMachine
from plc_scene import Scene

import serial_runtime
from serial_runtime.board import Board, Options
from serial_runtime.errors import ImageError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.trial import load_on_trial

PROGRAM = """
#include "plc_abi.h"
#include <stdlib.h>
static sr_dint v[4];
static void run(const sr_cycle *cycle)
{
    for (int i = 0; i < 4; i++)
        SR_SET(v[i], (int32_t)(cycle->tick * 10 + (uint32_t)i));
#ifdef CRASH
    if (cycle->tick == 20)
        *(volatile int *)8 = 1;
#endif
}
static int32_t init(void)
{
    SR_LOG(SR_LOG_INFO, "init of " NAME);
    return INIT;
}
#ifdef BAD
__attribute__((constructor)) static void begin(void) { abort(); }
#endif
static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("V0", DINT, v[0]), SR_ROW("V1", DINT, v[1]),
    SR_ROW("V2", DINT, v[2]), SR_ROW(LAST, DINT, v[3])};
SR_PLC_IMAGE(NAME, tasks, variables, init, NULL);
"""
VARIANTS = {
    "good": {},
    "other": {},
    "fail-init": {"INIT": "1"},
    "fail-load": {"LAST": '"V0"'},
    "bad": {"BAD": "1"},
    "crash": {"CRASH": "1"},
}
LONG_S = 60.0
BIG = 60_000


@cache
def program(name: str) -> bytes:
    """The image of one variant, compiled once."""
    defines = {"NAME": f'"{name}"', "INIT": "0", "LAST": '"V3"', **VARIANTS[name]}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "p.c").write_text(PROGRAM)
        command = ["gcc", "-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-Wl,-z,now"]
        command += [f"-D{key}={value}" for key, value in defines.items()]
        command += ["-I", serial_runtime.get_include(), f"{folder}/p.c", "-o", f"{folder}/p.so"]
        subprocess.run(command, check=True)
        return (Path(folder) / "p.so").read_bytes()


class RealScene(Scene):
    """Not real time, so that it runs for everybody; one board at a time in this process."""

    trial = staticmethod(load_on_trial)

    def make_board(self) -> Board:
        return Board(Options(priority=0, cpu_latency_us=-1))


class OnTheBoard(PlcMachine):
    """Without crashes: they cost the process."""

    can_crash = False
    real_trial = True

    def make_scene(self, directory: str) -> Scene:
        return RealScene(directory)

    def file_of(self, name: str) -> bytes:
        return program(name)


OnTheBoard.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOnTheBoard = OnTheBoard.TestCase


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.001)


def ticks_of(samples: bytes, variables: int) -> list[int]:
    size = 8 + 4 * variables
    assert len(samples) % size == 0
    return [struct.unpack_from("<I", samples, at)[0] for at in range(0, len(samples), size)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[RealScene]:
    it = RealScene(str(tmp_path))
    yield it
    it.end()


def nothing_missing(scene: RealScene, ticks: list[int]) -> None:
    """In order, and no gaps but those of cycles that a busy machine skipped."""
    assert ticks == sorted(set(ticks))
    missing = ticks[-1] - ticks[0] + 1 - len(ticks)
    assert missing <= scene.plc.statistics().skipped
    assert scene.plc.board_status().trace_lost == 0


def test_every_sample_arrives_by_both_services(scene: RealScene) -> None:
    scene.load(program("good"))
    scene.plc.start()
    token = scene.plc.set_trace_list([(1, b""), (2, struct.pack("<i", -5))])
    samples: list[tuple[int, bytes]] = []

    def enough_by_service_1() -> bool:
        samples.extend(scene.plc.get_traces(token, BIG)[1])
        return len(samples) >= 200

    until(enough_by_service_1)
    nothing_missing(scene, [tick for tick, _ in samples])
    assert all(values == struct.pack("<ii", tick * 10 + 1, -5) for tick, values in samples[3:])

    token = scene.plc.open_trace([0])
    cursor, collected = 0, b""

    def enough_by_service_2() -> bool:
        nonlocal cursor, collected
        _, batch = scene.plc.read_trace(token, cursor, BIG)
        collected += batch.samples
        cursor = batch.next_cursor
        return len(collected) >= 200 * 12

    until(enough_by_service_2)
    nothing_missing(scene, ticks_of(collected, 1))
    assert scene.plc.forced()[1] == [2]
    scene.plc.stop()
    assert scene.plc.status()[0] is PlcStatus.STOPPED
    assert any("init of good" in text for text in scene.log_texts(2))


@pytest.mark.parametrize(
    ("name", "sentence"), [("bad", "SIGABRT"), ("fail-load", "two variables have the path V0")]
)
def test_a_bad_upload_disturbs_no_cycle(scene: RealScene, name: str, sentence: str) -> None:
    scene.load(program("good"))
    scene.plc.start()
    token = scene.plc.open_trace([0])
    with pytest.raises(ImageError, match=sentence):
        scene.load(program(name))
    before = scene.plc.read_variables([0])[0]

    def ticks() -> list[int]:
        return ticks_of(scene.plc.read_trace(token, 0, BIG)[1].samples, 1)

    until(lambda: ticks()[-1:] > [before])
    nothing_missing(scene, ticks())
    assert scene.plc.status()[0] is PlcStatus.STARTED


# A fault taints the process it happens in, so that one is not this one.
STORY = """
import os
import sys
import traceback
sys.path[:0] = {path!r}
from test_real_board import RealScene, program, until
from serial_runtime.plc.answers import PlcStatus
scene = RealScene({store!r})
plc = scene.plc
try:
    exec({body!r})
    status = 0
except BaseException:  # the scene's thread would keep the process from ending
    traceback.print_exc()
    status = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # as execve: nothing of a tainted process is run down
"""
HERE = Path(__file__).parent


def in_a_process(store: Path, body: str) -> str:
    path = [str(HERE), str(HERE.parent.parent)]
    code = STORY.format(path=path, store=str(store), body=body)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=150, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fault_then_a_new_program_in_the_next_process(tmp_path: Path) -> None:
    told = in_a_process(
        tmp_path,
        """
scene.load(program("crash"))
plc.start()
token = plc.open_trace([0])
until(lambda: plc.status()[0] is PlcStatus.BROKEN)
print(plc.board_status().fault)
print(scene.log_texts(0))
scene.load(program("other"))
plc.start()
print(plc.restart)
print(plc.status()[0].name, plc.program().loaded)
""",
    )
    assert "segmentation fault" in told.lower()
    assert "RestartPlan(start=True" in told
    assert "BROKEN" in told
    told = in_a_process(
        tmp_path, "print(plc.status()[0].name, plc.program().name, plc.restart); plc.start()"
    )
    assert told.strip() == "STOPPED other None"
