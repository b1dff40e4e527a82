# SPDX-License-Identifier: MIT
"""A stock eRPC server behind the bridge: the IDE's service works, and traces have one owner."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bridge_scene import Ide, md5
from erpc.basic_codec import BasicCodec
from erpc.simple_server import SimpleServer
from erpc.transport import SerialTransport

from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.server import BridgeServer
from serial_runtime.errors import CallUnsupported
from serial_runtime.line import VirtualCable
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide import common
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService
from serial_runtime.transport.tcp import TcpListener

IMAGE = bytes(range(256)) * 20


class StockBoard(IBeremizPLCObjectService):
    """As much of a stock runtime as the test needs."""

    def __init__(self) -> None:
        self.state = common.Status.Stopped
        self.data: dict[bytes, tuple[Any, bytes]] = {}
        self.token = 0
        self.orders: list[tuple[int, bytes]] = []
        self.tick = 0

    def SeedBlob(self, seed: bytes, blobID: Any) -> int:
        digest = hashlib.md5(seed)
        blobID.value = digest.digest()
        self.data[blobID.value] = (digest, b"")
        return 0

    def AppendChunkToBlob(self, data: bytes, blobID: bytes, newBlobID: Any) -> int:
        digest, before = self.data.pop(bytes(blobID))
        digest.update(data)
        newBlobID.value = digest.digest()
        self.data[newBlobID.value] = (digest, before + data)
        return 0

    def NewPLC(self, md5sum: str, plcObjectBlobID: bytes, extrafiles: Any, success: Any) -> int:
        success.value = md5(self.data[bytes(plcObjectBlobID)][1]) == md5sum
        return 0

    def PurgeBlobs(self) -> int:
        self.data.clear()
        return 0

    def MatchMD5(self, MD5: str, match: Any) -> int:
        match.value = md5(IMAGE) == MD5
        return 0

    def GetPLCID(self, plcID: Any) -> int:
        plcID.value = common.Identity("stock", "secret")
        return 0

    def GetPLCstatus(self, status: Any) -> int:
        status.value = common.PlcStatus(self.state, [0, 0, 1, 0])
        return 0

    def GetLogMessage(self, level: int, msgID: int, message: Any) -> int:
        message.value = common.LogMessage("hello", 1, 2, 3)
        return 0

    def ResetLogCount(self) -> int:
        return 0

    def RepairPLC(self) -> int:
        return 0

    def StartPLC(self) -> int:
        self.state = common.Status.Started
        return 0

    def StopPLC(self, success: Any) -> int:
        success.value = self.state == common.Status.Started
        self.state = common.Status.Stopped
        return 0

    def SetTraceVariablesList(self, orders: Any, debugtoken: Any) -> int:
        self.orders = [(one.idx, bytes(one.force)) for one in orders]
        self.token += 1
        debugtoken.value = self.token if orders else -5
        return 0

    def GetTraceVariables(self, debugToken: int, traces: Any) -> int:
        if debugToken != self.token:
            traces.value = common.TraceReply(common.Status.Broken, [])
            return 0
        self.tick += 1
        values = bytes(index for index, _ in self.orders)
        sample = common.TraceSample(self.tick, values)
        traces.value = common.TraceReply(self.state, [sample])
        return 0


@pytest.fixture
def stock_board() -> StockBoard:
    return StockBoard()


@pytest.fixture
def port(tmp_path: Path, stock_board: StockBoard) -> Iterator[int]:
    with VirtualCable(None, tmp_path) as cable:
        transport = SerialTransport(cable.board_end, 115200)
        server = SimpleServer(transport, BasicCodec)
        server.add_service(BeremizPLCObjectServiceService(stock_board))

        def run() -> None:
            try:
                server.run()
            except Exception:  # it has no other way to end
                return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
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
        transport._serial.cancel_read()
        thread.join(10)
        assert not thread.is_alive()
        transport.close()


def test_two_ides_with_a_stock_board(
    port: int, stock_board: StockBoard, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    one, other = Ide(port), Ide(port)
    assert one.transfer(IMAGE)
    assert one.start() == 0
    assert other.status() == common.Status.Started
    assert "hello" in other.log(2)
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
