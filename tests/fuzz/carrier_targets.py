# SPDX-License-Identifier: MIT
"""What reaches a board and its clients through calls of somebody else's: native forms, tunnels."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from autobahn.wamp.exception import ApplicationError
from fuzz.link_targets import STATUS
from fuzz.peer_targets import Answers, ScriptedClient
from fuzz.script import Script
from fuzz.service_targets import BOOT, SESSION, board, link_to, run_cycles

from serial_runtime.connectors import tunnel as tunnel_module
from serial_runtime.connectors import wamp_board, wamp_stock
from serial_runtime.connectors import wamp_client as wamp_client_module
from serial_runtime.connectors.ide_procedures import PROCEDURES, call_natively
from serial_runtime.connectors.relay import Relay
from serial_runtime.connectors.tunnel import Tunnel
from serial_runtime.connectors.wamp_board import WampListener
from serial_runtime.connectors.wamp_fleet import Fleet
from serial_runtime.connectors.wamp_session import (
    Login,
    Router,
    TransportLost,
    event_loop,
    run,
)
from serial_runtime.errors import LinkClosed, LinkTimeout, SerialRuntimeError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.envelope import Envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.refusal import decode_refusal
from serial_runtime.rpc.calls import Calls

_ROUTER = Router(False, "router", 8080, "/ws", "realm")
_LONG_S = 60.0
_DAMAGED = (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException)


def plain(data: bytes) -> Any:
    """A value as it comes out of a message; bytes that are none stand for themselves."""
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except _DAMAGED:
        return data


class _Served(Answers):
    """Stands for a Link: the board's half executes each call at once."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(Script(b""), True)
        self._calls = calls

    def submit(self, service: int, method: int, arguments: bytes, **how: bool) -> Any:
        return Envelope(envelope.CALL, 1, SESSION, BOOT, service, method, 0, arguments)

    def wait(self, request: Any) -> bytes:
        status, payload = self._calls.execute(request)
        if status & envelope.STATUS == envelope.DONE:
            return payload
        raise decode_refusal(payload)


def ide_procedures(data: bytes) -> None:
    """Arguments of the procedures; ``"last"`` among them stands for the last result."""
    script = Script(data)
    notes: list[str] = []
    with board() as scene:
        calls = link_to(scene.plc, True)[0]._calls
        client = ScriptedClient(_Served(calls))
        last: Any = None
        while script and not calls.restarts:
            op = script.number()
            if op == 255:
                run_cycles(scene, script.number())
                continue
            arguments = plain(script.piece())
            if not isinstance(arguments, list):
                arguments = [arguments]
            arguments = [last if one == "last" else one for one in arguments]
            name = PROCEDURES[op % len(PROCEDURES)]
            with contextlib.suppress(SerialRuntimeError):
                last = call_natively(client, name, tuple(arguments), notes.append)
                msgpack.packb(last)
        state, counts = call_natively(client, "GetPLCstatus", (), notes.append)
        assert isinstance(state, str)
        assert len(counts) == 4


def tunnel(data: bytes) -> None:
    """Both sides of a tunnel: bytes come out as they went in, and the queues are bounded."""
    script, one = Script(data), Tunnel("fuzz", "pyro")
    most = 64
    sent: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}  # by who reads it
    with pytest.MonkeyPatch.context() as change:
        change.setattr(tunnel_module, "_QUEUE_BYTES", most)
        change.setattr(tunnel_module, "_WRITE_S", 0.0)
        change.setattr(tunnel_module, "MESSAGE_BYTES", 16)
        while script:
            op, over = script.number() % 8, one.is_over
            try:
                if op == 0:
                    piece = script.piece()
                    if one.feed(piece):
                        sent[True] += piece
                elif op == 1:
                    got = one.read(0.0)
                    assert sent[True].startswith(got)
                    del sent[True][: len(got)]
                elif op == 2:
                    piece, room = script.piece(), most - len(one._output)
                    sent[False] += piece[:room]
                    one.write(piece)
                    assert len(piece) <= room
                elif op == 3:
                    got = one.collect()
                    assert len(got) <= 16
                    assert sent[False].startswith(got)
                    del sent[False][: len(got)]
                elif op == 4:
                    one.close()
                elif op == 5:
                    one.hang_up()
                else:
                    one.interrupt()
            except LinkClosed:
                assert one._closed or one._ended
                sent[False] = one._output[:]
            except SerialRuntimeError:
                assert op in (0, 2)
            assert not over or one.is_over
            assert len(one._input) <= most + 16
            assert len(one._output) <= most
        one.hang_up()
        with pytest.raises(LinkClosed):
            one.collect()
        with pytest.raises(LinkClosed):
            one.write(b"x")


class _Pieces:
    """A transport whose other end is a script; what it is given is in `taken`."""

    name, kind, identity = "script", "tcp", ""
    reliable, line_rate_Bps, turnaround_s = True, None, None

    def __init__(self, pieces: list[bytes], takes: int) -> None:
        self._pieces = deque(pieces)
        self._takes = takes
        self.taken = b""
        self.closed = False

    def read(self, timeout_s: float | None) -> bytes:
        if not self._pieces:
            raise LinkClosed("the script is over")
        return self._pieces.popleft()

    def write(self, data: bytes) -> None:
        if len(self.taken) + len(data) > self._takes:
            raise LinkTimeout("it takes no more")
        self.taken += data

    def interrupt(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        self.closed = True


def relay(data: bytes) -> None:
    """A peer and a board, either of which may end: bytes pass in order, and both are closed."""
    script = Script(data)
    takes = script.number(), script.number()
    pieces: list[list[bytes]] = [[], []]
    while script:
        pieces[script.number() & 1].append(script.piece())
    ends = [_Pieces(mine, most) for mine, most in zip(pieces, takes, strict=True)]
    nobody = SimpleNamespace(name="nobody", accept=_nobody, close=lambda: None)
    joining = Relay(nobody, lambda: ends[1], lambda text: None)  # type: ignore[arg-type]
    joining._join(ends[0])
    for end, other in (ends, ends[::-1]):
        assert end.closed
        assert b"".join(pieces[ends.index(other)]).startswith(end.taken)
    assert not joining._transports


def _nobody(timeout_s: float | None) -> Any:
    raise LinkClosed("nobody comes")


def wamp_procedures(data: bytes) -> None:
    """The procedures of tunnels: who has a channel gets back what the board says in it."""
    script = Script(data)
    listener = WampListener("uri", _ROUTER, "board", bytes)
    details = SimpleNamespace(caller=1, caller_authid=None, caller_authrole="anonymous")
    with pytest.MonkeyPatch.context() as change:
        change.setattr(wamp_board, "POLL_S", 0.0)
        numbers = iter(range(1000))
        change.setattr(
            tunnel_module, "secrets", SimpleNamespace(token_hex=lambda size: f"{next(numbers)}")
        )
        run(_tunnelled(script, listener, details))
    listener._tunnels.close()
    listener._native.shutdown()


async def _tunnelled(script: Script, listener: WampListener, details: Any) -> None:
    said: dict[str, bytes] = {}
    board_ends: dict[str, Any] = {}
    while script:
        op = script.number() % 5
        channel = plain(script.piece())
        try:
            if op == 0:
                opened = await listener._open(details)
                said[opened], board_ends[opened] = b"", listener._tunnels.tunnel(opened)
                listener._tunnels.lead(board_ends[opened])
            elif op == 1:
                got = await listener._read(channel, details)
                assert said[channel].startswith(got)
                said[channel] = said[channel][len(got) :]
            elif op == 2:
                written = plain(script.piece())
                await listener._write(channel, written, details)
                assert isinstance(written, bytes)
                assert board_ends[channel].read(0.0) == written
            elif op == 3:
                await listener._close(channel, details)
            elif isinstance(channel, str) and channel in said:
                piece = script.piece()
                with contextlib.suppress(LinkClosed):
                    board_ends[channel].write(piece)
                    said[channel] += piece
        except ApplicationError:
            pass
        assert len(listener._channels) <= len(said)
        await asyncio.sleep(0)


def wamp_stock_board(data: bytes) -> None:
    """What a stock board answers its client through a router, in whatever form."""
    script = Script(data)
    requests = _Pieces([STATUS, *(_request(script) for _ in range(8))], 1 << 20)

    def call(name: str, *arguments: Any) -> Any:
        if not script:
            raise LinkClosed("the script is over")
        return plain(script.piece())

    service = wamp_stock.BeremizPLCObjectServiceService(wamp_stock.StockBoard(call))
    with contextlib.suppress(SerialRuntimeError):
        wamp_stock._serve(requests, service)  # type: ignore[arg-type]
    for frame in FrameDecoder(65535, 0.1, resync=False).feed(requests.taken, 0.0):
        assert frame.body[0] == 2


def _request(script: Script) -> bytes:
    """A call as our client makes it; its arguments are any."""
    return encode_frame(bytes([0, script.number() % 16, 1, 1]) + bytes(4) + script.piece())


class _Router:
    """A session at a router that answers by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.left = SimpleNamespace(done=lambda: False)

    async def call(self, procedure: str, *arguments: Any) -> Any:
        answer = plain(self._script.piece())
        if answer == "refuse":
            raise ApplicationError("wamp.error.runtime_error", plain(self._script.piece()))
        return answer


def wamp_fleet(data: bytes) -> None:
    """What a router tells of its boards, and they of themselves: a list, or an error of ours."""
    script = Script(data)
    fleet = Fleet(_ROUTER, Login())
    fleet._session = _Router(script)  # type: ignore[assignment]
    while script:
        with contextlib.suppress(SerialRuntimeError):
            for member in fleet.members():
                assert isinstance(member.state, str)
                assert all(isinstance(count, int) for count in member.log)


class _BoardAtRouter:
    """A session whose calls are answered by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.left = event_loop().create_future()

    def call(self, procedure: str, *arguments: Any) -> Any:
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> Any:
        if not self._script:
            raise TransportLost()
        size = self._script.number()
        return bytes(size << 10) if size & 1 else plain(self._script.piece())

    def leave(self) -> None:
        if not self.left.done():
            self.left.set_result("it left")


def wamp_client(data: bytes) -> None:
    """What a board answers the carrier of a tunnel: the client's reads come to an end."""

    async def carry() -> Tunnel:
        session: Any = _BoardAtRouter(Script(data))
        return await wamp_client_module._carry(session, "fuzz", "board.", "channel")

    carried = run(carry())
    with contextlib.suppress(SerialRuntimeError):
        carried.write(b"x")
        while carried.read(_LONG_S):
            pass
        raise AssertionError("the client waits for ever")
    carried.close()
