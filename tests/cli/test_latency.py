# SPDX-License-Identifier: MIT
"""latency: what it tells of a measurement; the meter is a fake, the load is none or small."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from serial_runtime.board_latency import LatencyOptions
from serial_runtime.board_types import Distribution, Statistics
from serial_runtime.latency.surroundings import Surroundings


def times(max_ns: int) -> Distribution:
    return Distribution(
        1000, 2000, 5000, 9000, 9500, max_ns, 0, (0, 600, 400), 1000, 5000, 4000, 9900
    )


class FakeMeter:
    """A board on which the second measurement is worse than the first."""

    backend, real_time, cpu, memory_locked, idle_states_held = "posix", True, 1, True, True
    seen: LatencyOptions
    closed = 0

    def __init__(self, options: LatencyOptions) -> None:
        FakeMeter.seen = options
        FakeMeter.closed = 0
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def read(self) -> Statistics:
        worst = times(40_000 * self.resets**3)
        return Statistics(
            1000, 0, self.resets - 1, self.seen.period_ns, worst, times(900), times(0), worst
        )

    def close(self) -> None:
        FakeMeter.closed += 1


@pytest.fixture(autouse=True)
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMeter]]:
    around = Surroundings("6.12.57 aarch64", True, False)
    monkeypatch.setattr("serial_runtime.board_latency.LatencyMeter", FakeMeter)
    monkeypatch.setattr("serial_runtime.latency.surroundings.look_around", lambda machine: around)
    monkeypatch.setattr("serial_runtime.latency.surroundings.running_cycles", lambda *where: [])
    monkeypatch.setattr("serial_runtime.cli.latency._SETTLE_S", 0)
    yield FakeMeter
    assert FakeMeter.closed == 1 or not hasattr(FakeMeter, "seen")


SHORT = ("latency", "--duration", "0.1")


def test_idle_and_under_load(run) -> None:
    out = run(*SHORT, "--load", "syscalls", "--period-us", "250").out.splitlines()
    assert out[0] == (
        "6.12.57 aarch64 (PREEMPT_RT), posix: period 250 us, real time, priority 80 on CPU 1"
    )
    assert out[1] == "idle: 1000 wake-ups, 0 periods skipped"
    assert out[2].split()[-3:] == ["p99.9", "p99.99", "max"]
    assert out[3].split()[-1] == "40.0"
    assert out[5] == "under load (syscalls): 1000 wake-ups, 1 periods skipped"
    assert out[9].startswith("- fit for cycles of 250 us with exceptions: 9999 of 10000 were at")
    assert out[10] == "- the shortest usual period it is fit for is 1 ms"
    assert len(out) == 13
    assert FakeMeter.seen == LatencyOptions(250_000, 80, -1, 0)


def test_json(run) -> None:
    found = json.loads(run(*SHORT, "--load", "none", "--json").out)
    assert found["idle"]["wakeup"]["bins"] == [0, 600, 400]
    assert "load" not in found
    assert (found["verdict"]["fitness"], found["verdict"]["shortest_ns"]) == ("fit", 100_000)
    assert found["kernel"] == "6.12.57 aarch64"


def test_histogram(run) -> None:
    out = run(*SHORT, "--load", "none", "--histogram").out
    assert "      1 to 2 us      600  " + "#" * 40 in out


def test_plot(run, tmp_path) -> None:
    path = tmp_path / "latency.svg"
    assert run(*SHORT, "--load", "none", "--plot", str(path)).status == 0
    assert "wakeup latency" in path.read_text()
    assert run(*SHORT, "--plot", "latency.bmp").status == 2


def test_settings_of_a_profile(run, tmp_path) -> None:
    profile = tmp_path / "board.toml"
    profile.write_text("[rt]\npriority = 70\ncpu = 3\ncpu_latency_us = -1\n")
    run(*SHORT, "--load", "none", "--profile", str(profile), "--priority", "60")
    assert FakeMeter.seen == LatencyOptions(1_000_000, 60, 3, -1)


def test_what_stands_in_the_way(run, monkeypatch: pytest.MonkeyPatch) -> None:
    around = Surroundings("6.1 x86_64", False, True)
    monkeypatch.setattr("serial_runtime.latency.surroundings.look_around", lambda machine: around)
    for name in ("real_time", "memory_locked", "idle_states_held"):
        monkeypatch.setattr(FakeMeter, name, False)
    monkeypatch.setattr(FakeMeter, "cpu", -1)
    out = run(*SHORT, "--load", "none", "--cpu", "5").out
    assert "(not PREEMPT_RT, virtual machine), posix: period 1 ms, NOT real time, any CPU" in out
    for words in (
        "priority was refused", "CPU 5 was refused", "the kernel is not PREEMPT_RT",
        "it is a virtual machine", "/dev/cpu_dma_latency needs root", "memory is not locked",
    ):  # fmt: skip
        assert words in out
    assert "priority 0 was asked for" in run(*SHORT, "--load", "none", "--priority", "0").out


def test_beside_a_program_that_runs(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial_runtime.latency.surroundings.running_cycles", lambda *where: [17])
    refused = run(*SHORT, "--load", "none", "--cpu", "2")
    assert refused.status == 1
    assert "a program runs on CPU 2 (process 17)" in refused.err
    assert run(*SHORT, "--load", "none", "--beside-runtime").status == 0


def test_a_load_that_does_not_exist(run) -> None:
    refused = run(*SHORT, "--load", "cpu,gpu")
    assert refused.status == 2
    assert "there is no load 'gpu': cpu, memory, disk, syscalls" in refused.err
