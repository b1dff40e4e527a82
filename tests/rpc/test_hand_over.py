# SPDX-License-Identifier: MIT
"""Which connections the next process goes on with, when the runtime executes itself anew."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from erpc.transport import ConnectionClosed
from stock_ide import Ide

from serial_runtime.errors import LinkClosed
from serial_runtime.rpc.client import connect
from serial_runtime.transport.tcp import TcpListener, adopt

WaitFor = Callable[[Callable[[], object]], None]
LONG_S = 60.0


def next_process(bench: Any, kept: list[int]) -> None:
    bench.boot(0x2000)
    for fd in kept:
        bench.server.adopt(adopt(fd))


def test_a_stock_client_between_two_calls(
    bench: Any, listener: TcpListener, wait_for: WaitFor
) -> None:
    ide, silent = Ide(listener.port), socket.create_connection(("127.0.0.1", listener.port))
    ide.status()
    with silent:
        wait_for(lambda: len(bench.server._links) == 2)
        kept = bench.server.hand_over()
        sent = threading.Thread(target=ide.start, daemon=True)
        sent.start()  # asked while nobody serves
        next_process(bench, kept)
        sent.join(LONG_S)
        assert not sent.is_alive()
        assert bench.plc.calls == ["start"]
        assert len(kept) == 2, "also one that has not called yet"
    ide.close()


def test_a_call_that_is_half_there(bench: Any, listener: TcpListener, wait_for: WaitFor) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)) as half:
        half.sendall(bytes.fromhex("278a0800"))
        wait_for(lambda: any(not link.decoder.is_empty for link in bench.server._links))
        assert bench.server.hand_over() == []
        assert half.recv(1) == b""


def test_a_call_that_is_not_answered_yet(
    bench: Any, plc: Any, listener: TcpListener, wait_for: WaitFor
) -> None:
    reached, release = threading.Event(), threading.Event()

    def start() -> None:
        reached.set()
        assert release.wait(LONG_S)

    plc.start = start
    ide = Ide(listener.port)
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append(ide.start())
        except (ConnectionClosed, OSError, AttributeError) as error:
            # PyPI's transport fails over its own attribute when the connection ends.
            outcome.append(type(error))

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    assert reached.wait(LONG_S)
    (link,) = bench.server._links
    kept: list[int] = []
    handing = threading.Thread(target=lambda: kept.extend(bench.server.hand_over()), daemon=True)
    handing.start()
    wait_for(lambda: "closed" in repr(link.transport))
    release.set()
    handing.join(LONG_S)
    calling.join(LONG_S)
    assert kept == []
    assert len(outcome) == 1, "it learns that there is no answer, and does not wait for ever"
    assert outcome != [0]


def test_our_client_comes_back_by_itself(bench: Any, listener: TcpListener) -> None:
    with connect(f"ERPC://{listener.name}") as client:
        client.status()
        assert bench.server.hand_over() == []


def test_a_client_that_has_gone_meanwhile(bench: Any, listener: TcpListener) -> None:
    ide = Ide(listener.port)
    ide.status()
    (fd,) = bench.server.hand_over()
    ide._transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ide._transport._sock.close()
    with pytest.raises(LinkClosed):
        adopt(fd)
