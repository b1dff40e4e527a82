# SPDX-License-Identifier: MIT
"""Rates on ttys that a cable joins like a real line: at different rates they hear garbage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serial_runtime.line import VirtualCable
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.line_load import echo_for, echo_size
from serial_runtime.rpc.server import Server
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.worker import Worker

HOME, FAST = 57600, 921600


@pytest.fixture
def cable(plc, tmp_path: Path) -> Iterator[VirtualCable]:
    """A board at its end, served by a worker as the daemon does it."""
    worker = Worker()
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    about = About("bench-1", "0.0", "fake", 0)
    server = Server(plc, ServerSessions(1), about, worker=worker)
    with VirtualCable(None, tmp_path, follow=True) as cable:
        server.listen(SerialListener(cable.board_end, HOME), parallel=False)
        yield cable
        server.close()
        worker.stop()
        thread.join(60)


def test_found_made_faster_and_left_as_it_was(cable: VirtualCable) -> None:
    told: list[str] = []
    uri = f"ERPC://{cable.host_end}:auto?fast={FAST}"
    with connect(uri, timeout_s=20.0, on_trouble=told.append) as client:
        assert told == [
            "no runtime answers at 115200 baud; trying others",
            f"a runtime answers at {HOME} baud",
        ]
        client.status()
        assert client.link.transport.name == f"{cable.host_end} at {FAST} baud"
        statistics = client.link_statistics()
        assert (statistics.baud, statistics.home_baud) == (FAST, HOME)
        assert statistics.discarded_bytes > 0  # what was sent at wrong rates
        assert echo_for(client.link, 0.1, echo_size(client.link)).bytes > 0
    uri = f"ERPC://{cable.host_end}:{HOME}"
    with connect(uri, timeout_s=20.0) as client:
        assert client.link_statistics().baud == HOME
