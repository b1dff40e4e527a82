# SPDX-License-Identifier: MIT
"""A program that crashes takes nothing with it. Each case in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beremiz_object
import pytest

import serial_runtime

ImageMaker = Callable[..., str]  # of conftest.py

SCRIPTS = Path(__file__).resolve().parent / "scripts"
LIMIT_S = 150
KINDS = {
    "segmentation": (11, r"segmentation fault at address 0x0 in CRASH_segmentation"),
    "jump": (11, r"segmentation fault at address 0x0, .*called by CRASH_jump"),
    "library": (11, r"segmentation fault at address 0x\w+ in .*, called by CRASH_library"),
    "bus": (7, r"bus error at address 0x\w+ in CRASH_bus"),
    "abort": (6, r"abort was called by CRASH_abort"),
    "overflow": (11, r"stack overflow in recurse"),
    "illegal": (4, r"illegal instruction in CRASH_illegal"),
    "division": (8, r"arithmetic fault \(.*division by zero.*\) in CRASH_division"),
    "fault": (0, r"program fault: integer division by zero in CRASH_fault"),
    "locked": (11, r"segmentation fault at address 0x0 in CRASH_locked"),
    "heap": (6, r"abort was called by CRASH_heap"),
    "loop": (61, r"running longer than the watchdog's 30 ms in CRASH_loop"),
}
TRAPS = os.uname().machine in ("x86_64", "i686")


def run(
    script: str, *arguments: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    root = Path(serial_runtime.__file__).resolve().parents[1]
    return subprocess.run(
        [*before, sys.executable, str(SCRIPTS / f"{script}.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )


def crash(image: str, io: str, *force: int, before: tuple[str, ...] = ()) -> dict[str, Any]:
    name = f"{io}-{os.getpid()}"
    done = run("crash", image, name, "30", *map(str, force), before=before)
    # A board that crashed keeps its segment: a new process would take it over.
    Path(f"/dev/shm/serial-runtime.{name}").unlink(missing_ok=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert said["state"] == "FAULTED"
    assert said["tainted"] is True
    assert said["outputs"] == 0
    assert said["refused"][0] in ("ProgramFault", "StateError")  # stop
    assert said["refused"][1:] == ["StateError"] * 3
    assert said["threads"] == 1
    assert said["child"] == 0
    assert "already has a board" in said["next"]
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_in_the_cycle(image: ImageMaker, kind: str) -> None:
    if kind == "division" and not TRAPS:
        pytest.skip("this processor does not trap on integer division by zero")
    signal, sentence = KINDS[kind]
    said = crash(image("crash", f"KIND={kind}", "UNTIL_SEEN"), kind)
    reason, number, tick = said["fault"]
    assert re.fullmatch(rf"{sentence} \(task MAIN, tick {tick}\)", reason)
    assert number == signal
    assert tick >= 10
    assert said["lamp"] == 1  # it was on before
    assert said["values"] == "0b00000001"  # as the program left them
    assert said["ticks"] >= 10
    assert said["trace_bytes"] == said["ticks"] * 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_beside_the_scan(image: ImageMaker, kind: str) -> None:
    if kind == "division" and not TRAPS:
        pytest.skip("this processor does not trap on integer division by zero")
    signal, sentence = KINDS[kind]
    said = crash(image("crash", f"KIND={kind}", "UNTIL_SEEN", "BESIDE"), f"beside-{kind}")
    reason, number, tick = said["fault"]
    assert re.fullmatch(rf"{sentence} \(task MAIN, tick {tick}\)", reason)
    assert number == signal
    assert tick % 2 == 0
    assert said["lamp"] == 1
    assert said["values"] == "0a00000001"  # of the last whole run
    # The scan goes on until it learns of the fault; of a loop, when the watchdog has had enough.
    assert said["last_tick"] >= tick + (20 if kind == "loop" else -1)
    assert said["trace_bytes"] == said["ticks"] * 12


HOSTED = {  # the variable ORDER of tests/images/beremiz.c
    1: (11, r"segmentation fault at address 0x0 in obey"),
    2: (61, r"running longer than the watchdog's 30 ms in obey"),
    3: (6, r"abort was called by obey"),
}


@pytest.mark.parametrize("order", HOSTED)
def test_a_crash_in_the_cycle_of_a_hosted_object(tmp_path: Path, order: int) -> None:
    path = tmp_path / "plc.so"
    path.write_bytes(beremiz_object.content())
    said = crash(str(path), f"hosted-{order}", beremiz_object.ORDER, order)
    reason, number, tick = said["fault"]
    signal, sentence = HOSTED[order]
    assert re.fullmatch(rf"{sentence} \(task PLC, tick {tick}\)", reason)
    assert number == signal
    assert said["lamp"] == 2
    count = said["ticks"] + 1  # with the cycle that crashed
    assert said["values"] == struct.pack("<IB", count, count % 2).hex()
    assert said["log"] == 2 + (order == 3)  # its last words, too


OWN_CYCLE = {  # outside of its cycle an object is contained all the same
    "CRASH_IN_INIT": r"segmentation fault at address 0x0 in config_init__ \(init\)",
    "ORDER=2": r"running longer than the watchdog's 600 ms in .* \(fini\)",
}


@pytest.mark.parametrize("word", OWN_CYCLE)
def test_an_object_with_its_own_cycle(tmp_path: Path, word: str) -> None:
    path = tmp_path / "plc.so"
    path.write_bytes(beremiz_object.content(word))
    done = run("own_cycle", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(rf"{OWN_CYCLE[word]}\nTrue True\n", done.stdout)


def test_a_crash_in_an_objects_own_cycle_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "plc.so"
    path.write_bytes(beremiz_object.content("ORDER=1"))
    assert run("own_cycle", str(path)).returncode == -11


def test_an_endless_loop_with_the_whole_process_on_one_processor(image: ImageMaker) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    said = crash(
        image("crash", "KIND=loop", "UNTIL_SEEN"), "one-cpu", before=("taskset", "-c", cpu)
    )
    assert "in CRASH_loop" in said["fault"][0]
    assert said["lamp"] == 1


@pytest.mark.parametrize("kind", ["segmentation", "abort", "overflow", "loop", "fault"])
def test_a_crash_in_init(image: ImageMaker, kind: str) -> None:
    said = crash(image("crash", f"KIND={kind}", "IN_INIT"), f"init-{kind}")
    reason = said["fault"][0]
    assert said["start"] == reason
    sentence = KINDS[kind][1].replace("30 ms", "600 ms")
    assert re.fullmatch(rf"{sentence} \(init\)", reason)


@pytest.mark.parametrize("kind", ["segmentation", "loop"])
def test_a_crash_in_fini(image: ImageMaker, kind: str) -> None:
    said = crash(image("crash", f"KIND={kind}", "IN_FINI"), f"FINI-{kind}")
    assert said["stop"] == said["fault"][0]
    assert said["stop"].endswith("(fini)")
    assert f"CRASH_{kind}" in said["stop"]


@pytest.mark.parametrize(
    ("end", "signal", "dumps"),
    [
        ("python", 11, "Segmentation fault"),
        ("python-abort", 6, "Aborted"),
        ("default", 11, ""),
    ],
)
def test_a_crash_of_python_itself_goes_to_its_owner(
    image: ImageMaker, end: str, signal: int, dumps: str
) -> None:
    done = run("handlers", end, image("basic"), "")
    assert done.returncode == -signal
    assert done.stdout == "ready\n"
    assert done.stderr.count("Fatal Python error") == (1 if dumps else 0)
    assert dumps in done.stderr


def test_handlers_taken_away_are_taken_back_at_the_next_start(image: ImageMaker) -> None:
    done = run("handlers", "program", image("basic"), image("crash", "KIND=segmentation"))
    assert done.stdout.splitlines()[0] == "ready"
    assert "segmentation fault at address 0x0 in CRASH_segmentation" in done.stdout
    # A signal sent to the process still reaches faulthandler.
    assert done.returncode == -8
    assert "Fatal Python error: Floating point exception" in done.stderr


@pytest.mark.parametrize("may_lock", [1 << 20, 1 << 30], ids=["1 MiB", "1 GiB"])
def test_without_privilege_it_runs_and_says_so(image: ImageMaker, may_lock: int) -> None:
    done = run("unprivileged", image("basic"), str(may_lock))
    if "Cobalt's allowed_group" in done.stderr:
        pytest.skip("Cobalt serves nobody without the privilege but its group")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    if said is None:
        pytest.skip("the memory lock limit cannot be raised here")
    assert said["state"] == "RUNNING"
    assert said["ticks"] >= 20
    if said["backend"] == "cobalt":
        pytest.skip("Cobalt's group may do it without any privilege")
    assert said["real_time"] is False
    for sentence in (said["before"], said["running"]):
        assert sentence.startswith("NOT real time: priority 80 was refused")
        assert "CAP_SYS_NICE" in sentence
        assert "LimitRTPRIO" in sentence
    # With any limit: once it is reached, Python could not even start a thread.
    assert "only the runtime's own memory locked" in said["running"]
