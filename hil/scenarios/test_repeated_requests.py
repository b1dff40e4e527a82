# SPDX-License-Identifier: MIT
"""A call whose reply was lost is asked again, and is not done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.scenarios import observe
from hil.scenarios.background import replies_lost
from hil.scenarios.host import SOURCE
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

pytestmark = pytest.mark.requirement("REQ-CALL-ONCE")


def once(client: Client, line: Any, call: Callable[[], object]) -> dict[str, int]:
    """Make the call, losing its reply; the lines that the log got by it, and how often each."""
    before = observe.texts(client)
    repeated = client.link.figures.retransmissions
    with replies_lost(line, call):
        pass
    assert client.link.figures.retransmissions > repeated, "or it was no test"
    return dict(observe.texts(client) - before)


def test_start_and_stop(running: Client, line: Any) -> None:
    """Either would be refused the second time."""
    news = once(running, line, running.stop)
    assert sum(times for text, times in news.items() if "stopped" in text) == 1, news
    assert running.status().status == Status.Stopped
    assert once(running, line, running.start)["scenario: ready"] == 1
    observe.runs_on(running)


def test_a_download(running: Client, line: Any, program: Callable[[str | Path], bytes]) -> None:
    """Its last call replaces the program: that is told once."""
    image = program(SOURCE) + b"another"
    lost: list[str] = []

    def progress(done: int, total: int) -> None:
        if done == total and not lost:
            lost.append(line.order("drop to-host 0 64"))

    before = observe.texts(running)
    running.download(image, whole=True, progress=progress)
    news = observe.texts(running) - before
    assert lost
    assert max(news.values()) == 1, news
    running.start()
    observe.runs_on(running)


@pytest.mark.full
def test_many_calls_on_a_bad_line(running: Client, line: Any) -> None:
    """Starts and stops in turn, each done once: another time it would be refused."""
    line.order("set ber=3e-4")
    before = observe.texts(running)
    for _ in range(20):
        running.stop()
        running.start()
    line.clear()
    assert (observe.texts(running) - before)["scenario: ready"] == 20
    observe.runs_on(running)
