# SPDX-License-Identifier: MIT
"""The Xenomai backend compiles without Xenomai, for both cores, so that it cannot rot unseen.

``include/`` declares the calls it uses. Whether it runs is tested where the real libraries are
(``tests/board/test_platform.py``).
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "board" / "xenomai").glob("*.c"))
LAUNCHER = ROOT / "board" / "launcher" / "xenomai_python.c"
STAND_IN = Path(__file__).resolve().parent / "include"
STRICT = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def test_there_is_something_to_compile() -> None:
    assert {path.name for path in SOURCES} >= {"init.c", "thread.c", "faults.c", "memory.c"}


@pytest.mark.parametrize("core", ["mercury", "cobalt"])
@pytest.mark.parametrize("compiler", ["gcc", "arm-linux-gnueabihf-gcc"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_compiles(source: Path, compiler: str, core: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    choice = ["-DSR_STAND_IN_COBALT"] if core == "cobalt" else []
    command = [compiler, *STRICT, *choice, "-isystem", str(STAND_IN), "-c", str(source)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "object.o")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_launcher_for_stock_libraries_compiles(tmp_path: Path) -> None:
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        pytest.skip(f"no Python.h in {include}")
    command = ["gcc", *STRICT, "-isystem", include, "-c", str(LAUNCHER)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "object.o")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
