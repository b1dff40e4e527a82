# SPDX-License-Identifier: MIT
"""TLS with a pre-shared key over TCP: ``ERPCS://host:port#ID``.

The handshake is in :mod:`serial_runtime.transport.tls_handshake`.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from functools import partial

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, SerialRuntimeError
from serial_runtime.identities import secret_of
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.refusals import Refusals
from serial_runtime.transport.tcp import connect_socket, place
from serial_runtime.transport.tls_handshake import accept_tls, connect_tls, context_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serial_runtime.transport.interface import Transport
    from serial_runtime.transport.tcp import TcpListener
    from serial_runtime.transport.uri import TlsEndpoint

HANDSHAKE_S = 10.0
MAX_HANDSHAKES = 32  # at a time
_RETRY_S = 1.0  # after an error of the listening socket
_RECORD = 16384  # the longest (RFC 5246, section 6.2.1)


def open_endpoint(endpoint: TlsEndpoint, timeout_s: float) -> FdTransport:
    """Connect to the server of a URI, with the secret that this computer knows.

    Raises ConfigError without the secret, LinkError with the reason and the remedy, LinkTimeout.
    """
    secret = secret_of(endpoint.identity)
    limit_s = time.monotonic() + timeout_s
    connection = connect_socket(endpoint.host, endpoint.port, timeout_s)
    name = place(endpoint.host, endpoint.port)
    left_s = max(0.1, limit_s - time.monotonic())
    secured = connect_tls(connection, name, endpoint.identity, secret, left_s)
    return TlsTransport(secured, name, endpoint.identity)


class TlsTransport(FdTransport):
    """A connection after its handshake. A read takes a whole record, so OpenSSL keeps none back:
    what has arrived and was not read is in the socket, where ``poll`` sees it.

    A server asks `is_let_in` with each record, before its bytes are read by anybody.
    """

    def __init__(
        self,
        connection: ssl.SSLSocket,
        name: str,
        identity: str,
        is_let_in: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(connection.fileno(), name, kind="tls")
        connection.setblocking(False)
        self.identity = identity
        self._is_let_in = is_let_in
        self._tls = connection
        self._using = threading.Lock()  # OpenSSL takes one thread at a time

    def _read_some(self, size: int) -> bytes:
        with self._using:
            try:
                data = self._tls.recv(max(size, _RECORD))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return b""
            except OSError as error:
                raise self._gone(error) from error
        if not data:
            raise LinkClosed(f"{self.name}: the other end hung up")
        if not self._is_let_in():
            raise LinkClosed(f"{self.name}: the secret of {self.identity} is not valid any more")
        return data

    def _write_some(self, data: bytes | memoryview) -> int:
        if not data:
            return 0
        with self._using:
            try:
                # A record that the socket did not take must be offered again as it was.
                return self._tls.send(data[:_RECORD])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0
            except OSError as error:
                raise self._gone(error) from error

    def _gone(self, error: OSError) -> LinkClosed:
        if isinstance(error, ssl.SSLError):
            return LinkClosed(f"{self.name}: TLS: {error.reason}")
        return super()._gone(error)

    def _before_close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()  # tells the peer; nobody waits for its answer
        self._tls.detach()


class TlsListener:
    """Clients that prove an identity, each by a handshake on a thread of its own.

    Who has not proven anything has little to block: a place among `MAX_HANDSHAKES`, for at most
    `HANDSHAKE_S`, and when all are taken the oldest gives way to the next one.
    """

    def __init__(
        self,
        listener: TcpListener,
        secrets: Callable[[], Mapping[str, bytes]],
        log: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Take over a listening socket.

        `secrets` returns identity and secret of all who may come in; it is asked for each client
        and each record of one, so that who is revoked is out at once; on any thread, and it may
        raise SerialRuntimeError. `log` is told who is not let in and why,
        on any thread, not too often. ConfigError: a package is missing.
        """
        context_class()
        self.name = listener.name
        self.port = listener.port
        self._listener = listener
        self._secrets = secrets
        self._refusals = Refusals(log)
        self._accepted: queue.SimpleQueue[Transport | LinkError] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._lock = threading.Lock()  # protects the following
        # Oldest first: a second descriptor of each connection, for ending it from outside.
        self._handshakes: dict[socket.socket, None] = {}
        threading.Thread(target=self._take, name=f"tls-{self.name}", daemon=True).start()

    def accept(self, timeout_s: float | None) -> Transport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        try:
            accepted = self._accepted.get(timeout=timeout_s)
        except queue.Empty:
            raise LinkTimeout(f"nobody connected to {self.name}") from None
        if not isinstance(accepted, LinkError):
            return accepted
        if isinstance(accepted, LinkClosed):
            self._accepted.put(accepted)  # for every later call
        raise accepted

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        self._closing.set()
        self._listener.close()
        with self._lock:
            for guard in self._handshakes:
                _cut(guard)
        self._end_accepting()

    def _take(self) -> None:
        while True:
            try:
                self._begin(*self._listener.accept_socket(None))
            except LinkClosed:
                return
            except LinkError as error:
                self._accepted.put(error)
                self._closing.wait(_RETRY_S)

    def _begin(self, connection: socket.socket, name: str) -> None:
        with contextlib.ExitStack() as undo:
            undo.enter_context(connection)
            try:
                guard = undo.enter_context(connection.dup())
                thread = threading.Thread(
                    target=self._shake_hands,
                    args=(connection, guard, name),
                    name=f"tls-{name}",
                    daemon=True,
                )
                with self._lock:
                    thread.start()
                    if len(self._handshakes) >= MAX_HANDSHAKES:
                        oldest = next(iter(self._handshakes))
                        del self._handshakes[oldest]
                        _cut(oldest)
                    self._handshakes[guard] = None
            except (OSError, RuntimeError) as error:  # no more descriptors, or threads
                raise LinkError(f"{self.name}: {error}") from error
            undo.pop_all()

    def _shake_hands(self, connection: socket.socket, guard: socket.socket, name: str) -> None:
        try:
            secured, identity, key = accept_tls(connection, self._secrets, HANDSHAKE_S)
            is_let_in = partial(self._is_secret, identity, key, name)
            self._accepted.put(TlsTransport(secured, name, identity, is_let_in))
            if self._closing.is_set():
                self._end_accepting()
        except (SerialRuntimeError, OSError) as error:
            with self._lock:
                gave_way = guard not in self._handshakes
            if not self._closing.is_set():
                reason = "it gave way to newer clients" if gave_way else error
                self._refusals.tell(f"{name} is not let in to {self.name}: {reason}")
        finally:
            with self._lock:
                self._handshakes.pop(guard, None)
                guard.close()

    def _is_secret(self, identity: str, key: bytes, name: str) -> bool:
        """Whether a client that has proven this key would be let in again."""
        try:
            valid = self._secrets().get(identity) == key
        except SerialRuntimeError:  # nobody new is let in; who is there is not to blame
            return True
        if not valid:
            self._refusals.tell(
                f"{name} is hung up by {self.name}: {identity} was revoked, or has another secret"
            )
        return valid

    def _end_accepting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                accepted = self._accepted.get_nowait()
                if not isinstance(accepted, LinkError):
                    accepted.close()
        self._accepted.put(LinkClosed(f"listener on {self.name} is closed"))


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        connection.shutdown(socket.SHUT_RDWR)
