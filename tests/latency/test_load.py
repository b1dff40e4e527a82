# SPDX-License-Identifier: MIT
"""The load's processes: they work until they are told to end, or who started them is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serial_runtime.latency import load
from serial_runtime.latency.load import KINDS, Load, LoadError


def test_all_kinds_start_and_end(tmp_path: Path) -> None:
    with Load(list(KINDS), str(tmp_path)) as running:
        processes = dict(running.processes)
        assert set(processes) == set(KINDS)
        running.check()
    assert [process.returncode for process in processes.values()] == [0] * len(KINDS)
    assert list(tmp_path.iterdir()) == []


def test_none_is_no_load() -> None:
    with Load([]) as running:
        assert running.processes == []


def test_one_that_cannot_begin(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LoadError, match="'disk' did not start"), Load(["disk"], f"{tmp_path}/none"):
        pytest.fail("it says that it has started")
    assert "No such file or directory" in capfd.readouterr().err


def test_one_that_ends_by_itself() -> None:
    with Load(["syscalls"]) as running:
        ((_, process),) = running.processes
        process.kill()
        process.wait()
        with pytest.raises(LoadError, match="'syscalls' ended with code -9"):
            running.check()


@pytest.mark.parametrize("kind", KINDS)
def test_one_whose_parent_is_gone_ends(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", load.__name__, kind, str(tmp_path)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=150, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"ready\n")
