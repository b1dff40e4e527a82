# SPDX-License-Identifier: MIT
"""Service 1 over the PLC object: what its generated stub calls; see ``service``."""

from __future__ import annotations

from struct import Struct

from serial_runtime.plc.log import WARNING
from serial_runtime.rpc.access import Role
from serial_runtime.rpc.detail import forces_text, program_text
from serial_runtime.rpc.ide import common as ide_types
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.limits import REPLY_OVERHEAD
from serial_runtime.rpc.probe import PROBE
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.rpc.access import Caller
    from serial_runtime.rpc.limits import Limits

_STATUS = Struct("<i4II")


def encode_status(plc: PLC) -> bytes:
    """The outputs and return value of GetPLCstatus, as the stub would write them.

    Our clients poll it more often than they call all else together, and stub and codec are a third
    of what it costs the server.
    """
    state, counts = plc.status()
    return _STATUS.pack(state, *counts, 0)


class IdeHandler(Ide):
    """Service 1. `owner` names whose blobs the calls mean; it is set before each call."""

    def __init__(self, plc: PLC, limits: Limits, caller: Caller) -> None:
        self.owner: Hashable = None
        self._plc = plc
        self._limits = limits
        self._caller = caller

    def AppendChunkToBlob(self, data: bytes, blobID: bytes, newBlobID: Reference) -> int:
        newBlobID.value = self._plc.append_chunk(self.owner, data, blobID)
        return 0

    def GetLogMessage(self, level: int, msgID: int, message: Reference) -> int:
        line = self._plc.log_message(level, msgID)
        message.value = ide_types.LogMessage(line.text, line.tick, line.sec, line.nsec)
        return 0

    def GetPLCID(self, plcID: Reference) -> int:
        # An empty secret would overwrite the one the IDE keeps: there is one, or a refusal.
        found = self._caller.identity()
        self._plc.log(WARNING, f"the secret of {found.id} was told to {self._caller.peer}")
        plcID.value = ide_types.Identity(found.id, found.secret)
        return 0

    def GetPLCstatus(self, status: Reference) -> int:
        state, counts = self._plc.status()
        status.value = ide_types.PlcStatus(state, list(counts))
        return 0

    def GetTraceVariables(self, debugToken: int, traces: Reference) -> int:
        room = self._limits.reply_bytes - REPLY_OVERHEAD
        state, samples = self._plc.get_traces(debugToken, room)
        items = [ide_types.TraceSample(tick, values) for tick, values in samples]
        traces.value = ide_types.TraceReply(state, items)
        return 0

    def MatchMD5(self, MD5: str, match: Reference) -> int:
        match.value = MD5.startswith(PROBE) or self._plc.match_md5(MD5)
        return 0

    def NewPLC(
        self,
        md5sum: str,
        plcObjectBlobID: bytes,
        extrafiles: list[ide_types.ExtraFile],
        success: Reference,
    ) -> int:
        files = [(file.fname, file.blobID) for file in extrafiles]
        self._caller.detail = program_text(md5sum, files)
        self._plc.new_plc(self.owner, md5sum, plcObjectBlobID, files)
        success.value = True
        return 0

    def PurgeBlobs(self) -> int:
        self._plc.purge_blobs(self.owner)
        return 0

    def RepairPLC(self) -> int:
        self._plc.repair()
        return 0

    def ResetLogCount(self) -> int:
        self._plc.reset_log()
        return 0

    def SeedBlob(self, seed: bytes, blobID: Reference) -> int:
        blobID.value = self._plc.seed_blob(self.owner, seed)
        return 0

    def SetTraceVariablesList(
        self, orders: list[ide_types.TraceOrder], debugtoken: Reference
    ) -> int:
        forces = {order.idx: order.force for order in orders if order.force}
        wanted = [(order.idx, order.force) for order in orders]
        if forces:
            self._caller.detail = forces_text(forces)
            self._caller.need(Role.OPERATE, "to force variables")
        elif not self._caller.may(Role.OPERATE):  # what others force is not its to release
            debugtoken.value = self._plc.set_trace_list(wanted, keep_forces=True)
            return 0
        debugtoken.value = self._plc.set_trace_list(wanted)
        return 0

    def StartPLC(self) -> int:
        self._plc.start()
        return 0

    def StopPLC(self, success: Reference) -> int:
        self._plc.stop()
        success.value = True
        return 0
