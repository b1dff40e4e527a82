# SPDX-License-Identifier: MIT
"""The whole shim as a C program: under the sanitizers, and on emulated ARM, 32 and 64 bits."""

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


OTHERS = {"arm-linux-gnueabihf": "qemu-arm", "aarch64-linux-gnu": "qemu-aarch64"}
LIMIT_S = 150


def build(compiler: str, *options: str, to: Path) -> str:
    files = [str(path) for path in (*SOURCES, HERE / "shim" / "shim_stress.c")]
    program = str(to / "shim_stress")
    subprocess.run(
        # Exported, since it lends functions to the object (hosted.h).
        [compiler, *STRICT, "-D_DEFAULT_SOURCE", *INCLUDES, *options, *files, "-rdynamic"]
        + ["-pthread", "-o", program],
        check=True,
    )
    return program


def programs(image: ImageMaker, compiler: str, to: Path, *crash: str) -> list[str]:
    """What the stress test runs: see shim_stress.c; ``crash``: how its crash comes."""
    objects = [to / "hosted.so", to / "own.so"]
    for path in objects:
        path.write_bytes(beremiz_object.content(compiler=compiler))
    native = [image("forces", compiler=compiler)]
    native.append(image("crash", "KIND=segmentation", *crash, compiler=compiler))
    threads = image("threads", "BURN=2000", compiler=compiler)
    versions = [image("forces", compiler=compiler) for _ in range(2)]
    return [*native, *map(str, objects), threads, *versions]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_all_of_it_at_once(sanitizer: str, image: ImageMaker, tmp_path: Path) -> None:
    compiler = os.environ.get("CC", "gcc")
    program = build(compiler, "-O1", "-g", *SANITIZERS[sanitizer], to=tmp_path)
    crash = ["BESIDE"] if sanitizer == "thread" else []
    command = [program, *programs(image, "gcc", tmp_path, *crash)]
    done = run(*command)
    if "unexpected memory mapping" in done.stdout:
        # gcc 12's thread sanitizer cannot live with much address space randomisation.
        done = run("setarch", "-R", *command)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok test_") == 7


@pytest.mark.parametrize("processor", OTHERS)
def test_all_of_it_on_another_processor(processor: str, image: ImageMaker, tmp_path: Path) -> None:
    compiler, emulator = f"{processor}-gcc", OTHERS[processor]
    for tool in (compiler, emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    program = build(compiler, "-O2", to=tmp_path)
    libraries = f"/usr/{processor}"
    done = run(emulator, "-L", libraries, program, *programs(image, compiler, tmp_path))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok test_") == 7
