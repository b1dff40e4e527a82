# SPDX-License-Identifier: MIT
"""What comes where a TLS handshake is expected."""

from __future__ import annotations

import contextlib
import socket
from types import SimpleNamespace
from typing import Any, cast

from fuzz.pyro_targets import all_of
from fuzz.script import Script

from serial_runtime.errors import LinkClosed
from serial_runtime.transport.tcp import TcpListener
from serial_runtime.transport.tls import TlsListener


def _nobody(timeout_s: float | None) -> Any:
    raise LinkClosed("nobody comes")


def tls_hello(data: bytes) -> None:
    """Bytes before a handshake is complete: nobody is let in, and nothing is left of them."""
    told: list[str] = []
    script = Script(data)
    place = SimpleNamespace(name="fuzz", port=1, accept_socket=_nobody, close=lambda: None)
    listener = TlsListener(cast(TcpListener, place), lambda: {"guest": bytes(32)}, told.append)
    near, far = socket.socketpair()
    with contextlib.closing(far):
        far.sendall(script.piece() + _record(script))
        far.shutdown(socket.SHUT_WR)
        guard = near.dup()
        listener._handshakes[guard] = None
        listener._shake_hands(near, guard, "fuzz")
        assert len(told) == 1
        assert not listener._handshakes
        assert listener._accepted.empty()
        assert near.fileno() == guard.fileno() == -1
        answered = all_of(far)
    assert answered[:1] in (b"", b"\x15", b"\x16")
    listener.close()


def _record(script: Script) -> bytes:
    """Records of TLS around the rest."""
    records = b""
    for piece in script.pieces():
        records += b"\x16\x03\x03" + len(piece).to_bytes(2, "big") + piece
    return records
