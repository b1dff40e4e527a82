# SPDX-License-Identifier: MIT
"""The IDE's procedures through a real router, in the forms its connector expects, of a real board.

The caller here is the bare WAMP library, as the IDE's connector is.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reading import LONG_S

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.connectors.wamp_client import leave
from serial_runtime.connectors.wamp_session import ApplicationError, Login, Router, join, run
from serial_runtime.plc.identity import load_or_create
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status
from serial_runtime.transport.uri import WampEndpoint, parse

TESTS = Path(__file__).parents[1]
Waiter = Callable[[Callable[[], object]], None]
Call = Callable[..., Any]


@pytest.fixture
def board(router, tmp_path: Path) -> Iterator[str]:
    """A runtime at the router; the URI under which it says to be reached."""
    own = load_or_create(str(tmp_path / "plc"), "native")
    (router.secrets / f"{own.id}.secret").write_text(f"{own.id}:{own.secret}")
    words = ["serve", "--wamp", router.secure, "--dir", str(tmp_path / "plc")]
    with subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        word, uri = process.stdout.readline().split()
        assert (word, uri) == ("READY", f"{router.secure}#{own.id}")
        yield uri
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        print(errors)
        assert errors == ""
    assert process.returncode == 0


def caller(uri: str) -> tuple[Call, Callable[[], None]]:
    endpoint = parse(uri)
    assert isinstance(endpoint, WampEndpoint)

    async def enter() -> Any:
        return await join(Router.of(endpoint), Login(), LONG_S)

    async def ask(name: str, *arguments: Any) -> Any:
        async with asyncio.timeout(LONG_S):
            return await session.call(f"{endpoint.identity}.{name}", *arguments)

    session = run(enter())
    return lambda *words: run(ask(*words)), lambda: run(leave(session))


@pytest.fixture
def call(router, board: str, wait_for: Waiter) -> Iterator[Call]:
    """Calls a procedure of the board, joined anonymously on the router's own machine."""
    call, end = caller(board.replace(router.secure, router.plain))

    def is_there() -> bool:
        try:
            call("GetPLCstatus")
        except ApplicationError:
            return False
        return True

    wait_for(is_there)
    yield call
    end()


def upload(call: Call, data: bytes, seed: bytes) -> bytes:
    blob: bytes = call("SeedBlob", seed)
    digest = hashlib.md5(seed)
    assert blob == digest.digest()
    for first in range(0, len(data), 4095):
        chunk = data[first : first + 4095]
        digest.update(chunk)
        blob = call("AppendChunkToBlob", chunk, blob)
        assert blob == digest.digest()
    return blob


def test_a_session_of_the_ide(call: Call, tmp_path: Path, wait_for: Waiter) -> None:
    image = tmp_path / "basic.so"
    build([TESTS / "board" / "images" / "basic.c"], image, include_dirs=[get_include()])
    data = image.read_bytes()
    md5 = hashlib.md5(data).hexdigest()
    state, counts = call("GetPLCstatus")
    assert state == "Empty"
    assert len(counts) == 4
    assert call("MatchMD5", md5) is False
    assert call("PurgeBlobs") is None
    extra = ["notes.txt", upload(call, b"of the program", b"notes.txt")]
    program = upload(call, data, md5.encode())
    assert call("NewPLC", md5, program, [extra]) is True
    assert call("MatchMD5", md5) is True
    assert call("GetPLCstatus")[0] == "Stopped"
    assert call("StartPLC") is None
    token = call("SetTraceVariablesList", [[0, None], [4, (7).to_bytes(2, "little")]])
    assert token > 0
    samples: list[Any] = []

    def traced() -> bool:
        state, more = call("GetTraceVariables", token)
        assert state == "Started"
        samples.extend(more)
        return len(samples) > 2

    wait_for(traced)
    for tick, values in samples:
        assert values == (tick + 1).to_bytes(4, "little") + b"\7\0"
    text, *when = call("GetLogMessage", 2, 0)
    assert text
    assert [type(one) for one in when] == [int, int, int]
    assert call("GetLogMessage", 2, 1000) is None
    assert call("GetTraceVariables", token + 1) == ["Broken", []]
    assert call("SetTraceVariablesList", []) == -5
    assert call("GetTraceVariables", -5) == ["Broken", []]
    assert call("StopPLC") is True
    assert call("StopPLC") is False
    assert call("ResetLogCount") is None
    assert call("GetPLCstatus") == ["Stopped", [0, 0, 0, 0]]
    assert call("RepairPLC") is None
    assert call("GetPLCstatus")[0] == "Empty"


BAD: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("GetPLCstatus", (1,), "wrong arguments"),
    ("NewPLC", ("md5", b"blob"), "wrong arguments"),
    ("MatchMD5", (5,), "MatchMD5"),
    ("SeedBlob", ("text",), "SeedBlob"),
    ("GetLogMessage", (300, -1), "GetLogMessage"),
    ("SetTraceVariablesList", ([[1]],), "SetTraceVariablesList"),
    ("GetTraceVariables", ("x",), "GetTraceVariables"),
    ("RemoteExec", ("import os",), "no callee registered"),
    ("serial_runtime.read", ("no such channel",), "the channel is closed"),
    ("serial_runtime.read", (None,), "the channel is closed"),
)


def test_two_ides_are_told_apart_though_both_are_nobody(call: Call, router, board: str) -> None:
    program = upload(call, b"the first one's", b"program")
    other, end = caller(board.replace(router.secure, router.plain))
    try:
        assert other("PurgeBlobs") is None
        assert other("AppendChunkToBlob", b"!", program) is None
    finally:
        end()
    assert len(call("AppendChunkToBlob", b"!", program)) == 16


def test_bad_input(call: Call) -> None:
    for name, arguments, says in BAD:
        with pytest.raises(ApplicationError, match=f"(?i){says}"):
            call(name, *arguments)
    assert call("GetPLCstatus")[0] == "Empty"


def test_refusals(call: Call) -> None:
    """The value that means it to the IDE, and a line of the log."""

    def newest() -> str:
        text: str = call("GetLogMessage", 1, call("GetPLCstatus")[1][1] - 1)[0]
        return text

    assert call("StartPLC") is None
    assert "no program" in newest()
    assert call("AppendChunkToBlob", b"x", b"unknown") is None
    assert "no upload has the id" in newest()
    assert call("NewPLC", "0" * 32, call("SeedBlob", b"x"), []) is False
    assert "MD5 that was announced" in newest()


def test_a_tunnel_is_not_misused(call: Call) -> None:
    def write_on(data: bytes | str) -> None:
        channel = call("serial_runtime.open")
        while True:
            call("serial_runtime.write", channel, data)

    for data in (b"x" * 65537, "text", b"no frame, but noise" * 1000):
        with pytest.raises(ApplicationError, match="at most 65536|bytes are expected|closed"):
            write_on(data)


def test_a_restart_of_the_runtime(router, call: Call, board: str, tmp_path: Path) -> None:
    """A crashed program is repaired by a call that is answered before the runtime starts anew."""
    build(
        [TESTS / "images" / "crash.c"],
        tmp_path / "crash.so",
        include_dirs=[get_include()],
        flags=["-DCRASH_SEGV"],
    )
    with connect(board, timeout_s=30) as client:
        client.download((tmp_path / "crash.so").read_bytes())
        client.start()
        while client.status().status != Status.Broken:
            pass
        assert call("StartPLC") is None
        while client.link.reconnects == 0:
            client.status()
        while client.status().status != Status.Broken:
            pass
        client.repair()
        assert client.status().status == Status.Empty
        assert client.link.reconnects == 2
