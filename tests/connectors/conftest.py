# SPDX-License-Identifier: MIT
"""A real WAMP router in the form of the example, and boards made of Python at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serial_runtime.connectors import wamp_board
from serial_runtime.connectors.wamp_board import WampListener
from serial_runtime.connectors.wamp_session import Router as Place
from serial_runtime.identities import VARIABLE
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.server import Server
from serial_runtime.rpc.service import About
from serial_runtime.transport.uri import WampEndpoint, parse

ROOT = Path(__file__).parents[2]
CROSSBAR = ROOT / ".router" / "bin" / "crossbar"
SECRET = "a secret of some length, "


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


class WampRouter:
    """crossbar, with the configuration of examples/router but for its ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "psk"
        self.certificate = folder / "router.crt"
        self.ports = secure, plain = free_port(), free_port()
        self.secure = f"WAMPS://localhost:{secure}#Automation"
        self.plain = f"WAMP://127.0.0.1:{plain}#Automation"
        self.secrets.mkdir()
        shutil.copy(ROOT / "examples" / "router" / "boards.py", folder)
        config = json.loads((ROOT / "examples" / "router" / "config.json").read_text())
        for transport, port in zip(config["workers"][0]["transports"], self.ports, strict=True):
            transport["endpoint"]["port"] = port
            transport["endpoint"]["interface"] = "127.0.0.1"
        (folder / "config.json").write_text(json.dumps(config))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", "2", "-subj", "/CN=router", "-keyout", folder / "router.key"]
            + ["-out", self.certificate, "-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, identity: str) -> str:
        """Let somebody in; returns the secret."""
        secret = SECRET + identity
        (self.secrets / f"{identity}.secret").write_text(f"{identity}:{secret}")
        return secret

    def start(self) -> None:
        words = [CROSSBAR, "start", "--cbdir", self.folder, "--loglevel", "warn"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return all(self._listens(port) for port in self.ports)

    def stop(self) -> None:
        """As if the power had failed."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0


class FakePLC:
    """As much of a PLC object as these tests call."""

    restart = None

    def __init__(self) -> None:
        self.logged: list[str] = []
        self.released: list[Any] = []

    def log(self, level: int, text: str) -> None:
        self.logged.append(text)

    def status(self) -> tuple[int, tuple[int, int, int, int]]:
        return Status.Stopped, (0, len(self.logged), 0, 0)

    def owner_closed(self, owner: Any) -> None:
        self.released.append(owner)

    def board_status(self) -> Any:
        return SimpleNamespace(
            plc=1, real_time=False, scheduling="fake", forced=0, traced=0, trace_lost=0, fault="",
            uptime_ns=1,
        )  # fmt: skip


class SimBoard:
    """A server of a fake PLC at a router."""

    def __init__(self, identity: str, realm: str, secret: str, ca: str = "") -> None:
        self.id = identity
        self.uri = f"{realm}#{identity}"
        self.plc = FakePLC()
        endpoint = parse(self.uri)
        assert isinstance(endpoint, WampEndpoint)
        place = Place.of(endpoint, ca)
        self.listener = WampListener(self.uri, place, identity, secret.encode)
        self.server = Server(
            self.plc,  # type: ignore[arg-type]
            ServerSessions(hash(identity) & 0xFFFFFFFF),
            About(identity, "0.0", "fake", 1000, connections=self.connections),
        )
        self.server.listen(self.listener, parallel=True)
        self.listener.start(self.plc.log)

    def connections(self) -> list[tuple[str, str]]:
        return [(self.uri, self.listener.state)]

    def is_connected(self) -> bool:
        return self.listener.state.startswith("connected")


@pytest.fixture(scope="session")
def the_router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WampRouter]:
    if not CROSSBAR.exists():
        pytest.skip("no router here: make .router/ready installs it")
    router = WampRouter(tmp_path_factory.mktemp("router"))
    router.start()
    yield router
    router.stop()


@pytest.fixture
def router(
    the_router: WampRouter,
    wait_for: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> WampRouter:
    """It is up, and this process trusts it and shares its secrets."""
    wait_for(the_router.is_up)
    monkeypatch.setenv("SSL_CERT_FILE", str(the_router.certificate))
    monkeypatch.setenv(VARIABLE, str(the_router.secrets))
    return the_router


@pytest.fixture
def new_board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SimBoard]]:
    """Makes boards, which ask an absent router again soon."""
    monkeypatch.setattr(wamp_board, "_LAST_RETRY_S", 0.5)
    monkeypatch.setattr(wamp_board, "_FIRST_RETRY_S", 0.2)
    boards: list[SimBoard] = []

    def make(*arguments: str) -> SimBoard:
        boards.append(SimBoard(*arguments))
        return boards[-1]

    yield make
    for board in boards:
        board.server.close()
