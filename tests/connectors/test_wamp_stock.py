# SPDX-License-Identifier: MIT
"""A stock runtime behind a real router: the IDE's procedures and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from erpc import Reference
from reading import LONG_S

from serial_runtime.connectors.wamp_client import leave
from serial_runtime.connectors.wamp_session import Login, Router, join, run
from serial_runtime.errors import CallRefused, CallUnsupported, LinkError
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status, TraceOrder
from serial_runtime.transport.uri import WampEndpoint, parse


class Stock:
    """Answers as the documentation of the procedures has it; `calls` are those it got."""

    def __init__(self) -> None:
        self.state = "Empty"
        self.image = b""
        self.files: list[Any] = []
        self.blobs: dict[bytes, tuple[Any, bytes]] = {}
        self.orders: list[Any] = []
        self.session: Any = None
        self.line: Any = ("hello", 1, 2, 3)

    def GetPLCstatus(self) -> Any:
        return self.state, [0, 0, 1, 0]

    def GetLogMessage(self, level: int, number: int) -> Any:
        return self.line if (level, number) == (2, 0) else None

    def SeedBlob(self, seed: bytes) -> bytes:
        digest = hashlib.md5(seed)
        self.blobs[digest.digest()] = digest, b""
        return digest.digest()

    def AppendChunkToBlob(self, data: bytes, blob: bytes) -> Any:
        if blob not in self.blobs:
            return None
        digest, before = self.blobs.pop(blob)
        digest.update(data)
        self.blobs[digest.digest()] = digest, before + data
        return digest.digest()

    def PurgeBlobs(self) -> None:
        self.blobs.clear()

    def NewPLC(self, md5: str, blob: bytes, files: list[Any]) -> bool:
        self.image, self.state = self.blobs[blob][1], "Stopped"
        self.files = [(name, self.blobs[one][1]) for name, one in files]
        return True

    def MatchMD5(self, md5: str) -> bool:
        return hashlib.md5(self.image).hexdigest() == md5

    def StartPLC(self) -> None:
        self.state = "Started"

    def StopPLC(self) -> bool:
        was, self.state = self.state, "Stopped"
        return was == "Started"

    def RepairPLC(self) -> None:
        self.state = "Empty"

    def ResetLogCount(self) -> None:
        raise RuntimeError("an error of that runtime")

    def SetTraceVariablesList(self, orders: list[Any]) -> int:
        self.orders = orders
        return 5

    def GetTraceVariables(self, token: int) -> Any:
        return ("Started", [(3, b"abcd")]) if token == 5 else ("Broken", [])

    def GetPLCID(self) -> Any:
        return "stock", "its secret"


@pytest.fixture
def stock(router) -> Iterator[Stock]:
    stock = Stock()
    endpoint = parse(f"{router.secure}#stock")
    assert isinstance(endpoint, WampEndpoint)
    login = Login("stock", router.add("stock").encode())

    async def enter() -> Any:
        session = await join(Router.of(endpoint), login, LONG_S)
        for name in vars(Stock):
            if name[0].isupper():
                await session.register(getattr(stock, name), f"stock.{name}")
        return session

    stock.session = run(enter())
    yield stock
    run(leave(stock.session))


@pytest.fixture
def client(router, stock: Stock) -> Iterator[Client]:
    with connect(f"{router.secure}#stock") as client:
        yield client


def test_a_session(client: Client, stock: Stock) -> None:
    assert not client.ours
    assert client.plc_id() == ""
    image = b"no program, but long enough for more than one chunk" * 400
    client.download(image, extra_files=[("a.csv", b"1;2")])
    assert (stock.image, stock.files) == (image, [("a.csv", b"1;2")])
    client.start()
    assert client.status().status == Status.Started
    assert client.match_md5(hashlib.md5(image).hexdigest())
    assert [line.text for line in client.log()] == ["hello"]
    token, traces = Reference(), Reference()
    client.ide.SetTraceVariablesList([TraceOrder(1), TraceOrder(4, b"x")], token)
    assert stock.orders == [[1, None], [4, b"x"]]
    client.ide.GetTraceVariables(token.value, traces)
    (sample,) = traces.value.traces
    assert (traces.value.status, sample.tick) == (Status.Started, 3)
    assert sample.TraceBuffer == b"abcd"
    client.stop()
    with pytest.raises(CallRefused):
        client.stop()
    client.repair()
    assert client.status().status == Status.Empty
    with pytest.raises(CallUnsupported):
        client.capabilities()


def test_an_error_of_that_runtime(client: Client) -> None:
    with pytest.raises(CallRefused, match="ResetLogCount was refused"):
        client.reset_log()
    assert client.status().status == Status.Empty


def test_its_blobs_are_lost(client: Client) -> None:
    blob = Reference()
    client.ide.AppendChunkToBlob(b"x", b"unknown", blob)
    assert blob.value == b""


def test_a_form_that_is_not_documented(client: Client, stock: Stock) -> None:
    stock.state = "Confused"
    with pytest.raises(CallRefused, match="GetPLCstatus"):
        client.status()
    stock.state = "Empty"
    assert client.status().status == Status.Empty
    stock.line = (1, 2, 3, 4)
    assert client.log() == []
    assert client.status().status == Status.Empty


def test_it_has_gone(router, stock: Stock) -> None:
    with connect(f"{router.secure}#stock", reconnect_s=0.1) as client:
        client.status()
        run(leave(stock.session))
        with pytest.raises(LinkError, match="no board of this ID is connected"):
            client.status()
