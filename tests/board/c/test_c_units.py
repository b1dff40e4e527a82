# SPDX-License-Identifier: MIT
"""Compiles the C unit tests beside this file under the sanitizers and runs each program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODULES = [
    *(ROOT / "board" / f"{name}.c" for name in (
        "ring", "iec", "plan", "trace", "snapshot", "force", "log", "stats", "location",
        "eval", "shared", "retain", "convert", "exchange", "guard", "recorder",
    )),
    *sorted((ROOT / "board" / "io").glob("*.c")),
]  # fmt: skip
PROGRAMS = sorted(path.stem for path in HERE.glob("test_*.c"))
# Those with two threads.
STRESSED = [
    f"test_{name}"
    for name in (
        "ring",
        "trace",
        "snapshot",
        "force",
        "log",
        "stats",
        "sim",
        "cycle",
        "eval",
        "shared",
        "exchange",
        "set",
        "gpio",
        "recorder",
        "change",
    )
]
FLAGS = [
    "-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", "-pthread", "-fno-omit-frame-pointer",
    "-Wall", "-Wextra", "-Wconversion", "-Werror",
    f"-I{ROOT / 'board'}", f"-I{ROOT / 'serial_runtime' / 'include'}",
]  # fmt: skip
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    # The seqlock's fences order atomic data; the sanitizer does not follow them and need not.
    "thread": ["-fsanitize=thread", "-Wno-tsan"],
}
# Modules whose program brings a platform of its own.
CYCLE = (
    "cycle", "cycle_change", "cycle_control", "change", "program", "task_sets", "watchdog", "host",
)  # fmt: skip
SCRIPTED = {
    "cycle": CYCLE,
    "watchdog": ("watchdog",),
    "change": ("change",),
    # Both in simulated time.
    "drift": CYCLE,
    "rules": CYCLE,
    "cycle_change": CYCLE,
}
# Programs that step in between their module and what it calls; one is told where its examples are.
LINK = {
    "test_log": ["-Wl,--wrap=ring_peek"],
    "test_guard": ["-Wl,--wrap=fork"],
    "test_location": [f'-DLOCATION_EXAMPLES="{ROOT / "tests" / "data" / "locations.tsv"}"'],
    **{
        f"test_{name}": [str(ROOT / "board" / f"{module}.c") for module in modules]
        for name, modules in SCRIPTED.items()
    },
}
LIMIT_S = 150


def compiler() -> str:
    return os.environ.get("CC", "gcc")


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip


def compile_(arguments: list[str], cwd: Path) -> None:
    done = run([compiler(), *FLAGS, *arguments], cwd)
    assert done.returncode == 0, done.stdout


class Build:
    """The modules under one sanitizer, and the programs linked with them."""

    def __init__(self, sanitizer: str, directory: Path) -> None:
        self._directory = directory
        self._flags = SANITIZERS[sanitizer]
        compile_([*self._flags, "-c", *map(str, MODULES)], directory)
        self._objects = [f"{path.stem}.o" for path in MODULES]

    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        source = str(HERE / f"{program}.c")
        files = [source, *self._objects, *LINK.get(program, [])]
        compile_([*self._flags, *files, "-o", program], self._directory)
        done = run([f"./{program}"], self._directory)
        if "unexpected memory mapping" in done.stdout:
            # gcc 12's thread sanitizer cannot live with much address space randomisation.
            done = run(["setarch", "-R", f"./{program}"], self._directory)
        return done


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return Build("address", tmp_path_factory.mktemp("address"))


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return Build("thread", tmp_path_factory.mktemp("thread"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_address_and_undefined(address: Build, program: str) -> None:
    done = address.run(program)
    assert done.returncode == 0, done.stdout
    assert "ok " in done.stdout


@pytest.mark.parametrize("program", STRESSED)
def test_threads(thread: Build, program: str) -> None:
    done = thread.run(program)
    assert done.returncode == 0, done.stdout
    assert "ok " in done.stdout


def test_sanitizers_are_at_work(address: Build, thread: Build) -> None:
    overflow = address.run("planted_overflow")
    assert overflow.returncode != 0
    assert "heap-buffer-overflow" in overflow.stdout
    race = thread.run("planted_race")
    assert race.returncode != 0
    assert "data race" in race.stdout


def test_every_module_has_its_program() -> None:
    tested = {name.removeprefix("test_") for name in PROGRAMS}
    modules = {path.stem for path in MODULES if path.parent.name == "board"}
    assert tested == modules | {"sim", "set", "gpio", "plc_python", "plc_blocks"} | set(SCRIPTED)
    assert set(STRESSED) <= set(PROGRAMS)
