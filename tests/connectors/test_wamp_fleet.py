# SPDX-License-Identifier: MIT
"""A fleet behind a real router: listed, reached, and offered to clients of TCP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from reading import LONG_S

from serial_runtime.cli import main
from serial_runtime.connectors.wamp import login_of
from serial_runtime.connectors.wamp_client import leave, open_board
from serial_runtime.connectors.wamp_session import Login, Router, join, run
from serial_runtime.errors import LinkError
from serial_runtime.rpc.client import Client, connect
from serial_runtime.transport.uri import WampEndpoint, parse

Waiter = Callable[[Callable[[], object]], None]
BOARDS = 50


def test_fifty_boards(router, new_board, wait_for: Waiter, capsys) -> None:
    names = [f"sim{number:02}" for number in range(BOARDS)]
    boards = {name: new_board(name, router.secure, router.add(name)) for name in names}
    wait_for(lambda: all(board.is_connected() for board in boards.values()))
    router.add("desk")
    assert main(["fleet", f"{router.secure}#desk", "--json"]) == 0
    found = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(found) == names
    assert {(row["state"], row["ours"]) for row in found.values()} == {("Stopped", True)}
    place = boards["sim00"].listener.router

    def reach(name: str) -> str:
        with Client(lambda: open_board(place, login_of("desk"), name, 20.0)) as client:
            return client.plc_id()

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(reach, names)) == names


def test_the_table(router, new_board, wait_for: Waiter, capsys) -> None:
    router.add("desk")
    uri = f"{router.secure}#desk"
    assert main(["fleet", uri]) == 0
    assert capsys.readouterr().out == "no board is connected to this realm\n"
    board = new_board("only", router.secure, router.add("only"))
    wait_for(board.is_connected)
    assert main(["fleet", uri]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["BOARD", "STATE", "ROUND", "TRIP", "LOG"]
    name, state, _, unit, *log = row.split()
    assert (name, state, unit, log) == ("only", "Stopped", "ms", ["1", "warning"])


def test_each_board_has_a_port(router, new_board, wait_for: Waiter) -> None:
    """What an IDE connects to; a board that comes later has one too."""
    router.add("desk")
    boards = [new_board(name, router.secure, router.add(name)) for name in ("one", "two")]
    wait_for(lambda: all(board.is_connected() for board in boards))
    words = ["fleet", f"{router.secure}#desk", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        addresses = {}
        for line in process.stdout:
            if line == "READY\n":
                break
            name, *_, address = line.split()
            addresses[name] = address
        del addresses["BOARD"]
        assert set(addresses) == {"one", "two"}
        for name, address in addresses.items():
            with connect(address) as client:
                assert client.plc_id() == name
        boards.append(new_board("three", router.secure, router.add("three")))
        name, address = process.stdout.readline().split()
        assert name == "three"
        with connect(address) as client:
            assert client.plc_id() == "three"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_board_that_answers_in_another_form(router, new_board, wait_for: Waiter, capsys) -> None:
    """It is listed with the others."""
    router.add("desk")
    endpoint = parse(f"{router.secure}#odd")
    assert isinstance(endpoint, WampEndpoint)

    async def enter() -> Any:
        login = Login("odd", router.add("odd").encode())
        session = await join(Router.of(endpoint), login, LONG_S)
        await session.register(lambda: 3, "odd.GetPLCstatus")
        return session

    session = run(enter())
    board = new_board("good", router.secure, router.add("good"))
    wait_for(board.is_connected)
    assert main(["fleet", f"{router.secure}#desk", "--json"]) == 0
    found = {row["id"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert found == {"good": "Stopped", "odd": "answers in another form than a runtime"}
    run(leave(session))


def test_a_board_that_has_gone(router, new_board, wait_for: Waiter) -> None:
    router.add("desk")
    board = new_board("gone", router.secure, router.add("gone"))
    wait_for(board.is_connected)
    place = board.listener.router
    board.server.close()
    with pytest.raises(LinkError, match="no board of this ID is connected"):
        open_board(place, login_of("desk"), "gone", 20.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ERPC://host"], "is no realm"),
        (["WAMP://127.0.0.1:1#realm#desk"], "cannot connect: Connection refused"),
        (["WAMP://h#realm#desk", "--listen", "host:x"], "expected HOST:PORT"),
    ],
)
def test_what_cannot_be(words: list[str], says: str, capsys) -> None:
    assert main(["fleet", *words]) != 0
    assert says in capsys.readouterr().err
