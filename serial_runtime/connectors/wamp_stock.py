# SPDX-License-Identifier: MIT
"""A board behind a WAMP router that has the IDE's procedures only: a stock runtime of Beremiz.

Its procedures are served to our client as a stock eRPC server would: service 1, plain calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from struct import Struct
from typing import Any

from serial_runtime.errors import LinkClosed, LinkTimeout, SerialRuntimeError
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.timing import IDLE_S, LONGEST_FRAME
from serial_runtime.rpc.ide import common
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService, UnknownMethod
from serial_runtime.rpc.plain_refusal import plain_refusal
from serial_runtime.rpc.probe import PROBE
from serial_runtime.rpc.stub_api import Reference
from serial_runtime.transport.interface import Transport

Call = Callable[..., Any]

_MESSAGE = Struct("<II")
_REPLY = 2
_UNSUPPORTED = 2


class StockBoard(IBeremizPLCObjectService):
    """Service 1 by the procedures of a board, in their WAMP form (see `ide_procedures`)."""

    def __init__(self, call: Call) -> None:
        """`call` takes the name of a procedure and its arguments. SerialRuntimeError."""
        self._call = call

    def AppendChunkToBlob(self, data: bytes, blobID: bytes, newBlobID: Reference) -> int:
        newBlobID.value = self._call("AppendChunkToBlob", bytes(data), bytes(blobID)) or b""
        return 0

    def GetLogMessage(self, level: int, msgID: int, message: Reference) -> int:
        found = self._call("GetLogMessage", level, msgID)
        message.value = common.LogMessage(*(found or ()))
        return 0 if found else _UNSUPPORTED

    def GetPLCID(self, plcID: Reference) -> int:
        # Its secret is for whoever asks it itself.
        plcID.value = common.Identity()
        return _UNSUPPORTED

    def GetPLCstatus(self, status: Reference) -> int:
        state, counts = self._call("GetPLCstatus")
        status.value = common.PlcStatus(common.Status[state], list(counts))
        return 0

    def GetTraceVariables(self, debugToken: int, traces: Reference) -> int:
        state, samples = self._call("GetTraceVariables", debugToken)
        items = [common.TraceSample(*sample) for sample in samples]
        traces.value = common.TraceReply(common.Status[state], items)
        return 0

    def MatchMD5(self, MD5: str, match: Reference) -> int:
        # Whatever board it is, on this way it serves service 1 alone.
        match.value = not MD5.startswith(PROBE) and bool(self._call("MatchMD5", MD5))
        return 0

    def NewPLC(
        self,
        md5sum: str,
        plcObjectBlobID: bytes,
        extrafiles: list[common.ExtraFile],
        success: Reference,
    ) -> int:
        files = [[one.fname, bytes(one.blobID)] for one in extrafiles]
        success.value = bool(self._call("NewPLC", md5sum, bytes(plcObjectBlobID), files))
        return 0

    def PurgeBlobs(self) -> int:
        self._call("PurgeBlobs")
        return 0

    def RepairPLC(self) -> int:
        self._call("RepairPLC")
        return 0

    def ResetLogCount(self) -> int:
        self._call("ResetLogCount")
        return 0

    def SeedBlob(self, seed: bytes, blobID: Reference) -> int:
        blobID.value = self._call("SeedBlob", bytes(seed)) or b""
        return 0

    def SetTraceVariablesList(self, orders: list[common.TraceOrder], debugtoken: Reference) -> int:
        wanted = [[one.idx, bytes(one.force) or None] for one in orders]
        debugtoken.value = self._call("SetTraceVariablesList", wanted)
        return 0

    def StartPLC(self) -> int:
        self._call("StartPLC")
        return 0

    def StopPLC(self, success: Reference) -> int:
        success.value = bool(self._call("StopPLC"))
        return 0


def serve(transport: Transport, call: Call, on_end: Callable[[], object]) -> None:
    """Serve a board on this end of a transport, on a thread of its own; at its end `on_end`."""

    def run() -> None:
        try:
            _serve(transport, BeremizPLCObjectServiceService(StockBoard(call)))
        except SerialRuntimeError:
            pass  # the client or the board has gone
        finally:
            transport.close()
            on_end()

    threading.Thread(target=run, name=f"wamp-{transport.name}", daemon=True).start()


def _serve(transport: Transport, service: BeremizPLCObjectServiceService) -> None:
    decoder = FrameDecoder(LONGEST_FRAME, IDLE_S, resync=False)
    while True:
        for frame in decoder.feed(transport.read(None), time.monotonic()):
            word, sequence = _MESSAGE.unpack_from(frame.body)
            method = word >> 8 & 0xFF
            codec = Codec()
            codec.buffer = frame.body[_MESSAGE.size :]
            try:
                if word >> 16 & 0xFF != StockBoard.SERVICE_ID:
                    raise UnknownMethod(method)
                service.dispatch(method, sequence, codec)
                reply = bytes(codec.buffer)
            except (LinkClosed, LinkTimeout):
                raise
            except Exception:  # refused, or answered in whatever other form than the documented
                reply = _MESSAGE.pack(word & 0xFFFFFF00 | _REPLY, sequence) + plain_refusal(method)
            transport.write(encode_frame(reply))
