# SPDX-License-Identifier: MIT
"""The quick benchmarks run, and print what they are for. Their figures are not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import KINDS, stress
from benchmarks.side_by_side import missing

ROOT = Path(__file__).resolve().parents[2]
beside_cyclictest = pytest.mark.skipif(bool(missing()), reason=missing())


def benchmark(*words: str) -> str:
    command = [sys.executable, "-m", "benchmarks", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_work() -> None:
    text = benchmark("work", "--runs", "2", "--seconds", "0.2")
    assert [line.split()[0] for line in text.splitlines()[1:]] == [
        "empty",
        "100-traced",
        "1000-traced-100-forced",
    ]
    assert "inf" not in text


def test_startup() -> None:
    assert "start to first reply" in benchmark("startup", "1")


@beside_cyclictest
def test_latency() -> None:
    text = benchmark("latency", "--runs", "1", "--seconds", "0.5", "--only", "250us,idle")
    assert "1ms" not in text
    assert "p99.9: scan cycle / cyclictest" in text
    assert "p99.9: cyclictest / cyclictest (control)" in text


@beside_cyclictest
def test_overruns() -> None:
    assert "late: scan cycle / cyclictest" in benchmark(
        "overruns", "--runs", "1", "--seconds", ".2"
    )


@beside_cyclictest
def test_busy_link() -> None:
    text = benchmark("busy_link", "--runs", "1", "--seconds", "0.5")
    assert "p99: scan cycle / cyclictest" in text
    for kind in ("calls", "bytes uploaded", "samples traced"):
        assert f"load: {kind}" in text


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_of_the_load_does_something(kind: str, tmp_path: Path) -> None:
    KINDS[kind](tmp_path)
    assert bool(list(tmp_path.iterdir())) == (kind == "write")


def children() -> set[str]:
    return set(Path("/proc/self/task", str(os.getpid()), "children").read_text().split())


def test_the_load_is_on_every_cpu_and_ends() -> None:
    before = children()
    with stress():
        started = children() - before
        pinned = [tuple(os.sched_getaffinity(int(pid))) for pid in started]
    assert sorted(pinned) == sorted((cpu,) for cpu in os.sched_getaffinity(0) for _ in KINDS)
    assert children() == before
