# SPDX-License-Identifier: MIT
"""The example of docs/python.md, as a user types it, against a runtime in its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from python_scene import until

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found[number]


@pytest.fixture
def uri(tmp_path: Path) -> Iterator[str]:
    profile = tmp_path / "profile.toml"
    profile.write_text('[tcp]\nlisten = "127.0.0.1:0"\n[store]\ndir = "plc"\n' + block("toml"))
    command = [sys.executable, "-m", "serial_runtime", "serve", "--profile", str(profile)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    with process:
        try:
            ready = process.stdout.readline().split()
            assert ready[:1] == ["READY"]
            yield ready[1]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_the_example(uri: str, tmp_path: Path) -> None:
    (tmp_path / "oven.c").write_text(block("c"))
    (tmp_path / "runtime_oven.py").write_text(block("python"))
    (tmp_path / "recipes.csv").write_text(block("csv"))

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "serial_runtime", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("build", "oven.c", "-o", "oven.so")
    files = ("--extra", "runtime_oven.py", "--extra", "recipes.csv")
    run("load", uri, "oven.so", *files, "--start")
    run("force", uri, "LOAD_RECIPE=TRUE")
    watch = ("watch", uri, "OVEN.SETPOINT", "RECIPE.RESULT", "LOADED", "--count", "1", "--lines")
    until(lambda: "220" in run(*watch) and "TRUE" in run(*watch))
    until(lambda: "setpoint: 0 -> 220" in run("log", uri))
    assert "python: runtime_oven.py" in run("log", uri)
