# SPDX-License-Identifier: MIT
"""The client's end of a tunnel through a Pyro daemon, see `pyro_board`.

Two connections, for a call occupies one until its answer: one fetches, one sends.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from Pyro5 import errors
from Pyro5.api import Proxy

from serial_runtime.connectors.pyro_wire import LINK_OBJECT
from serial_runtime.connectors.tunnel import POLL_S, Tunnel
from serial_runtime.errors import (
    CallRefused,
    LinkClosed,
    LinkError,
    LinkTimeout,
    SerialRuntimeError,
)

_MARGIN_S = 10.0  # for an answer, beside the time the board may wait
_LEAVE_S = 1.0


def open_board(name: str, connect: Callable[[], socket.socket], timeout_s: float) -> Tunnel:
    """Reach a board; `connect` opens a connection to its daemon, within `timeout_s` seconds.

    Raises LinkError, LinkTimeout, and what `connect` does.
    """
    ends: list[_End] = []
    try:
        for _ in range(2):
            ends.append(_End(connect()))
            ends[-1].bind(timeout_s)
        channel = ends[0].call("open")
    except BaseException as error:
        for end in ends:
            end.close()
        if isinstance(error, errors.PyroError | CallRefused):
            raise _explained(name, error, timeout_s) from error
        raise
    return PyroTunnel(name, channel, *ends)


class _End:
    """A connection, and the calls on it: PyroError, or CallRefused."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._proxy: Any = None

    def bind(self, timeout_s: float) -> None:
        """Find out what can be called."""
        self.connection.settimeout(timeout_s)
        with _strange_answers():
            self._proxy = Proxy(LINK_OBJECT, connected_socket=self.connection)
        self.connection.settimeout(POLL_S + _MARGIN_S)

    def claim(self) -> None:
        """From now on the present thread calls."""
        self._proxy._pyroClaimOwnership()

    def call(self, name: str, *arguments: object) -> Any:
        """A procedure, see `pyro_board`."""
        if self._proxy._pyroConnection is None:  # Pyro5 would look for a host to connect to anew
            raise errors.ConnectionClosedError("the connection was lost")
        with _strange_answers():
            return getattr(self._proxy, name)(*arguments)

    def close(self) -> None:
        """Idempotent."""
        self.connection.close()


@contextlib.contextmanager
def _strange_answers() -> Iterator[None]:
    """Whatever Pyro5 makes of one it does not expect is a PyroError."""
    try:
        yield
    except (CallRefused, errors.PyroError):
        raise
    except Exception as error:
        raise errors.ProtocolError(f"what it answers is no Pyro message: {error}") from error


class PyroTunnel(Tunnel):
    """A tunnel with the threads that move its bytes."""

    def __init__(self, name: str, channel: str, reader: _End, writer: _End) -> None:
        super().__init__(name, "pyro")
        self._channel = channel
        self._writing = self._start("write", self._write_all, writer)
        self._start("read", self._read_all, reader)

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`.

        Waits a second at most until the board has what was written, and knows.
        """
        super().close()
        self._writing.join(_LEAVE_S)

    def _start(self, name: str, move: Callable[[_End], None], end: _End) -> threading.Thread:
        def run() -> None:
            end.claim()
            try:
                move(end)
            except LinkClosed:  # this end
                pass
            except (SerialRuntimeError, errors.PyroError) as error:
                self.hang_up(str(error))
            finally:
                end.close()

        thread = threading.Thread(target=run, name=f"pyro-{name}", daemon=True)
        thread.start()
        return thread

    def _read_all(self, end: _End) -> None:
        while True:
            data = end.call("read", self._channel)
            if not isinstance(data, bytes):
                raise LinkError("read: bytes are expected")
            if data:
                self.feed(data, None)

    def _write_all(self, end: _End) -> None:
        try:
            while True:
                end.call("write", self._channel, self.collect(None))
        finally:
            with contextlib.suppress(SerialRuntimeError, errors.PyroError):
                end.call("close", self._channel)


def _explained(name: str, error: Exception, timeout_s: float) -> LinkError:
    if isinstance(error, errors.TimeoutError):
        return LinkTimeout(
            f"{name}: no answer within {timeout_s:g} s; is a runtime's Pyro daemon running there?"
        )
    if isinstance(error, CallRefused):
        return LinkError(f"{name}: {error}")
    if isinstance(error, errors.ConnectionClosedError):
        return LinkError(
            f"{name}: hung up: it is no Pyro daemon of a serial runtime, or has no place left"
        )
    return LinkError(f"{name}: what answers there is no Pyro daemon of a serial runtime")
