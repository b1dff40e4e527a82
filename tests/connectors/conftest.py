# SPDX-License-Identifier: MIT
"""Boards made of Python at a real WAMP router."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from wamp_router import WampRouter

from serial_runtime.connectors import wamp_board
from serial_runtime.connectors.wamp_board import WampListener
from serial_runtime.connectors.wamp_session import Router as Place
from serial_runtime.identities import VARIABLE
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.server import Server
from serial_runtime.transport.uri import WampEndpoint, parse


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
