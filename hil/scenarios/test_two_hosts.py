# SPDX-License-Identifier: MIT
"""Several users, one board: at one port they are told, through the bridge they share."""

from __future__ import annotations

import json
import os

import pytest

from hil.boards.board import Pins
from hil.scenarios import observe
from hil.scenarios.host import Host
from hil.scenarios.patience import eventually
from serial_runtime.rpc.client import Client, connect


@pytest.mark.requirement("REQ-HOSTS-PORT")
def test_at_one_port_the_second_is_told_who_has_it(running: Client, host: Host) -> None:
    """And disturbs nobody."""
    done = host.run("status")
    assert done.status == 3
    assert str(os.getpid()) in done.err or "in use" in done.err, done.err
    observe.runs_on(running)
    assert running.link.reconnects == 0


@pytest.mark.requirement("REQ-HOSTS-BRIDGE")
def test_through_the_bridge_they_share(running: Client, host: Host, pins: Pins) -> None:
    """One watches while the other forces; the port itself is the bridge's."""
    running.close()
    with host.running("bridge", "--listen", "127.0.0.1:0") as process:
        assert process.stdout is not None
        word, uri = process.stdout.readline().split()
        assert word == "READY"
        done = host.run("status")
        assert done.status == 3
        assert "127.0.0.1" in done.err, "it tells the bridge's address"
        with connect(uri, timeout_s=60) as one, connect(uri, timeout_s=60) as other:
            one.force({"FORCEABLE": b"\1"})
            eventually(lambda: pins[observe.FORCEABLE], "forced by one")
            assert other.forced() == ["FORCEABLE"]
            other.unforce()
            eventually(lambda: not pins[observe.FORCEABLE], "released by the other")
            watched = host.ok("watch", uri, "COUNT", "--count", "1", "--json")
            assert json.loads(watched)["values"]["COUNT"] <= observe.count(one)
