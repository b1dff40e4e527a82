# SPDX-License-Identifier: MIT
"""Every command of the command line, as a user types it, with a board at the end of a line.

What there is comes from the command line's own table: a command without a scenario fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from hil.boards.board import Board
from hil.scenarios.host import SOURCE, Host
from serial_runtime.cli import COMMANDS
from serial_runtime.rpc.client import Client

Scenario = Callable[[Board, Host], None]
ELSEWHERE = {
    "demo": "it lays a cable and a board of its own",
    "fleet": "it wants a WAMP router; tests/connectors has one",
}
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Of the command that it is named after. The board runs the program before and after it."""
    SCENARIOS[function.__name__.rstrip("_")] = function
    return function


@scenario
def serve(board: Board, host: Host) -> None:
    """The board serves; a second runtime would be in its way, and is told so."""
    words = f"serial-runtime serve --tcp 127.0.0.1:0 --dir {board.store}"
    out = board.shell(f"timeout 100 {words} 2>&1; echo rc $?", timeout_s=120)
    assert "rc 1" in out
    assert re.search(r"another runtime|in use", out), out


@scenario
def build(board: Board, host: Host) -> None:
    target = ["--target", board.target] if board.target else []
    out = host.ok("build", str(SOURCE), "-o", "again.so", *target)
    assert "again.so" in out


@scenario
def load(board: Board, host: Host) -> None:
    answer = host.json("load", str(host.folder / "image.so"), "--whole", "--start")
    assert answer["bytes"] == (host.folder / "image.so").stat().st_size
    assert (answer["started"], answer["stopped"]) == (True, True)


@scenario
def start(board: Board, host: Host) -> None:
    again = host.run("start")
    assert again.status == 1
    assert "runs" in again.err or "started" in again.err, again.err
    host.ok("stop")
    assert host.ok("start", "--cold") == "started\n"


@scenario
def stop(board: Board, host: Host) -> None:
    assert host.ok("stop") == "stopped\n"
    assert host.json("status")["state"] == "Stopped"
    host.ok("start")


@scenario
def retain(board: Board, host: Host) -> None:
    assert host.run("retain", "clear", "--yes").status == 1, "a program runs"
    host.ok("stop")
    values = {one["path"]: int(one["value"]) for one in host.json("retain")["values"]}
    assert values["HALF"] == 2 * values["COUNT"] > 0
    host.ok("retain", "clear", "--yes")
    assert host.json("retain")["values"] == []
    host.ok("start")


@scenario
def repair(board: Board, host: Host) -> None:
    assert host.run("repair").status == 2, "it asks, and nobody answers"
    host.ok("stop")
    host.ok("repair", "--yes")
    assert host.json("status")["state"] == "Empty"
    host.ok("load", str(host.folder / "image.so"), "--start")


@scenario
def status(board: Board, host: Host) -> None:
    answer = host.json("status")
    assert (answer["state"], answer["program"]["name"]) == ("Started", "SCENARIO")
    assert answer["supervision"]["guarded"]
    assert "SCENARIO" in host.ok("status")


@scenario
def watch(board: Board, host: Host) -> None:
    rows = host.ok("watch", "--json", "--count", "3", "--interval", "0.1").splitlines()
    values = [json.loads(row)["values"] for row in rows]
    assert all(one["HALF"] == 2 * one["COUNT"] for one in values), "of one cycle"
    assert values[0]["COUNT"] < values[2]["COUNT"]


@scenario
def force(board: Board, host: Host) -> None:
    host.ok("force", "speed=-7")
    assert host.json("status")["forced"] == ["SPEED"]
    assert json.loads(host.ok("watch", "SPEED", "--json", "--count", "1"))["values"] == {
        "SPEED": -7
    }
    assert host.run("force", "SPEED=70000").status == 1
    host.ok("unforce", "--all")


@scenario
def unforce(board: Board, host: Host) -> None:
    host.ok("force", "SPEED=1", "VERSION=9")
    assert host.ok("unforce", "version") == "released VERSION\n"
    assert host.json("unforce", "--all") == {"released": ["SPEED"]}


@scenario
def trace(board: Board, host: Host) -> None:
    answer = host.json("trace", "COUNT", "HALF", "-o", "t.csv", "--ticks", "50")
    rows = [row.split(",") for row in (host.folder / "t.csv").read_text().splitlines()]
    values = [(int(row[-2]), int(row[-1])) for row in rows if row[-1].isdigit()]
    assert 0 < len(values) == answer["ticks"] <= 50, "a slow board may skip some"
    assert all(half == 2 * count for count, half in values)
    words = ("trace", "FOLLOWER", "ALIVE", "-o", "-", "--trigger", "ALIVE = 1", "--captures", "1")
    assert len(host.ok(*words, "--post", "5").splitlines()) > 6


@scenario
def log(board: Board, host: Host) -> None:
    lines = [json.loads(row) for row in host.ok("log", "--json").splitlines()]
    assert any(one["text"] == "scenario: ready" for one in lines)


@scenario
def stats(board: Board, host: Host) -> None:
    assert host.json("stats")["ticks"] > 0
    assert "ticks of 10 ms" in host.ok("stats", "--histogram")


@scenario
def latency(board: Board, host: Host) -> None:
    """It measures; what it measures in an emulator or a simulator says nothing."""
    words = "--beside-runtime --duration 1 --load cpu --priority 0 --json"
    out = board.shell(f"serial-runtime latency {words} || test $? = 1", timeout_s=300)
    assert '"idle"' in out


@scenario
def io(board: Board, host: Host) -> None:
    answer = host.json("io")
    assert answer["drivers"]
    assert not [one for one in answer["drivers"] if one["state"]], "all do well"


@scenario
def link(board: Board, host: Host) -> None:
    rows = host.ok("link", "--json", "--count", "2", "--interval", "0.1").splitlines()
    assert len(rows) == 2
    assert ", data " in host.ok("link", "--lines", "--count", "2", "--load")


@scenario
def doctor(board: Board, host: Host) -> None:
    """At the host's end: the port is found, and nobody else has it."""
    found = {one["check"]: one for one in json.loads(host.run("doctor", "--json").out)}
    assert found["device"]["level"] == "ok"
    assert found["owner"]["level"] == "ok"
    out = board.shell("serial-runtime doctor --real-time --json || test $? = 1", timeout_s=120)
    assert '"kernel"' in out


@scenario
def profile(board: Board, host: Host) -> None:
    """The board's own is right; the ones that come with the runtime are there on the board."""
    assert "virt-arm64" in board.shell("serial-runtime profile list")
    words = board.shell(f"tr '\\0' '\\n' < /proc/{board.service.pid()}/cmdline").splitlines()
    path = words[words.index("--profile") + 1]
    board.shell(f"serial-runtime profile check {path}")
    found = board.shell(f"serial-runtime profile check {path} --here 2>&1 || test $? = 1")
    assert "priority" in found, found


@scenario
def line(board: Board, host: Host) -> None:
    with host.running("line", "--dir", "cable") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)][2] == "READY\n"


@scenario
def bridge(board: Board, host: Host) -> None:
    with host.running("bridge", "--listen", "127.0.0.1:0") as process:
        assert process.stdout is not None
        word, uri = process.stdout.readline().split()
        assert word == "READY"
        assert json.loads(host.ok("status", uri, "--json"))["state"] == "Started"
        assert host.run("pair", uri).status == 1, "a secret never goes through a bridge"


@scenario
def pair(board: Board, host: Host) -> None:
    assert host.ok("pair").startswith("paired with ")
    assert len(host.json("identity", "list")) == 1


@scenario
def identity(board: Board, host: Host) -> None:
    out = board.shell(f"serial-runtime identity show --dir {board.store}")
    assert host.json("status")["board"]["id"] in out


@scenario
def sign(board: Board, host: Host) -> None:
    """A board that takes any program takes a signed one."""
    host.ok("sign", "--new", "--hmac", "--key", "office.key")
    host.ok("sign", "--key", "office.key", "image.so")
    host.ok("load", "image.so", "--start")


@scenario
def audit(board: Board, host: Host) -> None:
    host.ok("force", "SPEED=1")
    host.ok("unforce", "SPEED")
    out = board.shell(f"serial-runtime audit --dir {board.store} --count 5")
    assert "ForceVariables" in out


@pytest.fixture(scope="module")
def loaded() -> dict[str, bytes]:
    """The image that the board runs since the first of these scenarios."""
    return {}


@pytest.fixture
def operated(
    loaded: dict[str, bytes], request: pytest.FixtureRequest, host: Host
) -> Iterator[Host]:
    """A host whose board runs the program; nobody else has the line."""
    if not loaded:
        running: Client = request.getfixturevalue("running")
        running.close()
        loaded["image"] = request.getfixturevalue("program")(SOURCE)
    (host.folder / "image.so").write_bytes(loaded["image"])
    try:
        yield host
    except BaseException:
        loaded.clear()
        raise


@pytest.mark.requirement("REQ-CMD")
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ELSEWHERE])
def test_command(command: str, board: Board, operated: Host) -> None:
    assert command in SCENARIOS, f"`serial-runtime {command}` has no scenario: write one here"
    SCENARIOS[command](board, operated)


def test_no_scenario_is_of_a_command_that_is_gone() -> None:
    assert set(SCENARIOS) <= set(COMMANDS)
    assert not set(SCENARIOS) & set(ELSEWHERE)
