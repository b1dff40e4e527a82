# SPDX-License-Identifier: MIT
"""Boards and our client at a real router: joining, refusals, its end, and the bytes between."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from reading import LONG_S, read

from serial_runtime.config import Profile, Wamp
from serial_runtime.connectors.tunnel import Tunnel
from serial_runtime.connectors.wamp import login_of
from serial_runtime.connectors.wamp_board import WampListener
from serial_runtime.connectors.wamp_client import leave, open_board
from serial_runtime.connectors.wamp_session import ApplicationError, Login, Router, join, run
from serial_runtime.errors import ConfigError, LinkClosed, LinkError, SerialRuntimeError
from serial_runtime.listeners import Listeners
from serial_runtime.rpc.client import connect
from serial_runtime.transport import connect as open_transport
from serial_runtime.transport.uri import WampEndpoint, parse

Waiter = Callable[[Callable[[], object]], None]


def test_a_board_is_reached(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc1", router.secure, router.add("plc1"))
    wait_for(board.is_connected)
    with connect(board.uri) as client:
        assert client.ours
        assert client.plc_id() == "plc1"
        (way,) = client.connections()
        assert (way.uri, way.state) == (board.uri, "connected, in the role board")
    wait_for(lambda: board.plc.released)
    assert board.plc.logged == [f"WAMP: connected, in the role board: {board.listener.name}"]


def test_who_calls_is_known_to_the_board(router, new_board, wait_for: Waiter) -> None:
    """Its own ID for whoever knows its secret, nobody for one who joins anonymously."""
    board = new_board("plc2", router.secure, router.add("plc2"))
    wait_for(board.is_connected)
    seen = []
    board.server.serve = lambda transport: seen.append((transport.kind, transport.identity))
    for uri in (board.uri, f"{router.plain}#plc2"):
        if uri.startswith("WAMP:"):
            (router.secrets / "plc2.secret").unlink()
        open_transport(uri).close()
    wait_for(lambda: len(seen) == 2)
    assert seen == [("wamp", "plc2"), ("wamp", "")]


def test_bytes_both_ways(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc3", router.secure, router.add("plc3"))
    far: list[Tunnel] = []
    came = threading.Event()

    def take(transport: Tunnel) -> None:
        far.append(transport)
        came.set()

    board.server.serve = take
    wait_for(board.is_connected)
    near = open_transport(board.uri)
    assert came.wait(LONG_S)
    data = os.urandom(1_000_000)
    with ThreadPoolExecutor(2) as pool:
        up, down = pool.submit(near.write, data), pool.submit(far[0].write, data[::-1])
        assert read(far[0], len(data)) == data
        assert read(near, len(data)) == data[::-1]
        up.result(LONG_S)
        down.result(LONG_S)
    near.write(b"last words")
    near.close()
    assert read(far[0], 10) == b"last words"
    with pytest.raises(LinkClosed):
        far[0].read(LONG_S)


@pytest.fixture
def lonely(monkeypatch: pytest.MonkeyPatch) -> Iterator[WampListener]:
    """A board that calls reach without a router; those of the IDE give how many they are."""
    listener = WampListener("WAMP://x", Router(False, "x", 1, "/", "r"), "plc1", bytes)
    monkeypatch.setattr(listener, "_call", lambda *_: listener._calls)
    yield listener
    listener.close()


def test_calls_that_wait_are_bounded(lonely: WampListener) -> None:
    procedure = lonely._native_procedure("MatchMD5")
    details = SimpleNamespace(caller=1, caller_authid="", caller_authrole="")

    async def flood(count: int, *arguments: object) -> list[object]:
        calls = [procedure(*arguments, details=details) for _ in range(count)]
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = run(flood(100, "x"))
    refused = [one.args for one in answers if isinstance(one, ApplicationError)]
    assert refused == [("64 calls are waiting already",)] * 36
    assert max(one for one in answers if isinstance(one, int)) <= 64
    for long in (bytes(70_000), [[0] * 40_000] * 2, {"x": ["y" * 70_000]}):
        (answer,) = run(flood(1, long))
        assert isinstance(answer, ApplicationError)
        assert answer.args == ("MatchMD5: more than 65536 bytes",)
    assert run(flood(1, bytes(60_000))) == [1]


def test_calls_of_one_tunnel_are_bounded(lonely: WampListener) -> None:
    async def flood(what: str) -> list[object]:
        channel = await lonely._open(details=SimpleNamespace(caller=1, caller_authrole=""))
        calls = {
            "read": lambda: lonely._read(channel, None),
            "write": lambda: lonely._write(channel, bytes(65536), None),
            "more": lambda: lonely._write(channel, bytes(65537), None),
        }
        tasks = [asyncio.ensure_future(calls[what]()) for _ in range(100)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        await lonely._close(channel, None)
        return [getattr(one, "error", None) for one in done]

    assert run(flood("read")) == ["serial_runtime.error.closed"] * 100
    assert run(flood("write")) == [None] * 4 + ["serial_runtime.error.closed"] * 96
    assert run(flood("more")) == ["wamp.error.invalid_argument"] * 100


def test_a_board_that_ends(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc4", router.secure, router.add("plc4"))
    wait_for(board.is_connected)
    near = open_transport(board.uri)
    board.server.close()
    with pytest.raises(LinkClosed):
        near.read(LONG_S)
    with pytest.raises(LinkError, match="no board of this ID is connected to the realm"):
        open_transport(board.uri)


def test_a_wrong_secret(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc5", router.secure, "not what the router knows")
    router.add("plc5")
    wait_for(lambda: board.plc.logged)
    assert "the router refuses plc5: " in board.listener.state
    assert "signature is invalid" in board.plc.logged[0]
    assert board.plc.logged[0].endswith("; trying again")


def test_a_client_the_router_does_not_know(router, monkeypatch: pytest.MonkeyPatch) -> None:
    (router.secrets / "stranger.secret").write_text("stranger:a secret of its own")
    elsewhere = router.secrets.with_name("elsewhere")
    elsewhere.mkdir(exist_ok=True)
    (router.secrets / "stranger.secret").rename(elsewhere / "stranger.secret")
    monkeypatch.setenv("SERIAL_RUNTIME_PSK", str(elsewhere))
    with pytest.raises(LinkError, match="refuses stranger: nobody is called 'stranger' here"):
        open_transport(f"{router.secure}#stranger")
    with pytest.raises(LinkError, match="refuses a client without a secret"):
        open_transport(f"{router.secure}#nobody")


def test_a_board_calls_no_other_board(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc6", router.secure, router.add("plc6"))
    router.add("plc7")
    wait_for(board.is_connected)
    with pytest.raises(LinkError, match="not authorized"):
        open_board(board.listener.router, login_of("plc7"), "plc6", LONG_S)


def test_a_board_that_may_not_register(router, new_board, wait_for: Waiter) -> None:
    board = new_board("plc8", router.plain, "")
    wait_for(lambda: board.plc.logged)
    assert "the router does not let it register" in board.listener.state


def test_another_board_with_the_same_id(router, new_board, wait_for: Waiter) -> None:
    secret = router.add("twin")
    first = new_board("twin", router.secure, secret)
    wait_for(first.is_connected)
    second = new_board("twin", router.secure, secret)
    wait_for(lambda: second.plc.logged)
    assert "another board with the ID twin is connected" in second.listener.state
    assert first.is_connected()
    first.server.close()
    wait_for(second.is_connected)


def test_an_unknown_realm(router) -> None:
    with pytest.raises(LinkError, match="no_such_realm"):
        open_transport(f"{router.plain.replace('Automation', 'Elsewhere')}#plc")


def test_a_certificate_that_is_not_trusted(
    router, new_board, wait_for: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    secret = router.add("careful")
    with pytest.raises(LinkError, match="certificate is not trusted: self-signed certificate"):
        open_transport(f"{router.secure}#careful")
    board = new_board("careful", router.secure, secret)
    wait_for(lambda: board.plc.logged)
    assert "wamp.ca" in board.listener.state
    trusting = new_board("careful", router.secure, secret, str(router.certificate))
    wait_for(trusting.is_connected)
    other_name = router.secure.replace("localhost", "127.0.0.1")
    wrong = new_board("careful", other_name, secret, str(router.certificate))
    wait_for(lambda: wrong.plc.logged)
    assert "IP address mismatch" in wrong.listener.state


def test_no_file_of_certificates(router, new_board, wait_for: Waiter) -> None:
    board = new_board("careful", router.secure, "x", "/nowhere/ca.pem")
    wait_for(lambda: board.plc.logged)
    assert "/nowhere/ca.pem: no file of certificates" in board.listener.state


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autobahn", None)
    with pytest.raises(ConfigError, match=r"pip install 'serial-runtime\[wamp\]'"):
        open_transport("WAMP://127.0.0.1:1#realm#plc")


@pytest.mark.parametrize("router", ["WAMP://host", "ERPC://host", "WAMP://host#a b"])
def test_a_wrong_router_in_the_profile(router: str) -> None:
    server = SimpleNamespace(about=SimpleNamespace(board_id="plc"))
    listeners = Listeners(Profile(wamp=Wamp(router)))
    with pytest.raises(ConfigError, match=f"wamp.router = {router!r}"):
        listeners.serve(server)  # type: ignore[arg-type]
    assert not listeners.connections()


def test_no_router() -> None:
    with pytest.raises(LinkError, match="cannot connect: Connection refused"):
        open_transport("WAMP://127.0.0.1:1#realm#plc")


def test_a_router_that_is_killed_and_comes_back(router, new_board, wait_for: Waiter) -> None:
    board = new_board("lasting", router.secure, router.add("lasting"))
    wait_for(board.is_connected)
    with connect(board.uri, reconnect_s=1.0) as client, connect(board.uri) as patient:
        client.status()
        patient.status()
        router.stop()
        with pytest.raises(SerialRuntimeError):
            client.status()
        wait_for(lambda: "Connection refused" in board.listener.state)
        router.start()
        wait_for(router.is_up)
        wait_for(board.is_connected)
        assert patient.plc_id() == "lasting"
        assert patient.link.reconnects == 1
    # Each reason is told once, however often the board has tried.
    assert len(board.plc.logged) == len(set(board.plc.logged)) + 1


def test_nobody_is_told_a_secret(router) -> None:
    """Nor takes the router's own names."""
    router.add("desk")
    place = parse(f"{router.secure}#desk")
    assert isinstance(place, WampEndpoint)

    async def procedures() -> set[str]:
        session = await join(Router.of(place), login_of("desk"), LONG_S)
        found = (await session.call("wamp.registration.list"))["exact"]
        names = {(await session.call("wamp.registration.get", one))["uri"] for one in found}
        await leave(session)
        return names

    assert {name for name in run(procedures()) if name.startswith("serial_runtime.")} == {
        "serial_runtime.authorize"
    }
    for name in ("wamp", "serial_runtime", "a b", "../desk"):
        (router.secrets / f"{name.replace('/', '_')}.secret").write_text(f"{name}:{name}")
        login = Login(name, name.encode())
        with pytest.raises(LinkError, match=f"nobody is called '{name}' here"):
            open_board(Router.of(place), login, "x", LONG_S)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "Not Found"),
        (b"no HTTP\r\n\r\n", "Unsupported HTTP version"),
        (b"\xff" * 100_000, "no WAMP session is opened there"),
        (b"", "no WAMP session is opened there"),
        (None, "no WAMP session is opened there|does not answer within 0.3 s"),
    ],
)
def test_what_is_no_router(answer: bytes | None, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> socket.socket:
            one, _ = server.accept()
            if answer is not None:
                one.recv(4096)
                one.sendall(answer)
                one.close()
            return one

        served = pool.submit(serve)
        uri = f"WAMP://127.0.0.1:{server.getsockname()[1]}#realm#plc"
        with pytest.raises(LinkError, match=says):
            open_transport(uri, 0.3 if answer is None else LONG_S)
        served.result(LONG_S).close()


def test_secure_or_not(router) -> None:
    plain, secure = router.plain.partition("#")[0], router.secure.partition("#")[0]
    with pytest.raises(LinkError, match="no WAMP session is opened there"):
        open_transport(f"{secure.replace('WAMPS', 'WAMP')}#Automation#plc", LONG_S)
    with pytest.raises(LinkError, match="no TLS with that address|does not answer within 0.3 s"):
        open_transport(f"{plain.replace('WAMP', 'WAMPS')}#Automation#plc", 0.3)
