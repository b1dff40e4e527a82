# SPDX-License-Identifier: MIT
"""ERPCS against OpenSSL's own client and server: who is let in, and what the others are told.

The rest of a transport's duties is in test_conformance.py.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reading import LONG_S, read
from tls_peers import SECRETS, free_port, keep_secrets

from serial_runtime.errors import ConfigError, LinkClosed, LinkError, LinkTimeout
from serial_runtime.rpc.client import Client
from serial_runtime.transport import connect
from serial_runtime.transport.refusals import Refusals
from serial_runtime.transport.tcp import TcpListener, open_tcp
from serial_runtime.transport.tls import MAX_HANDSHAKES, TlsListener, TlsTransport
from serial_runtime.transport.tls_handshake import accept_tls

KEY = SECRETS["board-1"].hex()
AS_BOARD_1 = ("-psk_identity", "board-1", "-psk", KEY)
needs_sslpsk3 = pytest.mark.skipif(
    hasattr(ssl.SSLContext, "set_psk_server_callback"), reason="the ssl module does without sslpsk3"
)
OTHER_KEY = ("-psk", "ab" * 20)


class Board:
    """A listener, its secrets and what it tells."""

    def __init__(self) -> None:
        self.secrets = dict(SECRETS)
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        with contextlib.ExitStack() as undo:
            tcp = undo.enter_context(contextlib.closing(TcpListener("127.0.0.1", 0)))
            self.listener = TlsListener(tcp, lambda: self.secrets, self.told.put)
            undo.pop_all()
        self.uri = f"ERPCS://{self.listener.name}#board-1"

    def tells(self) -> str:
        return self.told.get(timeout=LONG_S)

    def serves(self, uri: str = "") -> bool:
        """Whether a client gets in."""
        with_client = connect(uri or self.uri)
        server = self.listener.accept(LONG_S)
        with_client.write(b"ping")
        heard = read(server, 4)
        with_client.close()
        server.close()
        return heard == b"ping"


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board()
    yield board
    board.listener.close()


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "psk"
    keep_secrets(folder, monkeypatch)
    return folder


def s_client(port: int, *options: str) -> subprocess.CompletedProcess[bytes]:
    """OpenSSL's client, until the server ends the connection."""
    place = ("-connect", f"127.0.0.1:{port}")
    return subprocess.run(
        ["openssl", "s_client", *place, *options], input=b"", capture_output=True, timeout=LONG_S
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-cipher", "PSK"),
        ("-cipher", "DHE-PSK-CHACHA20-POLY1305"),
        ("-cipher", "DHE-PSK-AES128-GCM-SHA256", "-tls1_2"),
    ],
)
def test_openssl_is_let_in(board: Board, options: tuple[str, ...]) -> None:
    command = ["openssl", "s_client", "-connect", board.listener.name, "-quiet"]
    with subprocess.Popen(
        [*command, *AS_BOARD_1, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:
        assert client.stdin
        assert client.stdout
        near = board.listener.accept(LONG_S)
        assert (near.kind, near.identity, near.reliable) == ("tls", "board-1", True)
        client.stdin.write(b"ping")
        client.stdin.flush()
        assert read(near, 4) == b"ping"
        near.write(b"pong")
        assert client.stdout.read(4) == b"pong"
        near.close()
        assert client.stdout.read() == b""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-psk_identity", "board-1", *OTHER_KEY), "it does not have the secret of board-1"),
        (("-psk_identity", "nobody", "-psk", KEY), "the identity 'nobody' is not known here"),
        (("-psk_identity", "x" * 120, "-psk", KEY), "the identity 'x{64}' is not known here"),
        (("-psk_identity", "\udcff\udcfe", "-psk", KEY), "it names is not UTF-8"),
        ((*AS_BOARD_1, "-tls1_3"), "it does not offer TLS 1.2"),
        ((*AS_BOARD_1, "-cipher", "RSA-PSK-AES128-GCM-SHA256"), "no common cipher"),
        ((*AS_BOARD_1, "-cipher", "ECDHE-PSK-AES128-CBC-SHA256"), "no common cipher"),
        ((*AS_BOARD_1, "-cipher", "PSK-AES128-GCM-SHA256"), "no common cipher"),
        ((), "no common cipher"),
    ],
)
def test_openssl_is_refused(board: Board, options: tuple[str, ...], told: str) -> None:
    assert s_client(board.listener.port, *options).returncode == 1
    says = board.tells()
    assert says.startswith("127.0.0.1:")
    assert f"is not let in to {board.listener.name}: " in says
    assert re.search(told, says)
    assert board.serves()


def test_no_session_is_resumed(board: Board) -> None:
    """A session that is would outlive its secret."""
    process = s_client(board.listener.port, *AS_BOARD_1, "-tls1_2", "-reconnect")
    assert process.stdout.count(b"New, TLSv1.2") == 6
    assert b"Reused" not in process.stdout


def test_a_rotated_secret(board: Board, secrets: Path) -> None:
    board.secrets["board-1"] = b"the-next-secret-of-board-1"
    with pytest.raises(
        LinkError, match="the secret of board-1 is another one there: `serial-runtime pair`"
    ):
        connect(board.uri)
    (secrets / "board-1.secret").write_text("board-1:the-next-secret-of-board-1")
    assert board.serves()


@pytest.mark.parametrize("now", [{}, {"board-1": b"the-next-secret-of-board-1"}])
def test_who_was_revoked_is_hung_up(board: Board, now: dict[str, bytes]) -> None:
    """Also who has a secret that was rotated: it might have leaked."""
    client = connect(board.uri)
    server = board.listener.accept(LONG_S)
    client.write(b"ping")
    assert read(server, 4) == b"ping"
    board.secrets = now
    client.write(b"tell me the new one")
    with pytest.raises(LinkClosed, match="the secret of board-1 is not valid any more"):
        server.read(LONG_S)
    assert "board-1 was revoked, or has another secret" in board.tells()
    server.close()
    client.close()


def test_secrets_that_cannot_be_read_hang_up_nobody(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, bytes]:
        raise ConfigError("identities.txt, line 3: damaged")

    client = connect(board.uri)
    server = board.listener.accept(LONG_S)
    monkeypatch.setattr(board.listener, "_secrets", fail)
    client.write(b"ping")
    assert read(server, 4) == b"ping"
    server.close()
    client.close()


def test_a_secret_that_is_not_known(board: Board) -> None:
    with pytest.raises(ConfigError, match="the secret of board-2 is not in .*serial-runtime pair"):
        connect(f"ERPCS://{board.listener.name}#board-2")
    del board.secrets["guest"]
    with pytest.raises(LinkError, match="identity guest is not known there: `serial-runtime pair`"):
        connect(f"ERPCS://{board.listener.name}#guest")
    assert "the identity 'guest' is not known here" in board.tells()


def test_secrets_that_cannot_be_read(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, bytes]:
        raise ConfigError("identities.txt, line 3: damaged")

    with monkeypatch.context() as patch:
        patch.setattr(board.listener, "_secrets", fail)
        with pytest.raises(LinkError, match="hung up during the TLS handshake"):
            connect(board.uri)
    assert "identities.txt, line 3: damaged" in board.tells()
    assert board.serves()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256"), "no common cipher: it must have one of"),
        (("-tls1_3",), "does not accept TLS 1.2"),
        (("-tls1_2", "-psk", "ab" * 20), "the secret of board-1 is another one there"),
    ],
)
def test_openssl_refuses_us(options: tuple[str, ...], told: str) -> None:
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-nocert", *AS_BOARD_1, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with server:
        assert server.stdout
        while b"ACCEPT" not in server.stdout.readline():
            assert server.poll() is None
        with pytest.raises(LinkError, match=f"^127.0.0.1:{port}: .*{told}"):
            connect(f"ERPCS://127.0.0.1:{port}#board-1")
        server.kill()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "hung up during the TLS handshake: does it speak TLS 1.2?"),
        (b"220 mail ready\r\n", "it does not answer with TLS: does it speak TLS 1.2?"),
    ],
)
def test_a_server_without_tls(answer: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(LinkError, match=re.escape(f"127.0.0.1:{port}: {told}")):
            connect(f"ERPCS://127.0.0.1:{port}#board-1")
        thread.join(LONG_S)


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"ERPCS://127.0.0.1:{server.getsockname()[1]}#board-1"
        with pytest.raises(LinkTimeout, match="no answer to the TLS handshake within 0"):
            connect(uri, timeout_s=0.1)


def test_a_client_without_tls(board: Board) -> None:
    with pytest.raises(LinkError, match=r"before it answered \(a TLS port has the URI ERPCS://"):
        Client(lambda: open_tcp("127.0.0.1", board.listener.port), 10, 0)
    assert "it does not speak TLS" in board.tells()
    assert board.serves()


def test_a_client_that_has_gone_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with server.accept()[0] as connection, pytest.raises(LinkClosed, match="hung up"):
            accept_tls(connection, lambda: SECRETS, 10.0)


def test_who_says_nothing_locks_out_nobody(board: Board) -> None:
    place = ("127.0.0.1", board.listener.port)
    silent = [socket.create_connection(place) for _ in range(MAX_HANDSHAKES + 5)]
    assert board.serves()
    assert silent[0].recv(1) == b""  # the oldest gave way
    assert "it gave way to newer clients" in board.tells()
    for one in silent:
        one.close()


def test_a_handshake_that_does_not_end(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the whole of it, not for each byte."""
    monkeypatch.setattr("serial_runtime.transport.tls.HANDSHAKE_S", 0.3)
    with socket.create_connection(("127.0.0.1", board.listener.port)) as slow:
        pause = threading.Event()
        hello = bytes.fromhex("16 03 01 40 00 01 00 3f fc 03 03") + bytes(3000)

        def drip() -> None:
            for index in range(len(hello)):
                slow.sendall(hello[index : index + 1])
                pause.wait(0.01)

        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip()
    assert "no TLS handshake within 0.3 s" in board.tells()


def test_clients_at_once(board: Board) -> None:
    """More than may shake hands at a time; all get in, since none is slow."""
    pairs = []
    for _ in range(64):
        client = connect(board.uri)
        pairs.append((client, board.listener.accept(LONG_S)))
    for number, (client, server) in enumerate(pairs):
        client.write(bytes([number]))
        assert read(server, 1) == bytes([number])
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_client_that_takes_nothing(board: Board) -> None:
    client = connect(board.uri)
    server = board.listener.accept(LONG_S)
    assert isinstance(server, TlsTransport)
    server._write_base_s = 0.05

    def write_on() -> None:
        for _ in range(10_000):
            server.write(bytes(10_000))

    with pytest.raises(LinkTimeout, match="not taken by the line within"):
        write_on()
    server.close()
    client.close()


def test_no_descriptor_is_left(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: socket.socket) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "dup", fail)
        with pytest.raises(LinkError, match="hung up"):
            connect(board.uri)
        with pytest.raises(LinkError, match="Too many open files"):
            board.listener.accept(LONG_S)
    assert board.serves()


def test_close_ends_handshakes(
    board: Board, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    with socket.create_connection(("127.0.0.1", board.listener.port)) as silent:
        wait_for(lambda: board.listener._handshakes)
        board.listener.close()
        assert silent.recv(1) == b""
    with pytest.raises(LinkClosed):
        board.listener.accept(None)


@needs_sslpsk3
def test_nothing_is_kept_of_a_handshake(board: Board) -> None:
    assert board.serves()
    s_client(board.listener.port)
    board.tells()
    assert not sys.modules["sslpsk3.sslpsk3"].psk_contexts


@needs_sslpsk3
def test_the_package_is_missing(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sslpsk3", None)
    for use in (lambda: connect(board.uri), Board):
        with pytest.raises(ConfigError, match=r"ERPCS needs .*'serial-runtime\[tls\]'"):
            use()


def test_refusals_do_not_fill_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    told: list[str] = []
    refusals = Refusals(told.append)
    for number in range(5):
        refusals.tell(f"no {number}")
    now_s += 11.0
    refusals.tell("no 5")
    now_s += 11.0
    refusals.tell("no 6")
    assert told == ["no 0", "no 5 (4 such messages left out before)", "no 6"]
