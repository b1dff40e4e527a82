# SPDX-License-Identifier: MIT
"""What a peer answers, a board of ours or another: to a client, and to a bridge before it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_type_hints

from fuzz.script import Script
from fuzz.service_targets import bugs_raise, execute, link_to

from serial_runtime.bridge.remote_plc import RemotePLC
from serial_runtime.bridge.seat import Seat
from serial_runtime.errors import LinkClosed, SerialRuntimeError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.refusal import decode_refusal
from serial_runtime.rpc import stub_api
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.stub_manager import StubManager
from serial_runtime.rpc.variable_table import NO_TABLE

FIRST_TOKEN = 7
REFUSED = b"\xff\xff\xff\xfe"  # before a refusal among the answers


class Answers:
    """Stands for a Link: what it is asked is answered by the pieces of a script."""

    boot, chunk, transport = 1, 4096, SimpleNamespace(line_rate_Bps=None)

    def __init__(self, script: Script, ours: bool) -> None:
        self.ours = ours
        self._script = script
        window, size = script.number() % 32 + 1, 256 + script.number(2)
        self.session = SimpleNamespace(hello=envelope.Hello(1, window, 16384, size))

    def call(self, service: int, method: int, arguments: bytes = b"") -> bytes:
        return self.wait(self.submit(service, method, arguments))

    def submit(self, service: int, method: int, arguments: bytes, **how: bool) -> Any:
        return SimpleNamespace(arguments=arguments, transmissions=1)

    def wait(self, request: Any) -> bytes:
        if not self._script:
            raise LinkClosed("the script is over")
        answer = self._script.piece()
        if answer.startswith(REFUSED):
            raise decode_refusal(answer[len(REFUSED) :])
        return answer

    def drop(self, requests: list[Any]) -> None:
        """Nothing is under way."""


class ScriptedClient(Client):
    """A client whose link is a script."""

    def __init__(self, link: Answers) -> None:
        manager = StubManager(link)  # type: ignore[arg-type]
        self.link = link  # type: ignore[assignment]
        self._ide = BeremizPLCObjectServiceClient(manager)
        self._board = BoardServiceClient(manager)
        self._table = NO_TABLE

    def close(self) -> None:
        """Nothing is open."""


def _methods(stub: type) -> list[str]:
    return [name for name in sorted(vars(stub)) if name[0].isupper()]


def _argument(kind: Any) -> Any:
    """Something a stub takes."""
    return [] if str(kind).startswith("list[") else kind()


STUBS = [
    (stub, name)
    for stub in (BeremizPLCObjectServiceClient, BoardServiceClient)
    for name in _methods(stub)
]


def replies(data: bytes) -> None:
    """Outputs of every method, as the stubs take them."""
    script = Script(data)
    stub, name = STUBS[script.number() % len(STUBS)]
    link = Answers(script, True)
    method = getattr(stub(StubManager(link)), name)  # type: ignore[arg-type]
    package = stub.__module__.rpartition(".")[0]
    names = {**vars(stub_api), "common": import_module(f"{package}.common")}
    hints = get_type_hints(getattr(stub, name), globalns=names)
    hints.pop("return")
    with contextlib.suppress(SerialRuntimeError):
        method(*map(_argument, hints.values()))


def _trace(client: Client) -> None:
    with client.trace(["A", "B"], poll_s=0.0) as trace:
        for _ in range(20):
            trace.poll()


USES: list[Callable[[Client], object]] = [
    lambda client: Status(client.status().status),
    Client.plc_id, Client.variables, Client.forced, Client.log, Client.start,
    Client.stop, Client.repair, Client.reset_log, Client.statistics, _trace,
    lambda client: client.match_md5("0" * 32),
    lambda client: client.read(["A"]),
    lambda client: client.force({"A": b"\1"}),
    lambda client: client.download(b"\x7fELF" + bytes(range(200)) * 3, extra_files=[("e", b"")]),
    lambda client: client.download(b"", whole=True),
    lambda client: Status(client.board_status().plc),
    lambda client: client.task_figures(bins=True),
    lambda client: client.maximum(1),
]  # fmt: skip


def client(data: bytes) -> None:
    """What a peer answers to the calls of `Client`: it ends, with an error of ours if with any."""
    script = Script(data)
    ours = script.number() != 1
    user = ScriptedClient(Answers(script, ours))
    while script:
        with contextlib.suppress(SerialRuntimeError):
            USES[script.number() % len(USES)](user)


def bridge(data: bytes) -> None:
    """What clients of a bridge call, and what the board behind it answers."""
    script = Script(data)
    ours = script.number() != 1
    plc = RemotePLC(lambda: ScriptedClient(Answers(script, ours)), lambda text: None)
    plc.traces._next_token = FIRST_TOKEN
    seats = [Seat(plc, "one"), Seat(plc, "other")]

    def meanwhile(what: int) -> None:
        with contextlib.suppress(SerialRuntimeError):
            plc.traces._turn() if what else plc.mirror.poll()

    clients = [link_to(seat, True)[0]._calls for seat in seats]
    try:
        with bugs_raise():
            meanwhile(0)
            execute(clients, script, meanwhile)
            for seat in seats:
                seat.close()
    finally:
        plc.close()
