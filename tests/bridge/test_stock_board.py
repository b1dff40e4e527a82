# SPDX-License-Identifier: MIT
"""A stock eRPC server behind the bridge: the IDE's service works, and traces have one owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stock_board import StockBoard, served
from stock_ide import Ide

from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.server import BridgeServer
from serial_runtime.errors import CallUnsupported
from serial_runtime.line import VirtualCable
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide import common
from serial_runtime.transport.tcp import TcpListener

IMAGE = bytes(range(256)) * 20


@pytest.fixture
def stock_board() -> StockBoard:
    return StockBoard()


@pytest.fixture
def port(tmp_path: Path, stock_board: StockBoard) -> Iterator[int]:
    with VirtualCable(None, tmp_path) as cable, served(stock_board, cable.board_end):
        uri = f"ERPC://{cable.host_end}"
        plc = RemotePLC(lambda: connect(uri, timeout_s=5, bridged=True), lambda text: None)
        plc.mirror.poll()
        listener = TcpListener("127.0.0.1", 0)
        bridge = BridgeServer(plc)
        plc.start()
        bridge.listen(listener, parallel=True)
        yield listener.port
        bridge.close()
        plc.close()


def test_two_ides_with_a_stock_board(
    port: int, stock_board: StockBoard, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    one, other = Ide(port), Ide(port)
    assert one.transfer(IMAGE)
    assert one.start() == 0
    assert other.status() == common.Status.Started
    assert "line 2" in other.log(1)
    mine = one.watch(3, 4, v4=b"f")
    assert stock_board.orders == [(3, b""), (4, b"f")]
    wait_for(lambda: one.traces(mine)[1][:1] and True)
    theirs = other.watch(7)
    assert one.traces(mine) == (common.Status.Broken, []), "as on a stock board itself"
    samples: list[tuple[int, bytes]] = []
    wait_for(lambda: samples.extend(other.traces(theirs)[1]) or samples)
    assert samples[0][1] == b"\7"
    other.watch()
    wait_for(lambda: stock_board.orders == [])
    assert one.stop() is True
    assert one.stop() is False
    one.close()
    other.close()


def test_our_client_with_a_stock_board(port: int) -> None:
    with connect(f"ERPC://127.0.0.1:{port}") as client:
        assert client.status().status == common.Status.Stopped
        assert not client.program().loaded
        assert "stock" in client.board_status().scheduling
        client.download(IMAGE)
        for call in (client.statistics, client.forced, lambda: client.trace([])):
            with pytest.raises(CallUnsupported, match="stock eRPC server"):
                call()
