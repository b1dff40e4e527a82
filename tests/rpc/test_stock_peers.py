# SPDX-License-Identifier: MIT
"""Stock peers: PyPI's eRPC client against our server, our client against PyPI's server."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import erpc
import pytest
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.transport import SerialTransport, TCPTransport
from stock_board import StockBoard, served

from serial_runtime.errors import CallRefused, CallUnsupported, LinkError
from serial_runtime.line import VirtualCable
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide import common
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.transport.tcp import TcpListener

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "wire-vectors.json").read_text())
IMAGE = bytes(range(256)) * 50


# PyPI's client, our server.


@pytest.fixture(params=["tcp", "pty"])
def stock_client(
    bench: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[BeremizPLCObjectServiceClient]:
    if request.param == "tcp":
        listener = TcpListener("127.0.0.1", 0)
        bench.server.listen(listener, parallel=True)
        transport: Any = TCPTransport("127.0.0.1", listener.port, False)
        yield BeremizPLCObjectServiceClient(ClientManager(transport, BasicCodec))
        transport.close()
        bench.server.close()
        return
    with VirtualCable(None, tmp_path) as cable:
        bench.server.listen(SerialListener(cable.board_end, 115200), parallel=False)
        transport = SerialTransport(cable.host_end, 115200, timeout=10)
        yield BeremizPLCObjectServiceClient(ClientManager(transport, BasicCodec))
        transport.close()
        bench.server.close()


def test_all_methods(stock_client: BeremizPLCObjectServiceClient, plc: Any) -> None:
    client, out = stock_client, erpc.Reference()
    assert client.GetPLCID(out) == 2
    assert client.PurgeBlobs() == 0
    assert client.SeedBlob(b"seed", out) == 0
    assert out.value == hashlib.md5(b"seed").digest()
    for at in range(0, len(IMAGE), 4095):
        assert client.AppendChunkToBlob(IMAGE[at : at + 4095], out.value, out) == 0
    assert out.value == hashlib.md5(b"seed" + IMAGE).digest()
    program, extra = out.value, erpc.Reference()
    client.SeedBlob(b"other", extra)
    md5 = hashlib.md5(IMAGE).hexdigest()
    assert client.NewPLC(md5, program, [common.ExtraFile("a.txt", extra.value)], out) == 0
    assert out.value is True
    assert plc.image == IMAGE
    assert client.MatchMD5(md5, out) == 0
    assert out.value is True
    assert client.StartPLC() == 0
    orders = [common.TraceOrder(1, b""), common.TraceOrder(2, b"\7\0\0\0")]
    assert client.SetTraceVariablesList(orders, out) == 0
    assert client.GetTraceVariables(out.value, out) == 0
    assert out.value.status == common.Status.Started
    assert [(s.tick, s.TraceBuffer) for s in out.value.traces] == [(3, b"abcd")]
    assert client.SetTraceVariablesList([], out) == 0
    assert out.value == -5
    assert client.StopPLC(out) == 0
    assert out.value is True
    assert client.RepairPLC() == 0
    assert client.GetPLCstatus(out) == 0
    assert out.value == common.PlcStatus(common.Status.Empty, [0, 0, 0, 0])
    plc.log(1, "hear hear")
    assert client.GetLogMessage(1, 0, out) == 0
    assert out.value == common.LogMessage("hear hear", 0, 7, 0)
    assert client.ResetLogCount() == 0


def _replay(reply: bytes) -> Callable[..., int]:
    """A handler that reads the recorded outputs with our types."""
    codec = Codec()
    codec.buffer = reply
    method = codec.start_read_message().request

    def handler(*arguments: Any) -> int:
        if method in _OUTPUTS:
            arguments[-1].value = _OUTPUTS[method](codec)
        value: int = codec.read_uint32()
        codec.expect_end()
        return value

    return handler


_OUTPUTS: dict[int, Callable[[Codec], Any]] = {
    1: Codec.read_binary,
    2: lambda codec: common.LogMessage()._read(codec),
    3: lambda codec: common.Identity()._read(codec),
    4: lambda codec: common.PlcStatus()._read(codec),
    5: lambda codec: common.TraceReply()._read(codec),
    6: Codec.read_bool,
    7: Codec.read_bool,
    11: Codec.read_binary,
    12: Codec.read_int32,
    14: Codec.read_bool,
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["call"])
def test_recorded_calls_byte_for_byte(vector: dict[str, Any]) -> None:
    """Request decoded by our service, the reply encoded again: the recorded frame."""
    request, reply = bytes.fromhex(vector["request"]), bytes.fromhex(vector["reply"])
    (question,) = FrameDecoder(65535, 0.1).feed(request, 0.0)
    (answer,) = FrameDecoder(65535, 0.1).feed(reply, 0.0)
    codec = Codec()
    codec.buffer = question.body
    info = codec.start_read_message()
    names = {
        getattr(IBeremizPLCObjectService, name): name[:-3]
        for name in dir(IBeremizPLCObjectService)
        if name.endswith("_ID") and name != "SERVICE_ID"
    }
    replay = _replay(answer.body)
    # Only the method that was called may be: the others are not callable at all.
    methods = {
        name: (lambda self, *arguments: replay(*arguments))
        if name.upper() == names[info.request]
        else None
        for name in IBeremizPLCObjectService.__abstractmethods__
    }
    handler = type("Handler", (IBeremizPLCObjectService,), methods)()
    BeremizPLCObjectServiceService(handler).dispatch(info.request, info.sequence, codec)
    assert encode_frame(bytes(codec.buffer)) == reply


# PyPI's server, our client.


@pytest.fixture
def stock_board() -> StockBoard:
    return StockBoard()


@pytest.fixture
def stock(tmp_path: Path, stock_board: StockBoard) -> Iterator[Client]:
    with (
        VirtualCable(None, tmp_path) as cable,
        served(stock_board, cable.board_end),
        connect(f"ERPC://{cable.host_end}", timeout_s=5) as client,
    ):
        yield client


def test_a_stock_server_without_a_secret_is_no_pairing(
    stock: Client, stock_board: StockBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(out: erpc.Reference) -> int:
        out.value = common.Identity("", "")
        return 0

    monkeypatch.setattr(stock_board, "GetPLCID", nameless)
    with pytest.raises(CallUnsupported, match="tells no identity"):
        stock.identity()


def test_our_client_with_a_stock_server(stock: Client, stock_board: StockBoard) -> None:
    assert not stock.ours
    assert stock.status().status == common.Status.Stopped
    assert stock.plc_id() == "stock-7"
    assert stock.identity() == common.Identity("stock-7", "secret")
    stock.download(IMAGE)
    assert stock_board.image == IMAGE
    assert stock.match_md5(hashlib.md5(IMAGE).hexdigest())
    assert [line.text for line in stock.log()] == ["line 1", "line 2"]
    stock.repair()


def test_a_stock_server_is_never_sent_our_service(stock: Client) -> None:
    for call in (stock.capabilities, stock.variables, stock.statistics, stock.program):
        with pytest.raises(CallUnsupported, match="not a serial runtime"):
            call()
    assert stock.status().logcounts == [0, 3, 0, 0]


def test_refusals_of_a_stock_server(
    stock: Client, stock_board: StockBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_board, "StartPLC", lambda: 5)
    with pytest.raises(CallRefused, match=r"StartPLC was refused \(error 5\)"):
        stock.start()
    monkeypatch.setattr(stock_board, "StartPLC", lambda: 0)
    with pytest.raises(CallRefused, match="the PLC has not started"):
        stock.start()
    with pytest.raises(CallRefused, match="StopPLC"):
        stock.stop()
    with pytest.raises(CallRefused, match="NewPLC"):
        stock.download(IMAGE, md5="00")


def test_unplugging_a_stock_server(tmp_path: Path) -> None:
    release = threading.Event()

    class Slow(StockBoard):
        def StartPLC(self) -> int:
            reached.set()
            release.wait(60)
            return 0

    reached = threading.Event()
    with (
        VirtualCable(None, tmp_path) as cable,
        served(Slow(), cable.board_end),
        connect(f"ERPC://{cable.host_end}", timeout_s=5) as client,
    ):

        def pull() -> None:
            reached.wait(60)
            cable.unplug()
            release.set()
            cable.plug()

        puller = threading.Thread(target=pull)
        puller.start()
        # The stock server does not open its port again; the client says what it knows.
        client.link.reconnect_s = 0.2
        with pytest.raises(LinkError):
            client.start()
        puller.join(60)
