# SPDX-License-Identifier: MIT
"""Peers joined with boards, each over a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from reading import LONG_S, read

from serial_runtime.connectors.relay import Relay
from serial_runtime.errors import LinkClosed, LinkError
from serial_runtime.transport import Transport, connect
from serial_runtime.transport.loop import LoopListener
from serial_runtime.transport.tcp import TcpListener

Waiter = Callable[[Callable[[], object]], None]


@pytest.fixture
def board() -> Iterator[LoopListener]:
    board = LoopListener("relayed")
    yield board
    board.close()


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def address(board: LoopListener, troubles: list[str]) -> Iterator[str]:
    listener = TcpListener("127.0.0.1", 0)
    relay = Relay(listener, lambda: connect("loop://relayed"), troubles.append)
    yield f"ERPC://{listener.name}"
    relay.close()


def test_bytes_pass_both_ways(board: LoopListener, address: str) -> None:
    for word in (b"one", b"two"):
        near = connect(address)
        far = board.accept(LONG_S)
        near.write(word)
        assert read(far, 3) == word
        far.write(word[::-1])
        assert read(near, 3) == word[::-1]
        near.close()
        with pytest.raises(LinkClosed):
            far.read(LONG_S)


def test_the_board_hangs_up(board: LoopListener, address: str) -> None:
    near = connect(address)
    board.accept(LONG_S).close()
    with pytest.raises(LinkClosed):
        near.read(LONG_S)
    near.close()


def test_there_is_no_board(
    board: LoopListener, address: str, troubles: list[str], wait_for: Waiter
) -> None:
    board.close()
    near = connect(address)
    with pytest.raises(LinkClosed):
        near.read(LONG_S)
    near.close()
    wait_for(lambda: troubles)
    assert troubles == ["nobody listens on loop://relayed"]


def test_peers_are_bounded_while_their_boards_are_opened(
    troubles: list[str], wait_for: Waiter
) -> None:
    opened: list[None] = []
    release = threading.Event()

    def open_slowly() -> Transport:
        opened.append(None)
        release.wait(LONG_S)
        raise LinkError("too late")

    listener = TcpListener("127.0.0.1", 0)
    relay = Relay(listener, open_slowly, troubles.append)
    peers = [connect(f"ERPC://{listener.name}") for _ in range(20)]
    wait_for(lambda: len(troubles) == 4)
    assert all(one.endswith("16 clients are connected already") for one in troubles)
    wait_for(lambda: len(opened) == 16)
    release.set()
    for peer in peers:
        with pytest.raises(LinkClosed):
            peer.read(LONG_S)
        peer.close()
    relay.close()


def test_close_ends_all(board: LoopListener) -> None:
    listener = TcpListener("127.0.0.1", 0)
    relay = Relay(listener, lambda: connect("loop://relayed"), lambda text: None)
    near = connect(f"ERPC://{listener.name}")
    far = board.accept(LONG_S)
    near.write(b"x")
    assert read(far, 1) == b"x"
    relay.close()
    relay.close()
    for end in (near, far):
        with pytest.raises(LinkClosed):
            end.read(LONG_S)
    near.close()
    with pytest.raises(LinkError):
        connect(f"ERPC://{listener.name}")
