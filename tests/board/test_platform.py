# SPDX-License-Identifier: MIT
"""Every backend of ``board/platform.h`` passes the same cases (``tests/board/platform/*.c``).

POSIX always; Xenomai where ``xeno-config`` is on the path or ``SR_XENO_CONFIG`` names it. One
process a case: some leave a thread parked or take the process's signals.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "board"
PROGRAM = sorted((ROOT / "tests" / "board" / "platform").glob("*.c"))
STRICT = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror")
CASES = [
    name
    for path in PROGRAM
    for name in re.findall(r"^    CASE(?:_BEFORE_INIT)?\((\w+)\),$", path.read_text(), re.MULTILINE)
]
SKIPPED = 77


def xeno_config() -> str:
    """Path of Xenomai's ``xeno-config``; skips the test where there is none."""
    found = os.environ.get("SR_XENO_CONFIG") or shutil.which("xeno-config")
    if not found:
        pytest.skip("Xenomai is not installed: no xeno-config, and SR_XENO_CONFIG is not set")
    return found


def ask(config: str, *options: str) -> list[str]:
    """The flags that xeno-config prints for the alchemy skin."""
    command = [config, "--skin=alchemy", *options]
    return shlex.split(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def xenomai_flags() -> tuple[list[str], list[str]]:
    """Flags to compile and to link with. Its headers are system headers: their warnings are not
    ours. The optimisation flags it was itself built with are left out."""
    config = xeno_config()
    compile_flags: list[str] = []
    for flag in ask(config, "--cflags"):
        if flag.startswith("-I"):
            compile_flags += ["-isystem", flag[2:]]
        elif flag.startswith("-D") and flag != "-D_GNU_SOURCE":  # the sources define it
            compile_flags.append(flag)
    link_flags = ask(config, "--ldflags", "--no-auto-init")
    folders = [flag[2:] for flag in link_flags if flag.startswith("-L")]
    return compile_flags, [*link_flags, *(f"-Wl,-rpath,{folder}" for folder in folders)]


@pytest.fixture(scope="module", params=["posix", "xenomai"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The conformance program, built for one backend."""
    compile_flags, link_flags = ([], []) if request.param == "posix" else xenomai_flags()
    sources = [*sorted((BOARD / request.param).glob("*.c")), *PROGRAM]
    built = tmp_path_factory.mktemp(request.param) / "test_platform"
    command = ["gcc", *STRICT, *compile_flags, f"-I{BOARD}", *map(str, sources), "-o", str(built)]
    done = subprocess.run(
        [*command, *link_flags, "-lpthread", "-ldl"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return built


def run(program: Path, case: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [program, case],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, **environment},
    )
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    return done


@pytest.mark.parametrize("case", CASES)
def test_case(program: Path, case: str) -> None:
    done = run(program, case)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"


def test_the_cases_were_found() -> None:
    assert len(CASES) == len(set(CASES)) >= 24


def test_an_unknown_case_fails(program: Path) -> None:
    assert run(program, "no_such_case").returncode == 1


@pytest.mark.parametrize("variable", ["XENO_CPU_AFFINITY", "XENO_SESSION_NAME"])
@pytest.mark.parametrize("program", ["xenomai"], indirect=True)
def test_xenomai_refuses_an_environment_that_would_end_the_process(
    program: Path, variable: str
) -> None:
    done = run(program, "start_join", **{variable: "none/of/it"})
    assert done.returncode == 1
    assert f"unset {variable}" in done.stderr
