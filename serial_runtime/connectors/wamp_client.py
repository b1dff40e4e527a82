# SPDX-License-Identifier: MIT
"""The client's end of a tunnel through a WAMP router, see `wamp_board`."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
from collections import deque
from typing import Any

from serial_runtime.connectors.tunnel import Tunnel
from serial_runtime.connectors.wamp_session import (
    ApplicationError,
    AsyncTunnel,
    Login,
    Router,
    Session,
    TransportLost,
    event_loop,
    join,
    refusal_of,
    run,
)
from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.interface import Transport

PREFIX = "serial_runtime."  # of the procedures of a tunnel, behind the board's ID
_UNACKNOWLEDGED = 4  # messages under way to the board
_LEAVE_S = 1.0
_STOCK_S = 60.0  # for a call of a stock board: it loads a program while its client waits
_NO_PROCEDURE = "wamp.error.no_such_procedure"
_tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references


@atexit.register
def _finish() -> None:
    """Let what was written last, and the goodbye, leave before the process ends."""

    async def finish() -> None:
        await asyncio.wait(_tasks, timeout=_LEAVE_S)

    if _tasks:
        run(finish())


def open_board(router: Router, login: Login, board: str, timeout_s: float) -> Transport:
    """Reach a board of a realm. Raises LinkError, LinkTimeout, ConfigError."""
    name = f"{router.url}#{router.realm}#{board}"
    session = run(join(router, login, timeout_s))

    def call(procedure: str, *arguments: Any) -> Any:
        return run(_call(session, name, f"{board}.{procedure}", arguments, timeout_s))

    try:
        try:
            channel = call(f"{PREFIX}open")
        except _NoProcedure:
            call("GetPLCstatus")  # or there is no board
            try:
                channel = call(f"{PREFIX}open")  # which it registers first, if it has just come
            except _NoProcedure:
                return _open_stock(session, name, board)
    except LinkError:
        run(leave(session))
        raise
    return run(_carry(session, name, f"{board}.{PREFIX}", channel))


class _NoProcedure(LinkClosed):
    """Nobody has registered it."""


async def _call(
    session: Session, name: str, procedure: str, arguments: tuple[Any, ...], timeout_s: float
) -> Any:
    try:
        async with asyncio.timeout(timeout_s):
            return await session.call(procedure, *arguments)
    except TimeoutError as error:
        raise LinkTimeout(f"{name}: the board does not answer within {timeout_s:g} s") from error
    except ApplicationError as error:
        if error.error == _NO_PROCEDURE:
            raise _NoProcedure(f"{name}: no board of this ID is connected to the realm") from error
        raise LinkError(f"{name}: {refusal_of(error)}") from error
    except TransportLost as error:
        raise LinkClosed(f"{name}: the connection to the router has ended") from error


def _open_stock(session: Session, name: str, board: str) -> Transport:
    from serial_runtime.connectors.wamp_stock import serve
    from serial_runtime.transport.loop import loop_pair

    def call(procedure: str, *arguments: Any) -> Any:
        return run(_call(session, name, f"{board}.{procedure}", arguments, _STOCK_S))

    near, far = loop_pair()
    near.kind, near.name = "wamp", name
    serve(far, call, lambda: run(leave(session)))
    return near


async def _carry(session: Session, name: str, prefix: str, channel: str) -> Tunnel:
    tunnel = Tunnel(name, "wamp")
    task = event_loop().create_task(_Carrier(session, prefix, channel, tunnel).run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return tunnel


async def leave(session: Session) -> None:
    """Leave the realm, if the router still answers."""
    if session.left.done():
        return
    with contextlib.suppress(Exception):
        session.leave()
        async with asyncio.timeout(_LEAVE_S):
            await session.left


def _heeded(answer: Any) -> Any:
    """Its exception is not one that nobody asked for."""
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
    return answer


class _Carrier:
    """Moves the bytes of one tunnel until one of the ends closes."""

    def __init__(self, session: Session, prefix: str, channel: str, tunnel: Tunnel) -> None:
        self._session = session
        self._prefix = prefix
        self._channel = channel
        self._tunnel = tunnel
        self._bytes = AsyncTunnel(tunnel)

    async def run(self) -> None:
        """Until the end."""
        tasks = [asyncio.ensure_future(one) for one in (self._up(), self._down(), self._lost())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tunnel.hang_up("the board answers in another form than a runtime")
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LEAVE_S):
                await self._call("close")
        await leave(self._session)

    def _call(self, name: str, *arguments: bytes) -> Any:
        return self._session.call(f"{self._prefix}{name}", self._channel, *arguments)

    async def _up(self) -> None:
        """From this end to the board, a few messages ahead of its acknowledgements."""
        sent: deque[Any] = deque()
        with contextlib.suppress(LinkClosed):  # this end has closed, and all is sent
            while True:
                data = await self._bytes.collect(None)
                try:
                    sent.append(_heeded(self._call("write", data)))
                    while len(sent) > _UNACKNOWLEDGED or (sent and sent[0].done()):
                        await sent.popleft()
                except (ApplicationError, TransportLost) as error:
                    self._tunnel.hang_up(str(refusal_of(error)))
        await asyncio.gather(*sent, return_exceptions=True)

    async def _down(self) -> None:
        with contextlib.suppress(LinkClosed):
            while True:
                try:
                    data = await self._call("read")
                except (ApplicationError, TransportLost) as error:
                    self._tunnel.hang_up(str(refusal_of(error)))
                    return
                if not isinstance(data, bytes):
                    raise ProtocolError("read: bytes are expected")
                if data:
                    await self._bytes.feed(data)

    async def _lost(self) -> None:
        reason = await asyncio.shield(self._session.left)
        self._tunnel.hang_up(f"the connection to the router has ended: {reason}")
