# SPDX-License-Identifier: MIT
"""Builds and runs the C fuzzers beside this file, of what the shim takes from a program file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent / "c"
ROOT = HERE.parents[2]
FUZZERS = ("image_file", "image_check", "image_object")
_FLAGS = [
    "-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", "-pthread", "-Wall", "-Wextra", "-Wconversion",
    "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    *(f"-I{ROOT / folder}" for folder in ("board", "serial_runtime/include", "tests/fuzz/c")),
]  # fmt: skip
_TESTED = (
    "image", "image_check", "image_copies", "image_file", "image_object", "image_segments",
    "hosted", "iec", "location",
)  # fmt: skip
_WRAPPED = {
    "image_file": (),
    "image_check": ("dlsym",),
    "image_object": ("dlsym", "image_file_symbols"),
}
# All that a file may be damaged in, and little else.
_GOOD = "int visible(void) { return 1; } static int hidden(int x) { return x; } int y(void);"
_GOOD += " int y(void) { return hidden(2); } int one = 1;"
_GOOD += ' __asm__(".type one, %gnu_unique_object");'


def _compile(folder: Path, *arguments: str) -> None:
    subprocess.run([os.environ.get("CC", "gcc"), *arguments], cwd=folder, check=True)


def build(folder: Path) -> None:
    """All fuzzers and a good file, into `folder`."""
    for name in _TESTED:
        source = str(ROOT / "board" / f"{name}.c")
        _compile(
            folder, *_FLAGS, "-fsanitize-coverage=trace-pc", "-c", source, "-o", f"{name}.tested.o"
        )
    tested = [f"{name}.tested.o" for name in _TESTED]
    for name in FUZZERS:
        sources = [str(HERE / f"{one}.c") for one in (name, "guided")]
        wrapped = [f"-Wl,--wrap={one}" for one in _WRAPPED[name]]
        _compile(folder, *_FLAGS, *sources, *tested, *wrapped, "-o", name)
    (folder / "good.c").write_text(_GOOD)
    small = ["-nostdlib", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"]
    _compile(folder, "-shared", "-fPIC", *small, "good.c", "-o", "good.so")


def run(name: str, folder: Path, count: int, seed: int) -> str:
    """What a fuzzer says. AssertionError: the input that ended it is in `folder`/input."""
    good = ["good.so"] if name == "image_file" else []
    command = [str(folder / name), str(count), str(seed), *good]
    done = subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise AssertionError(f"{name} with the seed {seed}:\n{done.stdout}")
    return done.stdout
