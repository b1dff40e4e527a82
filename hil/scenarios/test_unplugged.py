# SPDX-License-Identifier: MIT
"""The cable is pulled out and put in again, whatever is under way."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hil.scenarios import observe
from hil.scenarios.background import in_background, replies_lost
from hil.scenarios.host import Host
from hil.scenarios.patience import eventually
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

pytestmark = pytest.mark.requirement("REQ-LINE-UNPLUG")


def test_while_nothing_is_under_way(running: Client, line: Any) -> None:
    before = observe.count(running)
    line.unplug()
    line.plug()
    eventually(lambda: observe.count(running) > before, "the program ran on")
    assert running.link.reconnects >= 1


def test_while_a_call_is_under_way(running: Client, line: Any) -> None:
    """The cable is out when the call begins."""
    before = observe.texts(running)
    line.unplug()
    stopped = in_background(running.stop)
    line.plug()
    stopped()
    assert running.status().status == Status.Stopped
    news = observe.texts(running) - before
    assert sum(times for text, times in news.items() if "stopped" in text) == 1, news


def test_while_a_reply_is_under_way(running: Client, line: Any) -> None:
    """The board has executed the call; its answer falls out of the cable."""
    running.stop()
    before = observe.texts(running)
    with replies_lost(line, running.start):
        line.unplug()
        line.plug()
    assert (observe.texts(running) - before)["scenario: ready"] == 1, "once"


def test_while_a_trace_runs(running: Client, line: Any) -> None:
    """Each tick is a sample, or told to be left out; none is lost while the cable is out."""
    ticks: list[int] = []
    with running.trace(["COUNT"]) as trace:
        while len(ticks) < 50:
            ticks += [sample.tick for sample in trace.poll()]
        line.unplug()
        line.plug()
        end = len(ticks) + 100
        while len(ticks) < end:
            ticks += [sample.tick for sample in trace.poll()]
        assert trace.lost == 0
        skipped = running.statistics().skipped
        passed = ticks[-1] - ticks[0] + 1
        assert passed == len(ticks) + trace.decimated or skipped
    assert ticks == sorted(set(ticks))


def test_while_somebody_watches(running: Client, line: Any, host: Host) -> None:
    running.close()
    words = ("watch", "COUNT", "--json", "--interval", "0.2")
    with host.running(*words) as process:
        assert process.stdout is not None
        counts = []

        def take(samples: int) -> None:
            assert process.stdout is not None
            for _ in range(samples):
                counts.append(json.loads(process.stdout.readline())["values"]["COUNT"])

        take(2)
        line.unplug()
        line.plug()
        take(5)
    assert counts == sorted(set(counts))


@pytest.mark.full
@pytest.mark.parametrize("out_s", [0.1, 3.0, 20.0])
def test_for_a_while(out_s: float, running: Client, line: Any) -> None:
    before = observe.count(running)
    line.unplug()
    read = in_background(lambda: observe.count(running))
    time.sleep(out_s)  # the length of the break is what is tried
    line.plug()
    assert read() != before
    observe.runs_on(running)
