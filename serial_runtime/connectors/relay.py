# SPDX-License-Identifier: MIT
"""Joins each peer of a listener with a connection opened for it; bytes pass unchanged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from serial_runtime.errors import LinkClosed, SerialRuntimeError
from serial_runtime.transport.interface import Listener, Transport

_MAX_PEERS = 16  # of one listener


class Relay:
    """Serves one listener until `close`, with threads of its own: two for each peer."""

    def __init__(
        self,
        listener: Listener,
        open_transport: Callable[[], Transport],
        on_trouble: Callable[[str], object],
    ) -> None:
        """`on_trouble` is told why a peer was turned away; any thread."""
        self._listener = listener
        self._open = open_transport
        self._on_trouble = on_trouble
        self._places = threading.Semaphore(_MAX_PEERS)
        self._lock = threading.Lock()  # protects all that follows
        self._transports: set[Transport] = set()
        self._closed = False
        threading.Thread(target=self._accept, name=f"relay-{listener.name}", daemon=True).start()

    def close(self) -> None:
        """Close the listener and all connections. Idempotent, any thread."""
        with self._lock:
            self._closed = True
            transports = list(self._transports)
        self._listener.close()
        for transport in transports:
            transport.close()

    def _accept(self) -> None:
        with contextlib.suppress(LinkClosed):
            while True:
                peer = self._listener.accept(None)
                if not self._places.acquire(blocking=False):
                    self._on_trouble(f"{peer.name}: {_MAX_PEERS} clients are connected already")
                    peer.close()
                    continue
                name = f"relay-{peer.name}"
                threading.Thread(target=self._serve, args=(peer,), name=name, daemon=True).start()

    def _serve(self, peer: Transport) -> None:
        try:
            self._join(peer)
        finally:
            self._places.release()

    def _join(self, peer: Transport) -> None:
        try:
            board = self._open()
        except SerialRuntimeError as error:
            peer.close()
            self._on_trouble(str(error))
            return
        with self._lock:
            self._transports |= {peer, board}
            closed = self._closed
        if closed:
            peer.close()
        back = threading.Thread(target=_pass, args=(board, peer), name="relay-back", daemon=True)
        back.start()
        _pass(peer, board)
        back.join()
        with self._lock:
            self._transports -= {peer, board}


def _pass(source: Transport, target: Transport) -> None:
    """Until one of them closes; then both are closed."""
    try:
        while True:
            target.write(source.read(None))
    except SerialRuntimeError:
        source.close()
        target.close()
