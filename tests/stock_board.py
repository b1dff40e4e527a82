# SPDX-License-Identifier: MIT
"""A stock runtime: PyPI's server on a serial line, and as much of the IDE's service as is needed.

Its log begins behind its first line, which it has forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

from erpc.basic_codec import BasicCodec
from erpc.simple_server import SimpleServer
from erpc.transport import SerialTransport

from serial_runtime.rpc.ide import common
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService


class StockBoard(IBeremizPLCObjectService):
    def __init__(self) -> None:
        self.state = common.Status.Stopped
        self.image = b""
        self.blobs: dict[bytes, tuple[Any, bytes]] = {}
        self.token = 0
        self.orders: list[tuple[int, bytes]] = []
        self.tick = 0

    def SeedBlob(self, seed: bytes, blobID: Any) -> int:
        digest = hashlib.md5(seed)
        blobID.value = digest.digest()
        self.blobs[blobID.value] = (digest, b"")
        return 0

    def AppendChunkToBlob(self, data: bytes, blobID: bytes, newBlobID: Any) -> int:
        assert len(data) <= 4095
        digest, before = self.blobs.pop(bytes(blobID))
        digest.update(data)
        newBlobID.value = digest.digest()
        self.blobs[newBlobID.value] = (digest, before + data)
        return 0

    def NewPLC(self, md5sum: str, plcObjectBlobID: bytes, extrafiles: Any, success: Any) -> int:
        self.image = self.blobs[bytes(plcObjectBlobID)][1]
        self.MatchMD5(md5sum, success)
        return 0

    def PurgeBlobs(self) -> int:
        self.blobs.clear()
        return 0

    def MatchMD5(self, MD5: str, match: Any) -> int:
        match.value = hashlib.md5(self.image).hexdigest() == MD5
        return 0

    def GetPLCID(self, plcID: Any) -> int:
        plcID.value = common.Identity("stock-7", "secret")
        return 0

    def GetPLCstatus(self, status: Any) -> int:
        status.value = common.PlcStatus(self.state, [0, 3, 0, 0])
        return 0

    def GetLogMessage(self, level: int, msgID: int, message: Any) -> int:
        message.value = common.LogMessage(f"line {msgID}", 1, 2, msgID)
        return 0 if msgID else 2

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


@contextlib.contextmanager
def served(board: StockBoard, port: str) -> Iterator[None]:
    """PyPI's server has this board on this port."""
    transport = SerialTransport(port, 115200)
    server = SimpleServer(transport, BasicCodec)
    server.add_service(BeremizPLCObjectServiceService(board))

    def run() -> None:
        try:
            server.run()
        except Exception:  # it has no other way to end
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    transport._serial.cancel_read()
    thread.join(60)
    assert not thread.is_alive()
    transport.close()
