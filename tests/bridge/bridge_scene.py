# SPDX-License-Identifier: MIT
"""The PLC object on the fake board of ``tests/plc``, a server, a line that can be cut, a bridge."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

from erpc import Reference
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.transport import TCPTransport
from plc_scene import Scene, image

from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.server import BridgeServer
from serial_runtime.damage import Rates
from serial_runtime.errors import LinkError
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import TraceOrder
from serial_runtime.rpc.server import Server
from serial_runtime.rpc.service import About
from serial_runtime.transport.loop import LoopTransport, loop_pair
from serial_runtime.transport.tcp import TcpListener

IMAGE = image("first")
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
        from serial_runtime.rpc.ide.common import ExtraFile

        self.calls.PurgeBlobs()
        files = [ExtraFile(name, self.upload(content, name)) for name, content in extra.items()]
        out = Reference()
        assert self.calls.NewPLC(md5(data), self.upload(data, md5(data)), files, out) == 0
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


class BridgeScene:
    """Board, line, bridge and clients. The line is there when the scene begins."""

    def __init__(self, folder: Path, rate_Bps: float | None = None) -> None:
        self.board = Scene(str(folder / "plc"))
        self.said: list[str] = []
        self.plugged = True
        self._rate_Bps = rate_Bps
        self._ends: tuple[LoopTransport, ...] = ()
        self._threads: list[threading.Thread] = []
        self._clients: list[Any] = []
        self._boots = 0x1000
        self.serve()
        self.plc = RemotePLC(self._open_client, self.said.append, absent_s=1.0)
        self.plc.mirror.poll()
        self.listener = TcpListener("127.0.0.1", 0)
        self.bridge = BridgeServer(self.plc)
        self.plc.start()
        self.bridge.listen(self.listener, parallel=True)

    def serve(self) -> None:
        """The board's process has a server, with sessions of its own."""
        self._boots += 1
        about = About("bench-1", "0.0", "fake", 1 << 18, "armv7l")
        self.sessions = ServerSessions(self._boots)
        self._server = Server(self.board.plc, self.sessions, about)

    def restart(self) -> None:
        """The board's process ends and begins again with what it has stored."""
        self.unplug()
        if self.board.plc.status()[0] == 2:
            self.board.plc.stop()
        self.board.end()
        self.board.begin()
        self.board.plc.autoload(False)
        self.serve()
        self.plugged = True

    def unplug(self) -> None:
        self.plugged = False
        self._ends[0].cut()

    def mute(self, muted: bool) -> None:
        """The line is there, but nothing comes through."""
        for end in self._ends:
            end.damage.muted = muted

    def noise(self, ber: float) -> None:
        """Bit errors in both directions."""
        for end in self._ends:
            end.damage.set_rates(Rates(ber=ber))

    def ide(self) -> Ide:
        ide = Ide(self.listener.port)
        self._clients.append(ide)
        return ide

    def client(self) -> Client:
        client = connect(f"ERPC://{self.listener.name}", timeout_s=20)
        self._clients.append(client)
        return client

    def load(self, data: bytes = IMAGE) -> None:
        self.board.load(data)

    def end(self) -> None:
        for client in self._clients:
            client.close()
        self.bridge.close()
        self.plc.close()
        for thread in self._threads:
            thread.join(10)
        self.board.end()

    def _open_client(self) -> Client:
        return Client(self._open, timeout_s=0.7, reconnect_s=0.3, bridged=True)

    def _open(self) -> LoopTransport:
        if not self.plugged:
            raise LinkError("it is not plugged in")
        near, far = loop_pair(False, self._rate_Bps)
        thread = threading.Thread(target=self._server.serve, args=(far,), daemon=True)
        thread.start()
        self._threads.append(thread)
        self._ends = (near, far)
        return near
