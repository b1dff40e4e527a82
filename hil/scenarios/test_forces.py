# SPDX-License-Identifier: MIT
"""A forced output is what it is forced to, at its pin, for as long as is documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.boards.board import Pins
from hil.scenarios import observe
from hil.scenarios.host import version
from hil.scenarios.patience import eventually
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

Program = Callable[[str | Path], bytes]
TRUE, FALSE = b"\1", b"\0"


@pytest.fixture
def forced(running: Client, pins: Pins) -> Client:
    """The output that the program writes behind the runtime's back is forced; the button is up."""
    pins[observe.BUTTON] = False
    eventually(lambda: not pins[observe.FOLLOWER], "the button is up")
    running.force({"FORCEABLE": TRUE})
    return running


def holds(client: Client, pins: Pins) -> None:
    """The pin has it, and keeps it over more cycles, while the program writes something else."""
    eventually(lambda: pins[observe.FORCEABLE], "the forced value at the pin")
    start = observe.count(client)
    while observe.count(client) < start + 20:
        assert pins[observe.FORCEABLE]
    assert client.forced() == ["FORCEABLE"]


@pytest.mark.requirement("REQ-FORCE-HOLD")
def test_holds_against_program_and_input(forced: Client, pins: Pins) -> None:
    holds(forced, pins)
    pins[observe.BUTTON] = True
    eventually(lambda: pins[observe.FOLLOWER], "the button is down")
    forced.force({"FORCEABLE": FALSE, "FOLLOWER": FALSE})
    eventually(lambda: not (pins[observe.FORCEABLE] or pins[observe.FOLLOWER]), "forced off")
    forced.unforce()
    eventually(lambda: pins[observe.FORCEABLE] and pins[observe.FOLLOWER], "released")


@pytest.mark.requirement("REQ-FORCE-HOLD")
def test_an_input_is_forced(running: Client, pins: Pins) -> None:
    pins[observe.BUTTON] = False
    running.force({"BUTTON": TRUE})
    eventually(lambda: pins[observe.FOLLOWER], "as if the button was down")
    running.unforce(["BUTTON"])
    eventually(lambda: not pins[observe.FOLLOWER], "as the button is")


@pytest.mark.requirement("REQ-FORCE-RECONNECT")
def test_holds_while_the_cable_is_out(forced: Client, pins: Pins, line: Any) -> None:
    holds(forced, pins)
    line.unplug()
    assert pins[observe.FORCEABLE]
    line.plug()
    holds(forced, pins)


@pytest.mark.requirement("REQ-FORCE-STOP")
def test_ends_with_a_stop(forced: Client, pins: Pins) -> None:
    holds(forced, pins)
    forced.stop()
    assert forced.forced() == []
    eventually(lambda: not pins[observe.FORCEABLE], "safe")
    forced.start()
    observe.runs_on(forced)
    assert not pins[observe.FORCEABLE]


@pytest.mark.requirement("REQ-FORCE-START")
def test_what_is_forced_while_stopped_is_forced_from_the_first_cycle(
    running: Client, pins: Pins
) -> None:
    running.stop()
    running.force({"FORCEABLE": TRUE})
    assert not pins[observe.FORCEABLE], "safe while it is stopped"
    running.start()
    holds(running, pins)


@pytest.mark.requirement("REQ-FORCE-CHANGE")
def test_holds_over_an_online_change_and_its_way_back(
    forced: Client, pins: Pins, program: Program
) -> None:
    change = forced.prepare_change(program(version(2)), probation=1_000_000)
    change.make()
    eventually(lambda: observe.number(forced, "VERSION") == 2, "the new program")
    holds(forced, pins)
    forced.force({"CRASH": b"\3"})
    eventually(lambda: forced.change_status().state == "taken back", "the old one goes on")
    assert observe.number(forced, "VERSION") == 1
    holds(forced, pins)


@pytest.mark.requirement("REQ-FORCE-FAULT")
def test_a_fault_ends_it(forced: Client, pins: Pins) -> None:
    holds(forced, pins)
    forced.force({"CRASH": b"\1"})
    observe.state_becomes(forced, Status.Broken)
    assert not pins[observe.FORCEABLE], "safe comes before forced"
    forced.start()
    observe.runs_on(forced)
    assert forced.forced() == []
    assert not pins[observe.FORCEABLE]
