# SPDX-License-Identifier: MIT
"""The board at a WAMP router: it joins a realm and registers its procedures there.

``ID.StartPLC`` and so on are those of the IDE (`ide_procedures`). Four more carry the tunnels of
our own client, which is then an eRPC client like on any other link:

=============================  ===============================================================
``ID.serial_runtime.open``     a new channel; returns its name
``ID.serial_runtime.read``     (channel): bytes for the client as soon as there are any, else
                               none after POLL_S
``ID.serial_runtime.write``    (channel, bytes): returns when there was room for them
``ID.serial_runtime.close``    (channel)
=============================  ===============================================================

Nothing that the router does disturbs the runtime: while it is away, wrong, or refuses, the board
asks again, after 1 s and then ever more seldom. Who calls is what the router says of it: the
authenticated ID, nobody for the role ``anonymous`` and where the caller is not disclosed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from autobahn.wamp.types import CallDetails, RegisterOptions

from serial_runtime.connectors.ide_procedures import PROCEDURES, call_natively
from serial_runtime.connectors.tunnel import MESSAGE_BYTES, POLL_S, TunnelListener
from serial_runtime.connectors.wamp_client import PREFIX, leave
from serial_runtime.connectors.wamp_session import (
    ApplicationError,
    AsyncTunnel,
    Login,
    Router,
    Session,
    TransportLost,
    event_loop,
    join,
    run,
)
from serial_runtime.errors import LinkClosed, LinkError, ProtocolError, SerialRuntimeError
from serial_runtime.rpc.client import Client
from serial_runtime.transport.interface import Transport

_JOIN_S = 15.0
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0
_STEADY_S = 60.0  # connected for so long, the next failure is a new one
_FLUSH_S = 1.0  # for answers under way when the runtime ends
_NATIVE_CLIENTS = 16  # callers of the IDE's procedures that are told apart at a time
_NATIVE_THREADS = 4
_NATIVE_CALLS = 64  # that execute or wait; an IDE has one
_ANONYMOUS = ("", "anonymous")  # roles that prove nothing
_WARNING, _INFO = 1, 2  # log levels

_REFUSED = "serial_runtime.error.refused"
_CLOSED = "serial_runtime.error.closed"
_INVALID = "wamp.error.invalid_argument"
_DENIED = "wamp.error.not_authorized"
_TAKEN = "wamp.error.procedure_already_exists"


class WampListener:
    """Keeps the board at the router; a Listener for the server. Any thread."""

    def __init__(self, uri: str, router: Router, board: str, secret: Callable[[], bytes]) -> None:
        """`uri`: under which clients reach it. `secret` is asked before each attempt to join."""
        self.uri = uri
        self.name = f"{router.url} realm {router.realm} as {board}"
        self.state = "not connected yet"
        """For people."""
        self.router = router
        self._board = board
        self._secret = secret
        self._tunnels = TunnelListener(self.name, "wamp")
        self._channels: dict[str, AsyncTunnel] = {}
        # Of the IDE's procedures, by session and ID of the caller, the one used last at the end.
        self._clients: dict[tuple[int, str], Client] = {}
        self._clients_lock = threading.Lock()
        self._native = ThreadPoolExecutor(_NATIVE_THREADS, "wamp-call")
        self._calls = 0  # of the IDE's procedures under way
        self._log: Callable[[int, str], object] = lambda level, text: None
        self._session: Session | None = None
        self._task: asyncio.Future[None] | None = None

    def start(self, log: Callable[[int, str], object]) -> None:
        """Join, and stay until `close`. `log` takes a level and a text, on any thread."""
        self._log = log

        async def start() -> None:
            self._task = asyncio.ensure_future(self._stay())

        run(start())

    def accept(self, timeout_s: float | None) -> Transport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        return self._tunnels.accept(timeout_s)

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        run(self._leave())
        self._close_clients()
        self._native.shutdown(wait=False)

    # What follows is the thread of the sessions'.

    async def _stay(self) -> None:
        retry_s, told = _FIRST_RETRY_S, ""
        loop = event_loop()
        while True:
            joined_s = loop.time()
            try:
                self._session = session = await join(self.router, self._login, _JOIN_S)
                await self._register(session)
                role = session.authrole or ""
                self.state = "connected, " + (
                    "anonymously" if role in _ANONYMOUS else f"in the role {role}"
                )
                self._log(_INFO, f"WAMP: {self.state}: {self.name}")
                told = ""
                reason = f"the connection has ended: {await asyncio.shield(session.left)}"
            except SerialRuntimeError as error:
                reason = str(error)
            except Exception as error:  # whatever the library makes of a strange router
                reason = f"{type(error).__name__}: {error}"
            if self._session is not None:
                await leave(self._session)
            self._session = None
            self._tunnels.hang_up(reason)
            self._channels.clear()
            self.state = f"not connected: {reason}"
            if reason != told:
                told = reason
                self._log(_WARNING, f"WAMP: {reason}; trying again")
            if loop.time() - joined_s > _STEADY_S:
                retry_s = _FIRST_RETRY_S
            # Boards that lost the same router do not come back all at once.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    @property
    def _login(self) -> Login:
        return Login(self._board, self._secret())

    async def _register(self, session: Session) -> None:
        tunnel: dict[str, Callable[..., Any]] = {
            PREFIX + "open": self._open,
            PREFIX + "read": self._read,
            PREFIX + "write": self._write,
            PREFIX + "close": self._close,
        }
        native = {name: self._native_procedure(name) for name in PROCEDURES}
        options = RegisterOptions(match="exact", invoke="single", details_arg="details")
        try:
            async with asyncio.timeout(_JOIN_S):
                # In this order: a board that has the second alone is taken for a stock one.
                for procedures in (tunnel, native):
                    await asyncio.gather(
                        *(
                            session.register(procedure, f"{self._board}.{name}", options)
                            for name, procedure in procedures.items()
                        )
                    )
        except TimeoutError as error:
            raise LinkError(f"{self.name}: the router does not answer") from error
        except TransportLost as error:
            raise LinkError(f"{self.name}: the connection was lost") from error
        except ApplicationError as error:
            if error.error == _TAKEN:
                raise LinkError(
                    f"{self.name}: another board with the ID {self._board} is connected; give one "
                    "of them another ID"
                ) from error
            text = error.args[0] if error.args else error.error
            if error.error == _DENIED:  # that text names the session, another one each time
                text = f"the role {session.authrole} is not authorized to"
            raise LinkError(f"{self.name}: the router does not let it register: {text}") from error

    async def _leave(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                while self._calls or any(one.tunnel.has_output for one in self._channels.values()):
                    await asyncio.sleep(0.01)
        self._tunnels.close()
        await asyncio.sleep(0.01)  # the library sends a result some turns after it was returned
        if self._task is not None:
            self._task.cancel()
        if self._session is not None:
            await leave(self._session)
            self._session = None

    # The procedures of a tunnel.

    async def _open(self, details: CallDetails) -> str:
        try:
            channel, tunnel = self._tunnels.open(f"session {details.caller or '?'}", _who(details))
        except LinkError as error:
            raise ApplicationError(_REFUSED, str(error)) from error
        self._channels[channel] = AsyncTunnel(tunnel)
        return channel

    async def _read(self, channel: Any, details: CallDetails) -> bytes:
        found = self._channel(channel)
        try:
            return await found.collect(POLL_S)
        except (LinkClosed, ProtocolError) as error:
            found.tunnel.hang_up(str(error))
            self._channels.pop(channel, None)
            raise ApplicationError(_CLOSED, str(error)) from error
        except asyncio.CancelledError:  # by the router, for the client is gone
            found.tunnel.hang_up()
            self._channels.pop(channel, None)
            raise

    async def _write(self, channel: Any, data: Any, details: CallDetails) -> None:
        found = self._channel(channel)
        if not isinstance(data, bytes) or len(data) > MESSAGE_BYTES:
            raise ApplicationError(_INVALID, f"write: at most {MESSAGE_BYTES} bytes are expected")
        try:
            await found.feed(data)
        except (LinkClosed, ProtocolError) as error:
            found.tunnel.hang_up(str(error))
            raise ApplicationError(_CLOSED, str(error)) from error

    async def _close(self, channel: Any, details: CallDetails) -> None:
        found = self._channels.pop(channel, None) if isinstance(channel, str) else None
        if found is not None:
            found.tunnel.hang_up()

    def _channel(self, channel: Any) -> AsyncTunnel:
        found = self._channels.get(channel) if isinstance(channel, str) else None
        if found is None:
            raise ApplicationError(_CLOSED, "the channel is closed")
        return found

    # The procedures of the IDE.

    def _native_procedure(self, name: str) -> Callable[..., Any]:
        async def procedure(*arguments: Any, details: CallDetails) -> Any:
            # What waits here would otherwise grow with whatever somebody sends.
            if self._calls >= _NATIVE_CALLS:
                raise ApplicationError(_REFUSED, f"{_NATIVE_CALLS} calls are waiting already")
            if _weight(arguments) > MESSAGE_BYTES:
                raise ApplicationError(_INVALID, f"{name}: more than {MESSAGE_BYTES} bytes")
            self._calls += 1
            try:
                return await event_loop().run_in_executor(
                    self._native, self._call, details.caller or 0, _who(details), name, arguments
                )
            except ProtocolError as error:
                raise ApplicationError(_INVALID, str(error)) from error
            except SerialRuntimeError as error:
                raise ApplicationError(_REFUSED, str(error)) from error
            finally:
                self._calls -= 1

        return procedure

    # What follows runs on threads of its own, for calls wait.

    def _call(self, session: int, caller: str, name: str, arguments: tuple[Any, ...]) -> Any:
        client = self._client(session, caller)
        return call_natively(client, name, arguments, partial(self._log, _WARNING))

    def _client(self, session: int, caller: str) -> Client:
        """For one session of a caller: IDEs are all nobody, and each has its own uploads."""
        with self._clients_lock:
            client = self._clients.pop((session, caller), None)
            if client is None:
                while len(self._clients) >= _NATIVE_CLIENTS:
                    self._clients.pop(next(iter(self._clients))).close()
                client = Client(lambda: self._tunnels.link(caller or "somebody", caller))
            self._clients[session, caller] = client
            return client

    def _close_clients(self) -> None:
        with self._clients_lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()


def _weight(arguments: tuple[Any, ...]) -> int:
    """About the bytes that arguments take on the wire."""
    weight, rest = 0, list(arguments)
    while rest:
        value = rest.pop()
        weight += len(value) if isinstance(value, str | bytes) else 1
        if isinstance(value, dict):
            rest += value.items()
        elif isinstance(value, list | tuple):
            rest += value
    return weight


def _who(details: CallDetails) -> str:
    """The ID that the caller has proven to the router, "" if none."""
    return details.caller_authid or "" if (details.caller_authrole or "") not in _ANONYMOUS else ""
