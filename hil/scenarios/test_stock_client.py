# SPDX-License-Identifier: MIT
"""An IDE's session with the client of PyPI's erpc, at the line itself and through the bridge."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from erpc.client import RequestError
from erpc.transport import SerialTransport, TCPTransport

from hil.boards.board import Board, Pins
from hil.scenarios import observe
from hil.scenarios.host import SOURCE, Host
from hil.scenarios.patience import eventually
from hil.scenarios.stock import StockClient
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

Program = Callable[[str | Path], bytes]
COUNT, HALF, FORCEABLE = 4, 5, 3  # rows of the program's table
INFO = 2  # log level
_REPLY_S = 30.0


def session(ide: StockClient, image: bytes, pins: Pins) -> None:
    """After the transfer: run, debug with a force, log, stop, repair."""
    assert ide.matches(image)
    assert ide.start()
    eventually(lambda: ide.status() == Status.Started, "it runs")
    token = ide.debug({FORCEABLE: b"\1"}, COUNT, HALF, FORCEABLE)
    samples: list[tuple[int, bytes]] = []
    while len(samples) < 20:
        samples += ide.samples(token)
    for _, values in samples:
        one, two = (int.from_bytes(values[at : at + 4], "little") for at in (0, 4))
        assert two == 2 * one
    ticks = [tick for tick, _ in samples]
    assert ticks == sorted(set(ticks))
    eventually(lambda: pins[observe.FORCEABLE], "the forced output")
    ide.debug({}, FORCEABLE)
    eventually(lambda: not pins[observe.FORCEABLE], "released")
    assert any("ready" in text for text in ide.log(INFO))
    assert ide.stop()
    assert not ide.stop()
    assert ide.calls.RepairPLC() == 0
    assert ide.status() == Status.Empty


@contextlib.contextmanager
def at_the_line(board: Board) -> Iterator[StockClient]:
    """It has the port for itself."""
    device, _, baud = board.uri.removeprefix("ERPC://").rpartition(":")
    ide = StockClient(SerialTransport(device, int(baud), timeout=_REPLY_S))
    try:
        yield ide
    finally:
        ide.close()


@pytest.mark.requirement("REQ-IDE-LINE")
def test_at_the_line(plc: Client, board: Board, program: Program, pins: Pins) -> None:
    image = program(SOURCE)
    plc.close()
    with at_the_line(board) as ide:
        assert not ide.matches(image)
        assert ide.status() == Status.Empty
    for _ in range(5):
        # Such a client repeats nothing: a chunk that this machine, being busy, holds up for 100 ms
        # on the way is no frame any more, and the user presses Transfer again.
        with contextlib.suppress(struct.error, RequestError), at_the_line(board) as ide:
            assert ide.transfer(image)
            break
    with at_the_line(board) as ide:
        session(ide, image, pins)


@pytest.mark.requirement("REQ-IDE-BRIDGE")
def test_through_the_bridge(
    plc: Client, line: Any, program: Program, pins: Pins, host: Host
) -> None:
    """The line is bad there: the bridge repeats what the IDE cannot."""
    image = program(SOURCE)
    plc.close()
    line.order("set ber=1e-5")
    with host.running("bridge", "--listen", "127.0.0.1:0") as process:
        assert process.stdout is not None
        word, uri = process.stdout.readline().split()
        assert word == "READY"
        ide = StockClient(TCPTransport("127.0.0.1", int(uri.rpartition(":")[2]), False))
        try:
            assert not ide.matches(image)
            assert ide.transfer(image)
            session(ide, image, pins)
        finally:
            ide.close()
