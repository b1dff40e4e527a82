# SPDX-License-Identifier: MIT
"""The whole shim as a C program under the sanitizers, and its C for a 32-bit processor."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import beremiz_object
import pytest

ImageMaker = Callable[..., str]  # of conftest.py

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BOARD = ROOT / "board"
SOURCES = sorted(
    path for folder in (BOARD, BOARD / "io", BOARD / "posix") for path in folder.glob("*.c")
)
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
INCLUDES = [f"-I{BOARD}", f"-I{ROOT / 'serial_runtime' / 'include'}"]
SANITIZERS = {
    # The abandoned thread of the crash keeps its memory: that is no leak.
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    # Fences (seqlock.h) order atomic data; the sanitizer does not follow them and need not.
    "thread": ["-fsanitize=thread", "-Wno-tsan"],
}
LIMIT_S = 55


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_all_of_it_at_once(sanitizer: str, image: ImageMaker, tmp_path: Path) -> None:
    program = tmp_path / "shim_stress"
    source = HERE / "shim" / "shim_stress.c"
    files = [str(path) for path in (*SOURCES, source)]
    compiler = [os.environ.get("CC", "gcc"), *STRICT, "-O1", "-g", "-D_DEFAULT_SOURCE", *INCLUDES]
    subprocess.run(
        # Exported, since it lends functions to the object (hosted.h).
        [*compiler, *SANITIZERS[sanitizer], *files, "-rdynamic", "-pthread", "-o", str(program)],
        check=True,
    )
    objects = [tmp_path / "hosted.so", tmp_path / "own.so"]
    for path in objects:
        path.write_bytes(beremiz_object.content())
    command = [str(program), image("forces"), image("crash", "KIND=segmentation")]
    command += map(str, objects)

    def run(*before: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, *command],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )

    done = run()
    if "unexpected memory mapping" in done.stdout:
        # gcc 12's thread sanitizer cannot live with much address space randomisation.
        done = run("setarch", "-R")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok test_") == 5


@pytest.mark.parametrize("compiler", ["arm-linux-gnueabihf-gcc", "aarch64-linux-gnu-gcc"])
def test_the_c_code_for_another_processor(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    files = [str(path) for path in SOURCES]
    done = subprocess.run(
        [compiler, *STRICT, "-O2", *INCLUDES, "-c", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
