# SPDX-License-Identifier: MIT
"""A link that is lost and does not come back in time, or is closed meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from serial_runtime.errors import LinkClosed
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.transport.loop import LoopTransport


class Door:
    """Opens links of a bench, or says that there is none, when `open_gate` is set."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self.shut = False
        self.asked, self.open_gate = threading.Event(), threading.Event()
        self.open_gate.set()

    def open(self) -> LoopTransport:
        self.asked.set()
        assert self.open_gate.wait(60)
        if self.shut:
            raise LinkClosed("unplugged")
        end: LoopTransport = self._bench.open()
        return end


def test_a_call_that_ended_with_its_link_is_not_executed_later(bench: Any, plc: Any) -> None:
    door = Door(bench)
    with Client(door.open, timeout_s=20.0, reconnect_s=0.0) as client:
        start = client.link.submit(Ide.SERVICE_ID, Ide.STARTPLC_ID, b"")
        door.shut = True
        bench.ends[-1].cut()
        with pytest.raises(LinkClosed):
            client.link.wait(start)
        door.shut, client.link.reconnect_s = False, 20.0
        client.status()
        assert client.link.reconnects == 1
        assert plc.calls == []


def test_a_link_closed_while_it_is_opened_again_stays_closed(bench: Any) -> None:
    door = Door(bench)
    client = Client(door.open, timeout_s=20.0, reconnect_s=20.0)
    failed: list[BaseException] = []

    def waits() -> None:
        try:
            client.status()
        except LinkClosed as error:
            failed.append(error)

    door.asked.clear()
    door.open_gate.clear()
    bench.ends[-1].cut()
    thread = threading.Thread(target=waits)
    thread.start()
    assert door.asked.wait(60)
    client.close()
    door.open_gate.set()
    thread.join(60)
    assert len(failed) == 1
    with pytest.raises(LinkClosed):
        bench.ends[-1].read(0.0)
