# SPDX-License-Identifier: MIT
"""What an IDE calls, with the client classes of PyPI's erpc: nothing of our client."""

from __future__ import annotations

import hashlib
from typing import Any

from erpc import Reference
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager

from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import TraceOrder

_CHUNK = 4095  # as the IDE


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class StockClient:
    """One call at a time, nothing repeated, on a transport of erpc's."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.calls = BeremizPLCObjectServiceClient(ClientManager(transport, BasicCodec))

    def close(self) -> None:
        """Let the line go."""
        self._transport.close()

    def status(self) -> int:
        """State of the PLC."""
        out = Reference()
        assert self.calls.GetPLCstatus(out) == 0
        return int(out.value.status)

    def matches(self, image: bytes) -> bool:
        """Whether the board has this program."""
        out = Reference()
        assert self.calls.MatchMD5(_md5(image), out) == 0
        return bool(out.value)

    def transfer(self, image: bytes) -> bool:
        """The IDE's Transfer."""
        assert self.calls.PurgeBlobs() == 0
        out, success = Reference(), Reference()
        assert self.calls.SeedBlob(_md5(image).encode(), out) == 0
        for at in range(0, len(image), _CHUNK):
            assert self.calls.AppendChunkToBlob(image[at : at + _CHUNK], out.value, out) == 0
        assert self.calls.NewPLC(_md5(image), out.value, [], success) == 0
        return bool(success.value)

    def start(self) -> bool:
        """Run."""
        return bool(self.calls.StartPLC() == 0)

    def stop(self) -> bool:
        """Stop."""
        out = Reference()
        assert self.calls.StopPLC(out) == 0
        return bool(out.value)

    def debug(self, forces: dict[int, bytes], *indices: int) -> int:
        """A trace list, some of it forced: the token."""
        orders = [TraceOrder(index, forces.get(index, b"")) for index in indices]
        out = Reference()
        assert self.calls.SetTraceVariablesList(orders, out) == 0
        return int(out.value)

    def samples(self, token: int) -> list[tuple[int, bytes]]:
        """What was recorded since the last call."""
        out = Reference()
        assert self.calls.GetTraceVariables(token, out) == 0
        return [(one.tick, bytes(one.TraceBuffer)) for one in out.value.traces]

    def log(self, level: int) -> list[str]:
        """Its lines."""
        out, texts = Reference(), []
        assert self.calls.GetPLCstatus(out) == 0
        for number in range(out.value.logcounts[level]):
            assert self.calls.GetLogMessage(level, number, out) == 0
            texts.append(out.value.msg)
        return texts
