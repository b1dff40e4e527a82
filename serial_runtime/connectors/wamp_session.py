# SPDX-License-Identifier: MIT
"""Sessions at a WAMP router, for both ends. Needs autobahn; import it only when WAMP is used.

All sessions of a process share one thread, `wamp`, that runs an event loop: the library keeps the
loop it uses in a global. Coroutines here belong to that thread; `run` calls one from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import threading
import traceback
from collections.abc import Coroutine, Iterator
from functools import cache
from typing import Any, TypeVar

import txaio
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory, WampWebSocketClientProtocol
from autobahn.wamp import auth
from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.serializer import MsgPackSerializer
from autobahn.wamp.types import CloseDetails, ComponentConfig, SessionDetails

from serial_runtime.connectors.tunnel import Tunnel
from serial_runtime.errors import ConfigError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.uri import WampEndpoint

__all__ = ["ApplicationError", "AsyncTunnel", "Login", "Router", "Session", "TransportLost"]

T = TypeVar("T")

# What it would print of routers that do not say goodbye is told by our own errors.
for _name in ("autobahn", __name__):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_LONGEST_MESSAGE = 1 << 22  # bytes
_MOST_WAITING = 16  # calls of one tunnel at a time; our client has six
_PING_S = 10.0  # a router is asked for a sign of life so often, and given half of it to answer


class Router(NamedTuple):
    """Where a realm is."""

    secure: bool
    host: str
    port: int
    path: str
    realm: str
    ca: str = ""  # file of the authorities to trust, "": the system's, or $SSL_CERT_FILE

    @classmethod
    def of(cls, endpoint: WampEndpoint, ca: str = "") -> Router:
        """That of a URI."""
        secure, host, port, path, realm, _ = endpoint
        return cls(secure, host, port, path, realm, ca)

    @property
    def url(self) -> str:
        """Of the WebSocket."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.secure else 'ws'}://{host}:{self.port}{self.path}"


class Login(NamedTuple):
    """Who joins. Without a secret only anonymously; with one if the router wants it."""

    identity: str = ""
    secret: bytes = b""


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The one all sessions of this process live in."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_report)
    txaio.config.loop = loop

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    threading.Thread(target=run, name="wamp", daemon=True).start()
    return loop


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Pass over one error: the library fails to answer a call whose session has ended."""
    error = context.get("exception")
    if error is not None:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith("autobahn."):
            return
    loop.default_exception_handler(context)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the thread of the sessions and wait for its result."""
    return asyncio.run_coroutine_threadsafe(work, event_loop()).result()


class _Protocol(WampWebSocketClientProtocol):  # type: ignore[misc]
    """Tells the session why the connection closed, and has the router's messages come at once."""

    def data_received(self, data: bytes) -> None:
        # crossbar 26 leaves Nagle's algorithm on (its library sets TCP_NODELAY from an attribute
        # that is not there yet): the second of two short messages would wait for a delayed
        # acknowledgement, 40 ms. The kernel forgets this option, so it is set each time.
        self.transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1
        )
        super().data_received(data)

    def onClose(self, wasClean: bool, code: int, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        self.factory.session.is_over(reason or "the connection was lost", refused=False)


class Session(ApplicationSession):  # type: ignore[misc]
    """A client's session; `join` makes it."""

    def __init__(self, realm: str, login: Login) -> None:
        super().__init__(ComponentConfig(realm=realm))
        loop = event_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        self.left: asyncio.Future[str] = loop.create_future()
        """Why it has ended, in words."""
        self._wanted = realm
        self._login = login

    def onConnect(self) -> None:
        methods = ["wampcra", "anonymous"] if self._login.secret else ["anonymous"]
        self.join(self._wanted, methods, self._login.identity or None)

    def onChallenge(self, challenge: Any) -> str:
        extra = challenge.extra
        key: bytes = self._login.secret
        if "salt" in extra:
            key = auth.derive_key(key, extra["salt"], extra["iterations"], extra["keylen"])
        signature: bytes = auth.compute_wcs(key, extra["challenge"].encode())
        return signature.decode()

    def onJoin(self, details: SessionDetails) -> None:
        if not self.joined.done():
            self.joined.set_result(None)

    def onLeave(self, details: CloseDetails) -> None:
        text = details.message or ""
        self.is_over(f"{text} ({details.reason})" if text else str(details.reason))
        self._errback_outstanding_requests(ApplicationError(details.reason, text))
        if self._transport:
            self.disconnect()

    def onUserError(self, fail: Any, msg: str) -> None:
        """An exception of a procedure: its caller is told, and nobody else."""

    def is_over(self, reason: str, *, refused: bool = True) -> None:
        """It has ended, or never began: `refused` by the router, or else the connection failed."""
        if not self.left.done():
            self.left.set_result(reason)
        if not self.joined.done():
            self.joined.set_exception((LinkError if refused else LinkClosed)(reason))
            self.joined.exception()  # it is not lost if nobody waits any more


async def join(router: Router, login: Login, timeout_s: float) -> Session:
    """Join the realm. Raises LinkTimeout, LinkError, ConfigError for the file of authorities."""
    session = Session(router.realm, login)
    factory = WampWebSocketClientFactory(
        lambda: session, url=router.url, serializers=[MsgPackSerializer()], loop=event_loop()
    )
    factory.protocol = _Protocol
    factory.session = session
    factory.setProtocolOptions(
        maxMessagePayloadSize=_LONGEST_MESSAGE,
        maxFramePayloadSize=_LONGEST_MESSAGE,
        autoPingInterval=_PING_S,
        autoPingTimeout=_PING_S / 2,
        openHandshakeTimeout=timeout_s,
        closeHandshakeTimeout=1,
    )
    where = f"{router.url} realm {router.realm}"
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await event_loop().create_connection(
                factory, router.host, router.port, ssl=_context(router) if router.secure else None
            )
            try:
                await session.joined
            except BaseException:
                transport.abort()
                raise
    except TimeoutError as error:
        text = f"{where}: the router does not answer within {timeout_s:g} s"
        raise LinkTimeout(text) from error
    except ssl.SSLCertVerificationError as error:
        raise LinkError(
            f"{where}: the router's certificate is not trusted: {error.verify_message}; the file "
            "with the certificate of its authority is named by SSL_CERT_FILE, on a board by the "
            "profile's wamp.ca"
        ) from error
    except ssl.SSLError as error:
        raise LinkError(f"{where}: no TLS with that address: {error.reason or error}") from error
    except OSError as error:
        # Its text is the loop's own, with the address once more.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise LinkError(f"{where}: cannot connect: {reason}") from error
    except LinkClosed as error:
        raise LinkError(f"{where}: no WAMP session is opened there: {error}") from error
    except LinkError as error:
        who = login.identity if login.secret else "a client without a secret for its ID"
        raise LinkError(f"{where}: the router refuses {who}: {error}") from error
    return session


def _context(router: Router) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=router.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{router.ca}: no file of certificates: {error}") from error


class AsyncTunnel:
    """A tunnel as coroutines see it: they wait without a thread, and not too many of them."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        self._changed = asyncio.Event()
        self._feeding = asyncio.Lock()  # keeps the order of those that wait
        self._waiting = 0
        loop = event_loop()
        tunnel.on_change = lambda: loop.call_soon_threadsafe(self._changed.set)

    async def feed(self, data: bytes) -> None:
        """As `Tunnel.feed`, waiting for room. ProtocolError: too many wait already."""
        with self._place():
            async with self._feeding:
                await self._feed(data)

    async def collect(self, timeout_s: float | None) -> bytes:
        """As `Tunnel.collect`. ProtocolError: too many wait already."""
        with self._place():
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._collect()
            except TimeoutError:
                return b""

    async def _feed(self, data: bytes) -> None:
        while True:
            self._changed.clear()
            if self.tunnel.feed(data):
                return
            await self._changed.wait()

    async def _collect(self) -> bytes:
        while True:
            self._changed.clear()
            if data := self.tunnel.collect():
                return data
            await self._changed.wait()

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._waiting >= _MOST_WAITING:
            raise ProtocolError(f"{_MOST_WAITING} calls at a time: no more are allowed")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


def refusal_of(error: Exception) -> LinkClosed:
    """What a failed call through the router means for a tunnel."""
    if isinstance(error, ApplicationError):
        text = error.args[0] if error.args else ""  # or whatever the other end sent with it
        return LinkClosed(text if text and isinstance(text, str) else str(error.error))
    return LinkClosed(str(error) or type(error).__name__)
