# SPDX-License-Identifier: MIT
"""What a scenario asks of a board, in words."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

from hil.scenarios.patience import eventually
from serial_runtime.errors import LinkError
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

BUTTON, ALIVE, FOLLOWER, FORCEABLE = "DI0", "DO0", "DO1", "DO2"
"""The pins of ``hil/programs/scenario.c``."""


def count(client: Client) -> int:
    """How many cycles the program has run; HALF must be of the same cycle."""
    first, double = struct.unpack("<II", client.read(["COUNT", "HALF"]).values)
    assert double == 2 * first
    return int(first)


def number(client: Client, name: str) -> int:
    """The value of an integer."""
    return int.from_bytes(client.read([name]).values, "little", signed=True)


def runs_on(client: Client) -> None:
    """The program runs, and its cycles go on."""
    assert client.status().status == Status.Started
    before = count(client)
    eventually(lambda: count(client) > before, "another cycle")


def state_becomes(client: Client, state: Status) -> None:
    """Wait for a state of the PLC; the link may be away meanwhile."""
    eventually(
        lambda: client.status().status == state, f"the PLC is {state.name}", again=(LinkError,)
    )


def texts(client: Client) -> Counter[str]:
    """The lines of the log, each with how often it is there."""
    return Counter(line.text for line in client.log())


def faults(line: Any) -> int:
    """How many bytes and bits the line has damaged so far."""
    kinds = ("bit_errors", "bursts", "dropped", "inserted", "duplicated", "breaks")
    return sum(one[kind] for one in line.counters().values() for kind in kinds)


def carried(line: Any, direction: str) -> int:
    """How many bytes went in a direction so far."""
    return int(line.counters()[direction]["carried"])
