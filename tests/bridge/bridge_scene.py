# SPDX-License-Identifier: MIT
"""The PLC object on the fake board of ``tests/plc``, a server, a line that can be cut, a bridge."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from plc_scene import Scene, image
from stock_ide import Ide

from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.server import BridgeServer
from serial_runtime.damage import Rates
from serial_runtime.errors import LinkError
from serial_runtime.process_io.drivers import DriverState, PointState
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.access import Access, Role
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.server import Server
from serial_runtime.transport.loop import LoopTransport, loop_pair
from serial_runtime.transport.tcp import TcpListener

IMAGE = image("first")
# More than a reply has.
POINTS = [PointState(0, f"%IX0.{n}", f"line {n}", 1, n % 2, True) for n in range(500)]


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
        about = About(
            "bench-1",
            "0.0",
            "fake",
            1 << 18,
            "armv7l",
            io_drivers=lambda: [DriverState("panel", "/dev/gpiochip0", "it is gone", 1.5)],
            io_points=lambda first: POINTS[first:],
        )
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

    def let(self, role: Role) -> None:
        """The most that the board's policy lets a client of its line do, from the next link on."""
        self._server.access = Access({"loop": role})

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
            thread.join(60)
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
