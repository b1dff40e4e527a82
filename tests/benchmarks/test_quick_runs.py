# SPDX-License-Identifier: MIT
"""The quick benchmarks run, and print what they are for. Their figures are not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.latency import STRESS
from benchmarks.side_by_side import missing
from serial_runtime.latency.load import KINDS

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


def test_online_change() -> None:
    text = benchmark("online_change", "1")
    assert "missed deadlines: with changes" in text
    assert "missed deadlines: without" in text


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


def test_the_stress_load_has_each_kind_for_each_processor() -> None:
    assert "cpu" in STRESS  # which is one for each by itself
    assert {STRESS.count(kind) for kind in KINDS if kind != "cpu"} == {os.cpu_count()}
    assert STRESS.count("cpu") == 1
