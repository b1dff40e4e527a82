# SPDX-License-Identifier: MIT
"""The program is changed while it runs, over the line; its outputs never notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.boards.board import Pins, Power
from hil.scenarios import observe
from hil.scenarios.host import Host, version
from hil.scenarios.patience import eventually
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

Program = Callable[[str | Path], bytes]


@pytest.mark.requirement("REQ-CHANGE-KEEP")
def test_another_version(running: Client, program: Program, pins: Pins, host: Host) -> None:
    """As a user types it; the values go on, the pins stay as they are."""
    (host.folder / "second.so").write_bytes(program(version(2)))
    eventually(lambda: pins[observe.ALIVE], "its outputs")
    before = observe.count(running)
    running.close()
    told = host.ok("load", "second.so", "--online", "--dry-run")
    assert "keep their values" in told
    host.ok("load", "second.so", "--online", "--yes", "--probation", "20")
    assert pins[observe.ALIVE]
    eventually(lambda: host.json("status")["change"]["state"] == "kept", "the trial is over")
    status = host.json("status")
    assert (status["state"], status["plc"]["fault"]) == ("Started", "")
    values = host.json("watch", "--count", "1")["values"]
    assert values["VERSION"] == 2
    assert values["COUNT"] > before
    assert values["STARTS"] == 0, "a new variable"


@pytest.mark.requirement("REQ-CHANGE-BACK")
def test_a_version_that_fails_on_trial(running: Client, program: Program, pins: Pins) -> None:
    """The old one goes on from its values; it is still the one that is stored."""
    digest = running.program().md5
    bad = version(2).replace("if (crash.value == WILD)", "if (VERSION == 2)")
    change = running.prepare_change(program(bad))
    change.make()
    eventually(lambda: running.change_status().state == "taken back", "it is taken back")
    assert running.status().status == Status.Started
    observe.runs_on(running)
    assert observe.number(running, "VERSION") == 1
    assert running.program().md5 == digest
    assert pins[observe.ALIVE]


@pytest.mark.requirement("REQ-CHANGE-LINE")
def test_the_cable_is_out_on_trial(running: Client, program: Program, line: Any) -> None:
    change = running.prepare_change(program(version(2)), probation=20)
    change.make()
    line.unplug()
    line.plug()
    eventually(lambda: running.change_status().state == "kept", "the trial is over")
    assert observe.number(running, "VERSION") == 2
    observe.runs_on(running)


@pytest.mark.full
@pytest.mark.requirement("REQ-CHANGE-POWER")
def test_power_fails_on_trial(running: Client, program: Program, power: Power) -> None:
    """The old program starts; after the trial, the new one."""
    for probation, expected in ((1_000_000, 1), (20, 2)):
        change = running.prepare_change(program(version(2)), probation=probation)
        change.make()
        if expected == 2:
            eventually(lambda: running.change_status().state == "kept", "the trial is over")
        power.cycle()
        observe.state_becomes(running, Status.Started)
        eventually(lambda: observe.number(running, "VERSION"), "its first cycle")
        assert observe.number(running, "VERSION") == expected
