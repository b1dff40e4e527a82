# SPDX-License-Identifier: MIT
"""PYRO:// and PYROS://: a real runtime, stock Pyro5 clients, stunnel, and peers that mean harm."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tls_peers import free_port, keep_secrets, needs_stunnel, stunnel

import serial_runtime
from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import ConfigError, LinkError, LinkTimeout
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

CRASH = Path(__file__).parents[1] / "board" / "images" / "crash.c"
TANK = Path(serial_runtime.__file__).parent / "demo" / "tank.c"
HEADER = struct.Struct("!4sHBBHHII16sHH")
CONNECT, CONNECT_OK, CONNECT_FAIL, INVOKE, RESULT = 1, 2, 3, 4, 5
MARSHAL, MSGPACK = 2, 4
EXCEPTION = 1  # flags
COMPRESSED, ONEWAY, BATCH, KEEP_SERIALIZED = 2, 4, 8, 32
LONG_S = 60.0
PSK = "ciphers = PSK\nsslVersion = TLSv1.2"
Answer = tuple[int, bool, Any]  # kind, whether an exception, content
Runtime = tuple[str, str, str]  # PYRO URI, host:port of it, ERPC URI


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("runtime")
    words = ("serve", "--tcp", "127.0.0.1:0", "--pyro", "127.0.0.1:0", "--dir", str(folder / "plc"))
    process = subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        _, erpc, pyro = process.stdout.readline().split()
        yield pyro, pyro.removeprefix("PYRO://"), erpc
        process.terminate()
        assert process.wait(LONG_S) == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "crash.so"
    build([CRASH], path, include_dirs=[get_include()])
    return path.read_bytes()


def run_to_the_crash(client: Any, image: bytes) -> None:
    client.download(image)
    client.start()
    deadline = time.monotonic() + LONG_S
    while client.status().status != Status.Broken:
        assert time.monotonic() < deadline


def until_connected(uri: str) -> Client:
    deadline = time.monotonic() + LONG_S
    while True:
        with contextlib.suppress(LinkError):
            return connect(uri)
        assert time.monotonic() < deadline


# Our own client.


def test_the_whole_service(runtime: Runtime, image: bytes) -> None:
    """Through the re-execution that a crash leads to, also."""
    with connect(runtime[0]) as client:
        run_to_the_crash(client, image)
        assert [row.path for row in client.variables()]
        client.repair()
        assert client.status().status == Status.Empty
        assert client.link.reconnects == 1
        assert client.capabilities().backend == "posix"


def test_several_clients(runtime: Runtime) -> None:
    with connect(runtime[0]) as one, connect(runtime[0]) as other, connect(runtime[2]) as third:
        assert one.plc_id() == other.plc_id() == third.plc_id()


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LinkError, match=rf"cannot connect to 127.0.0.1:{port}: Connection refused"):
        connect(f"PYRO://127.0.0.1:{port}")


def test_no_pyro_daemon_answers(runtime: Runtime) -> None:
    with pytest.raises(LinkError, match="is no Pyro daemon of a serial runtime"):
        connect(runtime[2].replace("ERPC", "PYRO"))


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"PYRO://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(LinkTimeout, match=r"no answer within 0.2 s"):
            connect(uri, timeout_s=0.2)


@pytest.mark.parametrize("package", ["Pyro5", "msgpack"])
def test_a_package_is_missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package}: pip install 'serial-runtime\[pyro\]'"):
        connect("PYRO://127.0.0.1:1")


# Stock clients, of the object that the documentation names.

NATIVE = """
import hashlib, json, sys
from Pyro5 import errors
from Pyro5.api import Proxy, config
config.SERIALIZER = "msgpack"
place, path = sys.argv[1:]
plc = Proxy(f"PYRO:PLCObject@{place}")
image = open(path, "rb").read()
md5 = hashlib.md5(image).hexdigest()

def transfer():
    plc.PurgeBlobs()
    blob = plc.SeedBlob(md5.encode())
    for at in range(0, len(image), 4095):
        blob = plc.AppendChunkToBlob(image[at:at + 4095], blob)
    extra = plc.AppendChunkToBlob(b"text", plc.SeedBlob(b"x.txt"))
    return plc.NewPLC(md5, blob, [("x.txt", extra)])

def refused(name, *arguments):
    try:
        return getattr(plc, name)(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

print(json.dumps({
    "methods": sorted(plc._pyroMethods or (plc._pyroBind() and plc._pyroMethods)),
    "empty": plc.GetPLCstatus()[0],
    "start": refused("StartPLC"),
    "new": transfer(),
    "match": [plc.MatchMD5(md5), plc.MatchMD5("f" * 32)],
    "started": [plc.StartPLC(), plc.GetPLCstatus()[0]],
    "suspended": plc.SetTraceVariablesList([]),
    "trace": plc.SetTraceVariablesList([[0, None], [1, b""]]) > 0,
    "bad token": plc.GetTraceVariables(-5),
    "line": plc.GetLogMessage(2, 0)[0],
    "no line": plc.GetLogMessage(0, 9),
    "wrong blob": refused("AppendChunkToBlob", b"x", b"nonsense"),
    "wrong type": refused("SeedBlob", {"a": 1}),
    "stop": plc.StopPLC(),
    "reset": plc.ResetLogCount(),
    "repair": plc.RepairPLC(),
    "private": refused("__class__"),
}))
plc._pyroRelease()
config.SERIALIZER = "serpent"
try:
    Proxy(f"PYRO:PLCObject@{place}").GetPLCstatus()
except errors.CommunicationError as error:
    print(type(error).__name__)
"""


def test_the_documented_object(runtime: Runtime, tmp_path: Path) -> None:
    """A client with nothing of ours; only msgpack is spoken with it."""
    build([TANK], tmp_path / "tank.so", include_dirs=[get_include()])
    words = (sys.executable, "-c", NATIVE, runtime[1], str(tmp_path / "tank.so"))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said, refusal = done.stdout.splitlines()
    found = json.loads(said)
    assert len(found.pop("methods")) == 14
    assert found.pop("line")
    assert found.pop("wrong type").startswith("RuntimeError: SeedBlob: ")
    assert found.pop("private").startswith("TypeError")
    assert found == {
        "empty": "Empty",
        "start": None,
        "wrong blob": None,
        "new": True,
        "match": [True, False],
        "started": [None, "Started"],
        "suspended": -5,
        "trace": True,
        "bad token": ["Broken", []],
        "no line": None,
        "stop": True,
        "reset": None,
        "repair": None,
    }
    assert refusal == "ConnectionClosedError"


# Peers that mean harm: raw messages.


def message(
    kind: int, data: Any, *, serializer: int = MSGPACK, flags: int = 0, annotations: bytes = b""
) -> bytes:
    payload = data if isinstance(data, bytes) else msgpack.packb(data)
    sizes = (len(payload), len(annotations))
    head = HEADER.pack(b"PYRO", 502, kind, serializer, flags, 1, *sizes, bytes(16), 0, 0x4DC5)
    return head + annotations + payload


def hello(name: str = "PLCObject") -> bytes:
    return message(CONNECT, {"handshake": "hello", "object": name})


def call(name: str, *arguments: Any, of: str = "PLCObject", **options: Any) -> bytes:
    return message(INVOKE, (of, name, arguments, {}), **options)


def answers(connection: socket.socket) -> list[Answer]:
    """All messages up to the end of the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    found = []
    while data:
        _, _, kind, _, flags, _, size, more_size, *_ = HEADER.unpack_from(data)
        end = HEADER.size + more_size + size
        content = msgpack.unpackb(data[HEADER.size + more_size : end])
        found.append((kind, bool(flags & EXCEPTION), content))
        data = data[end:]
    return found


def send(runtime: Runtime, *messages: bytes, hang_up: bool = True) -> list[Answer]:
    host, _, port = runtime[1].partition(":")
    with socket.create_connection((host, int(port)), LONG_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"".join(messages))
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        return answers(connection)


@pytest.fixture
def _serves_on(runtime: Runtime) -> Iterator[None]:
    yield
    (first, second) = send(runtime, hello(), call("GetPLCstatus"))
    assert first[0] == CONNECT_OK
    assert second[:2] == (RESULT, False)
    assert second[2][0] == "Empty"


@pytest.mark.usefixtures("_serves_on")
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: board\r\n\r\n",
        bytes.fromhex("278a0800dadf0004010101000000"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"PYRA",
        b"PYRO" + bytes(36),
        hello()[:4] + b"\xff\xff" + hello()[6:],
        message(CONNECT, b"\xe3", serializer=MARSHAL),
        message(CONNECT, b"{}", serializer=3),
        message(CONNECT, b"", serializer=77),
        HEADER.pack(b"PYRO", 502, CONNECT, MSGPACK, 0, 1, 2**32 - 1, 0, bytes(16), 0, 0x4DC5),
        HEADER.pack(b"PYRO", 502, CONNECT, MSGPACK, 0, 1, 300_000, 0, bytes(16), 0, 0x4DC5),
        hello() + call("StartPLC", flags=ONEWAY),
        hello() + call("StartPLC", flags=BATCH),
        hello() + call("StartPLC", flags=COMPRESSED),
        hello() + call("x", flags=KEEP_SERIALIZED, annotations=b"BLBI\0\0\0\1\xe3"),
        hello() + call("x", serializer=MARSHAL),
        hello() + hello(),
        hello() + message(99, b""),
    ],
)
def test_what_is_no_plain_call_ends_its_connection(runtime: Runtime, data: bytes) -> None:
    """By the daemon, not by its peer; and nothing of it is executed."""
    kinds = [one[0] for one in send(runtime, data, hang_up=False)]
    assert kinds == ([CONNECT_OK] if data.startswith(hello()) else [])


@pytest.mark.usefixtures("_serves_on")
@pytest.mark.parametrize(
    "data",
    [
        message(INVOKE, b"\xc1"),
        message(INVOKE, b""),
        message(INVOKE, 7),
        message(INVOKE, b"\x91" * 100_000 + b"\xc0"),
        message(INVOKE, b"\xdd\xff\xff\xff\xff"),
        message(INVOKE, msgpack.packb(msgpack.ExtType(0x31, b"9" * 9999))),
        call("NoSuchMethod"),
        call("_connection"),
        call("__init__", 1),
        call("__getattr__", "_connection"),
        call("__setattr__", "x", 1),
        call("StartPLC", of="NoSuchObject"),
        call("StartPLC", of=[1]),  # type: ignore[arg-type]
        call("StartPLC", 1, 2, 3),
        call("SeedBlob", {"__class__": "Pyro5.client.Proxy", "state": ["PYRO:a@127.0.0.1:1"] * 6}),
        call("SeedBlob", {"__class__": "os.system", "__exception__": True, "args": ["x"]}),
        call("SeedBlob", "text"),
        call("NewPLC", 1, 2, 3),
        call("NewPLC", "x", b"y", [[1]]),
        call("SetTraceVariablesList", [[-1, None]]),
        call("SetTraceVariablesList", [[2**40, b"x"]]),
        call("GetLogMessage", 300, 1),
        call("read", "no channel", of="serial_runtime"),
        call("read", 7, of="serial_runtime"),
        call("write", "no channel", b"x", of="serial_runtime"),
        call("get_next_stream_item", "x", of="Pyro.Daemon"),
    ],
)
def test_a_wrong_call_is_answered_by_an_error(runtime: Runtime, data: bytes) -> None:
    first, *others = send(runtime, hello(), data)
    assert first[0] == CONNECT_OK
    for kind, is_exception, content in others:
        assert kind == RESULT
        if is_exception:
            assert content["__class__"] == "builtins.RuntimeError"
            assert ".py" not in content["args"][0], "no place in a file of the board"
        else:
            assert content in (None, False, -4), "a refusal of the IDE's service"
    assert len(others) == 1


@pytest.mark.usefixtures("_serves_on")
def test_the_answer_before_a_reexecution_arrives(runtime: Runtime, image: bytes) -> None:
    with connect(runtime[0]) as client:
        run_to_the_crash(client, image)
    found = send(runtime, hello(), call("RepairPLC"), hang_up=False)
    assert found[1:] == [(RESULT, False, None)]
    until_connected(runtime[0]).close()


@pytest.mark.usefixtures("_serves_on")
def test_wrong_bytes_in_a_tunnel(runtime: Runtime) -> None:
    host, _, port = runtime[1].partition(":")
    with socket.create_connection((host, int(port)), LONG_S) as connection:
        connection.sendall(hello("serial_runtime") + call("open", of="serial_runtime"))
        data = b""
        while data.count(b"PYRO\x01\xf6\x05") < 1:
            data += connection.recv(65536)
        channel = msgpack.unpackb(data[data.index(b"PYRO\x01\xf6\x05") + HEADER.size :])
        for _ in range(3):
            connection.sendall(call("write", channel, b"\xff" * 65536, of="serial_runtime"))
        connection.sendall(call("write", channel, b"\xff" * 65537, of="serial_runtime"))
        connection.sendall(call("write", channel, 7, of="serial_runtime"))
        connection.sendall(call("read", channel, of="serial_runtime"))
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection)[-1][2]["__exception__"]


def test_connections_that_say_nothing(runtime: Runtime, image: bytes) -> None:
    """They take the places there are; what is connected goes on, and their end makes room."""
    host, _, port = runtime[1].partition(":")
    with connect(runtime[0]) as client, contextlib.ExitStack() as stack:
        for _ in range(140):
            one = stack.enter_context(socket.create_connection((host, int(port)), LONG_S))
            one.sendall(b"PY")
        assert client.status().status == Status.Empty
        with pytest.raises(LinkError, match="or has no place left"):
            connect(runtime[0], timeout_s=2.0)
    until_connected(runtime[0]).close()


# PYROS: the real stunnel at the board's end, and at both.


@pytest.fixture
def tls(runtime: Runtime, tmp_path: Path) -> Iterator[str]:
    """Host and port of an stunnel in front of the daemon."""
    port = free_port()
    service = f"accept = 127.0.0.1:{port}\nconnect = {runtime[1]}\n{PSK}"
    (tmp_path / "board").mkdir()
    with stunnel(tmp_path / "board", service):
        yield f"127.0.0.1:{port}"


@needs_stunnel
def test_through_stunnel(
    tls: str, image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secrets(tmp_path / "psk", monkeypatch)
    with connect(f"PYROS://{tls}#guest") as client:
        run_to_the_crash(client, image)
        client.repair()
        assert client.status().status == Status.Empty
    secret = tmp_path / "psk" / "guest.secret"
    secret.write_text("guest:no longer the secret there")
    with pytest.raises(LinkError, match="the secret of guest is another one there"):
        connect(f"PYROS://{tls}#guest")
    secret.rename(tmp_path / "psk" / "nobody.secret")
    (tmp_path / "psk" / "nobody.secret").write_text("nobody:somebody's secret")
    with pytest.raises(LinkError, match="the identity nobody is not known there"):
        connect(f"PYROS://{tls}#nobody")
    with pytest.raises(ConfigError, match="the secret of guest is not in"):
        connect(f"PYROS://{tls}#guest")
    with pytest.raises(LinkError, match="no Pyro daemon"):
        connect(f"PYRO://{tls}")


@needs_stunnel
def test_through_stunnel_at_both_ends(tls: str, tmp_path: Path) -> None:
    port = free_port()
    service = f"client = yes\naccept = 127.0.0.1:{port}\nconnect = {tls}\n{PSK}"
    with stunnel(tmp_path, service), connect(f"PYRO://127.0.0.1:{port}") as client:
        assert client.capabilities().backend == "posix"


def test_no_tls_answers(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secrets(tmp_path, monkeypatch)
    with pytest.raises(LinkError, match="TLS"):
        connect(f"PYROS://{runtime[1]}#guest")
