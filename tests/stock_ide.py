# SPDX-License-Identifier: MIT
"""What an IDE calls, with the client classes of PyPI's erpc."""

from __future__ import annotations

import hashlib

from erpc import Reference
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.transport import TCPTransport

from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import ExtraFile, TraceOrder

CHUNK = 4095  # as the IDE


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Ide:
    """What an unmodified IDE does: PyPI's client over TCP, one call at a time, no timeout."""

    def __init__(self, port: int) -> None:
        self._transport = TCPTransport("127.0.0.1", port, False)
        manager = ClientManager(self._transport, BasicCodec)
        self.calls = BeremizPLCObjectServiceClient(manager)
        self.name = ":".join(map(str, self._transport._sock.getsockname()))

    def close(self) -> None:
        self._transport.close()

    def status(self) -> int:
        out = Reference()
        assert self.calls.GetPLCstatus(out) == 0
        return int(out.value.status)

    def upload(self, data: bytes, seed: str) -> bytes:
        out, digest = Reference(), hashlib.md5(seed.encode())
        assert self.calls.SeedBlob(seed.encode(), out) == 0
        for at in range(0, len(data), CHUNK):
            self.calls.AppendChunkToBlob(data[at : at + CHUNK], out.value, out)
            digest.update(data[at : at + CHUNK])
            assert out.value == digest.digest()
        blob_id: bytes = out.value
        return blob_id

    def transfer(self, data: bytes, **extra: bytes) -> bool:
        self.calls.PurgeBlobs()
        files = [ExtraFile(name, self.upload(content, name)) for name, content in extra.items()]
        out = Reference()
        assert self.calls.NewPLC(md5(data), self.upload(data, md5(data)), files, out) == 0
        return bool(out.value)

    def matches(self, data: bytes) -> bool:
        out = Reference()
        assert self.calls.MatchMD5(md5(data), out) == 0
        return bool(out.value)

    def start(self) -> int:
        value: int = self.calls.StartPLC()
        return value

    def stop(self) -> bool:
        out = Reference()
        assert self.calls.StopPLC(out) == 0
        return bool(out.value)

    def watch(self, *indices: int, **forced: bytes) -> int:
        """Set the trace list; `v3=b"..."` forces variable 3. The token."""
        forces = {int(name[1:]): value for name, value in forced.items()}
        orders = [TraceOrder(index, forces.get(index, b"")) for index in indices]
        out = Reference()
        assert self.calls.SetTraceVariablesList(orders, out) == 0
        return int(out.value)

    def traces(self, token: int) -> tuple[int, list[tuple[int, bytes]]]:
        out = Reference()
        assert self.calls.GetTraceVariables(token, out) == 0
        samples = [(one.tick, bytes(one.TraceBuffer)) for one in out.value.traces]
        return int(out.value.status), samples

    def log(self, level: int = 1) -> list[str]:
        out, texts = Reference(), []
        assert self.calls.GetPLCstatus(out) == 0
        for number in range(out.value.logcounts[level]):
            assert self.calls.GetLogMessage(level, number, out) == 0
            texts.append(out.value.msg)
        return texts
