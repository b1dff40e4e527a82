# SPDX-License-Identifier: MIT
"""An stunnel that the runtime looks after; Debian's."""

from __future__ import annotations

import os
import queue
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reading import LONG_S, read
from tls_peers import SECRETS, free_port, keep_secrets, needs_stunnel

from serial_runtime.errors import ConfigError, LinkClosed, LinkError
from serial_runtime.transport import connect
from serial_runtime.transport.stunnel import StunnelListener

pytestmark = needs_stunnel
WaitFor = Callable[[Callable[[], object]], None]


class Board:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = dict(SECRETS)
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.port = free_port()
        self.listener = StunnelListener(
            str(folder), "127.0.0.1", self.port, lambda: dict(self.secrets), self.told.put
        )

    def serves(self, identity: str = "board-1") -> bool:
        """Whether a client gets in."""
        client = connect(f"ERPCS://127.0.0.1:{self.port}#{identity}")
        client.write(b"ping")
        server, heard = self.listener.accept(LONG_S), b""
        while not heard:
            try:
                heard = read(server, 4)
            except LinkClosed:  # one of `refuses`
                server.close()
                server = self.listener.accept(LONG_S)
        assert (server.kind, server.identity) == ("tls", "")  # who it is, stunnel does not tell
        server.write(b"pong")
        answered = read(client, 4)
        client.close()
        server.close()
        return heard + answered == b"pingpong"

    def tells(self, text: str) -> bool:
        while text not in self.told.get(timeout=LONG_S):
            pass
        return True

    def refuses(self) -> bool:
        try:
            connect(f"ERPCS://127.0.0.1:{self.port}#board-1").close()
        except LinkError:
            return True
        return False

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    keep_secrets(tmp_path / "psk", monkeypatch)
    monkeypatch.setattr("serial_runtime.transport.stunnel._SECRETS_CHECK_S", 0.02)
    monkeypatch.setattr("serial_runtime.transport.stunnel._PAUSE_S", 0.02)
    monkeypatch.setattr("serial_runtime.transport.refusals._PAUSE_S", 0.0)
    board = Board(tmp_path / "stunnel")
    yield board
    board.listener.close()


def test_clients_are_let_in(board: Board) -> None:
    assert board.serves("board-1")
    assert board.serves("guest")


def test_what_it_keeps_nobody_else_can_read(board: Board) -> None:
    assert stat.S_IMODE(board.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((board.folder / "psk.txt").stat().st_mode) == 0o600


def test_close_leaves_nothing(board: Board) -> None:
    board.listener.close()
    assert not board.listens()
    assert not list(board.folder.iterdir())
    board.listener.close()


def test_a_rotated_secret(board: Board, wait_for: WaitFor) -> None:
    board.secrets["board-1"] = b"the-next-secret-of-board-1"
    wait_for(board.refuses)
    assert board.tells("bad record mac")
    assert board.serves("guest")


def test_without_any_identity_nobody_gets_in(board: Board, wait_for: WaitFor) -> None:
    """stunnel would keep the old secrets when it cannot load new ones."""
    board.secrets.clear()
    wait_for(lambda: not board.listens())
    board.secrets.update(SECRETS)
    wait_for(board.listens)
    assert board.serves()


def test_it_is_started_again(board: Board, wait_for: WaitFor) -> None:
    for _ in range(2):
        os.kill(board.listener._process.pid, signal.SIGKILL)
        assert board.tells("has ended")
        wait_for(board.listens)
        assert board.serves()


def test_an_address_in_use(board: Board, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=f"127.0.0.1:{board.port} does not start: .*in use"):
        StunnelListener(str(tmp_path / "other"), "127.0.0.1", board.port, lambda: SECRETS, print)
    assert board.serves()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="file/stunnel: cannot be written: Not a directory"):
        StunnelListener(f"{tmp_path}/file/stunnel", "127.0.0.1", 1, lambda: SECRETS, print)


def test_stunnel_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs stunnel: apt install stunnel4"):
        StunnelListener(str(tmp_path / "stunnel"), "127.0.0.1", 1, lambda: SECRETS, print)
