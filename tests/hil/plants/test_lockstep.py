# SPDX-License-Identifier: MIT
"""A plant and a whole runtime in lockstep: the same run each time, and broken programs are seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import serial_runtime
from hil.plants import lockstep
from hil.plants.conveyor import ConveyorPlant
from hil.plants.model import PlantError
from hil.plants.profile import Profile, load
from hil.plants.run import Run
from serial_codegen.build import build
from serial_runtime.errors import VariableError
from serial_runtime.rpc.client import Client, connect

HIL = Path(__file__).parents[3] / "hil"
NAME = f"plants-{os.getpid()}"


@pytest.fixture(scope="module")
def plc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("plc")
    command = [sys.executable, "-m", "serial_runtime", "serve", "--tcp", "127.0.0.1:0"]
    command += ["--io", f"lockstep:{NAME}", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HIL.parent) as daemon:
        assert daemon.stdout is not None
        uri = daemon.stdout.readline().split()[1]
        with connect(uri, timeout_s=60) as client:
            yield client
        daemon.terminate()


@pytest.fixture
def conveyor(plc: Client, tmp_path: Path) -> Callable[..., Run]:
    def run(profile: Profile, *flags: str, every: int = 1) -> Run:
        image = tmp_path / "conveyor.so"
        source = HIL / "programs" / "conveyor.c"
        build([source], image, include_dirs=[serial_runtime.get_include()], flags=list(flags))
        plc.download(image.read_bytes())
        return lockstep.run(plc, NAME, ConveyorPlant(), profile, every=every)

    return run


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load(HIL / "scenarios" / "profiles" / "conveyor.toml")


def test_two_runs_are_equal_byte_for_byte(
    conveyor: Callable[..., Run], profile: Profile, tmp_path: Path
) -> None:
    one, other = conveyor(profile), conveyor(profile)
    one.check()
    one.write(tmp_path, "one")
    other.write(tmp_path, "other")
    for suffix in ("csv", "json"):
        first = (tmp_path / f"one.{suffix}").read_bytes()
        assert first == (tmp_path / f"other.{suffix}").read_bytes()
    assert (tmp_path / "one.csv").read_text().count("\n") == 7001
    # The program's own view agrees with the plant's.
    assert one.record["COUNT.TALL"][-1] == one.record["rejected_tall"][-1] == 5
    assert one.record["COUNT.SHORT"][-1] == one.record["delivered_short"][-1] == 7
    pulses = one.record["PULSES"]
    assert all(0 <= later - sooner <= 1 for sooner, later in zip(pulses, pulses[1:], strict=False))


def test_one_sample_of_many_is_recorded_and_all_are_looked_at(
    conveyor: Callable[..., Run], profile: Profile
) -> None:
    run = conveyor(profile, every=100)
    run.check()
    assert len(run.record) == 70
    assert list(run.record.ticks[:3]) == [0, 100, 200]


def test_a_broken_controller_fails(conveyor: Callable[..., Run], profile: Profile) -> None:
    run = conveyor(profile, "-DBROKEN_CONTROLLER")
    with pytest.raises(AssertionError, match="REQ-CONV-1: delivered_tall is 0"):
        run.check()
    assert {verdict.limit.requirement for verdict in run.failures} == {"REQ-CONV-1", "REQ-CONV-2"}


def test_what_does_not_exist_is_named(conveyor: Callable[..., Run], profile: Profile) -> None:
    with pytest.raises(VariableError, match="PULSES"):
        conveyor(profile._replace(watch=("PULSE",)))
    with pytest.raises(PlantError, match=r"conveyor\.toml:\d+: signal 'FAULT.JAM'"):
        conveyor(profile._replace(watch=()))
