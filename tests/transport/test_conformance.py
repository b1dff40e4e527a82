# SPDX-License-Identifier: MIT
"""One suite for every transport, and one for every listener.

A case needs ``near``, the transport under test, and ``far``, a plain other end.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reading import LONG_S, read
from tls_peers import SECRETS, free_port, keep_secrets, needs_stunnel, stunnel

from serial_runtime.connectors.pyro_board import PyroListener
from serial_runtime.connectors.tunnel import MESSAGE_BYTES, Tunnel, TunnelListener
from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout
from serial_runtime.transport import Listener, Transport, connect
from serial_runtime.transport.loop import LoopListener, LoopTransport, loop_pair
from serial_runtime.transport.serial import open_serial
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.transport.tcp import TcpListener, open_tcp
from serial_runtime.transport.tls import TlsListener

EVERY_BYTE = bytes(range(256)) * 3 + b"\xff\x00" * 30


class Far:
    """The other end of a transport, as a descriptor without any code of ours."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_blocking(fd, True)

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.fd, data) :]

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            assert select.select([self.fd], (), (), LONG_S)[0], f"only {data!r} arrived"
            data += os.read(self.fd, count - len(data))
        return data

    def hang_up(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class TransportFar(Far):
    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def receive(self, count: int) -> bytes:
        return read(self.transport, count)

    def hang_up(self) -> None:
        self.transport.close()


class Carrier(Far):
    """What moves a tunnel's bytes."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel

    def send(self, data: bytes) -> None:
        for first in range(0, len(data), MESSAGE_BYTES):
            assert self.tunnel.feed(data[first : first + MESSAGE_BYTES], LONG_S)

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.tunnel.collect(LONG_S)
            assert more, f"only {data!r} arrived"
            data += more
        return data

    def hang_up(self) -> None:
        self.tunnel.hang_up()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class TransportSuite:
    """What holds for each; a subclass gives ``ends``, ``reliable`` and ``rate``."""

    reliable = True
    rate: float | None = None

    @pytest.fixture
    def near(self, ends: tuple[Transport, Far]) -> Transport:
        return ends[0]

    @pytest.fixture
    def far(self, ends: tuple[Transport, Far]) -> Far:
        return ends[1]

    def test_describes_itself(self, near: Transport) -> None:
        assert near.name
        assert near.reliable is self.reliable
        assert near.line_rate_Bps == self.rate

    def test_bytes_arrive_unchanged(self, near: Transport, far: Far) -> None:
        far.send(EVERY_BYTE)
        assert read(near, len(EVERY_BYTE)) == EVERY_BYTE
        near.write(EVERY_BYTE)
        assert far.receive(len(EVERY_BYTE)) == EVERY_BYTE

    def test_a_read_returns_what_is_there(self, near: Transport, far: Far) -> None:
        """It does not wait for more."""
        far.send(b"x")
        assert near.read(None) == b"x"

    def test_nothing_arrives(self, near: Transport, far: Far) -> None:
        assert near.read(0.0) == b""
        assert near.read(0.01) == b""
        far.send(b"later")
        assert read(near, 5) == b"later"

    def test_empty_write(self, near: Transport, far: Far) -> None:
        near.write(b"")
        near.write(b"x")
        assert far.receive(1) == b"x"

    def test_more_than_any_buffer_holds(
        self, near: Transport, far: Far, pool: ThreadPoolExecutor
    ) -> None:
        data = os.urandom(300_000)
        received = pool.submit(far.receive, len(data))
        near.write(data)
        assert received.result(LONG_S) == data
        sent = pool.submit(far.send, data)
        assert read(near, len(data)) == data
        sent.result(LONG_S)

    def test_both_ways_at_once(self, near: Transport, far: Far, pool: ThreadPoolExecutor) -> None:
        data = os.urandom(100_000)
        jobs = [
            pool.submit(far.send, data),
            pool.submit(far.receive, len(data)),
            pool.submit(near.write, data),
        ]
        assert read(near, len(data)) == data
        for job in jobs:
            job.result(LONG_S)
        assert jobs[1].result() == data

    def test_close_ends_a_read(self, near: Transport, pool: ThreadPoolExecutor) -> None:
        entered = threading.Event()

        def read_for_ever() -> bytes:
            entered.set()
            return near.read(None)

        reading = pool.submit(read_for_ever)
        assert entered.wait(LONG_S)
        near.close()
        with pytest.raises(LinkClosed):
            reading.result(LONG_S)

    def test_closed(self, near: Transport) -> None:
        near.close()
        near.close()
        with pytest.raises(LinkClosed):
            near.read(0.0)
        with pytest.raises(LinkClosed):
            near.write(b"x")

    def test_hang_up(self, near: Transport, far: Far) -> None:
        far.hang_up()
        with pytest.raises(LinkClosed):
            near.read(LONG_S)
        near.close()

    def test_a_hang_up_ends_writing(self, near: Transport, far: Far) -> None:
        far.hang_up()

        def write_on() -> None:
            for _ in range(100_000):
                near.write(b"x" * 1000)

        with pytest.raises(LinkClosed):
            write_on()


class TestPty(TransportSuite):
    reliable = False
    rate = 11520.0

    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        master, slave = os.openpty()
        tty.setraw(master)
        near = open_serial(os.ttyname(slave), 115200)
        os.close(slave)
        far = Far(master)
        yield near, far
        near.close()
        far.hang_up()


def tcp_ends(accepted: bool) -> Iterator[tuple[Transport, Far]]:
    """One connection, the accepted or the connecting side of it under test."""
    listener = TcpListener("127.0.0.1", 0)
    near: Transport
    if accepted:
        peer = socket.create_connection(("127.0.0.1", listener.port))
        near = listener.accept(LONG_S)
        far = Far(peer.detach())
    else:
        near = open_tcp("127.0.0.1", listener.port)
        far = Far(os.dup((other := listener.accept(LONG_S)).fd))
        other.close()
    listener.close()
    yield near, far
    near.close()
    far.hang_up()


class ReliableSuite(TransportSuite):
    def test_data_before_a_hang_up_arrives(self, near: Transport, far: Far) -> None:
        far.send(b"last words")
        far.hang_up()
        assert read(near, 10) == b"last words"
        with pytest.raises(LinkClosed):
            near.read(LONG_S)


class TestTcpAccepted(ReliableSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        yield from tcp_ends(accepted=True)


class TestTcpConnected(ReliableSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        yield from tcp_ends(accepted=False)


@pytest.fixture
def _secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secrets(tmp_path / "psk", monkeypatch)


def tls_listener() -> TlsListener:
    return TlsListener(TcpListener("127.0.0.1", 0), lambda: SECRETS)


def tls_ends(accepted: bool) -> Iterator[tuple[Transport, Far]]:
    listener = tls_listener()
    client = connect(f"ERPCS://127.0.0.1:{listener.port}#board-1")
    server = listener.accept(LONG_S)
    assert (server.kind, server.identity) == ("tls", "board-1")
    near, far = (server, client) if accepted else (client, server)
    yield near, TransportFar(far)
    for one in (near, far, listener):
        one.close()


@pytest.mark.usefixtures("_secrets")
class TestTlsAccepted(ReliableSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        yield from tls_ends(accepted=True)


@pytest.mark.usefixtures("_secrets")
class TestTlsConnected(ReliableSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        yield from tls_ends(accepted=False)


@pytest.fixture(scope="module")
def stunnel_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TlsListener, int]]:
    listener, port = tls_listener(), free_port()
    service = f"client = yes\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{listener.port}\n"
    with stunnel(tmp_path_factory.mktemp("stunnel"), service + "PSKidentity = guest\n"):
        yield listener, port
    listener.close()


@pytest.fixture(scope="module")
def stunnel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TcpListener, int]]:
    listener, port = TcpListener("127.0.0.1", 0), free_port()
    service = f"accept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{listener.port}\n"
    folder = tmp_path_factory.mktemp("stunnel")
    with stunnel(folder, service + "ciphers = PSK\nsslVersion = TLSv1.2\n"):
        yield listener, port
    listener.close()


@needs_stunnel
class TestStunnelClient(ReliableSuite):
    """A plain client that comes to us by way of stunnel."""

    @pytest.fixture
    def ends(self, stunnel_client: tuple[TlsListener, int]) -> Iterator[tuple[Transport, Far]]:
        listener, port = stunnel_client
        far = Far(socket.create_connection(("127.0.0.1", port)).detach())
        near = listener.accept(LONG_S)
        assert near.identity == "guest"
        yield near, far
        near.close()
        far.hang_up()


@needs_stunnel
@pytest.mark.usefixtures("_secrets")
class TestStunnelServer(ReliableSuite):
    """A plain server that we reach by way of stunnel, configured as Beremiz documents it."""

    @pytest.fixture
    def ends(self, stunnel_server: tuple[TcpListener, int]) -> Iterator[tuple[Transport, Far]]:
        listener, port = stunnel_server
        near = connect(f"ERPCS://127.0.0.1:{port}#board-1")
        far = Far(os.dup((other := listener.accept(LONG_S)).fd))
        other.close()
        yield near, far
        near.close()
        far.hang_up()


# Its handler forgets to close the socket when the peer hung up first.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestPyserialUrl(TransportSuite):
    """A port behind one of pyserial's handlers, here a terminal server."""

    reliable = False
    rate = 11520.0

    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = open_serial(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200)
            far = Far(server.accept()[0].detach())
        yield near, far
        near.close()
        far.hang_up()


class TestLoop(TransportSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        near, far = loop_pair()
        yield near, TransportFar(far)
        near.close()


class TestTunnel(TransportSuite):
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Transport, Far]]:
        near = Tunnel("tunnel", "pyro")
        yield near, Carrier(near)
        near.close()


@pytest.fixture
def pyro() -> Iterator[PyroListener]:
    listener = PyroListener("127.0.0.1", 0)
    yield listener
    listener.close()


class TestPyroConnected(TransportSuite):
    """The client's end of a tunnel through a Pyro daemon."""

    @pytest.fixture
    def ends(self, pyro: PyroListener) -> Iterator[tuple[Transport, Far]]:
        near = connect(f"PYRO://{pyro.name}")
        yield near, TransportFar(pyro.accept(LONG_S))
        near.close()


class TestPyroAccepted(TransportSuite):
    """The board's end."""

    @pytest.fixture
    def ends(self, pyro: PyroListener) -> Iterator[tuple[Transport, Far]]:
        far = TransportFar(connect(f"PYRO://{pyro.name}"))
        yield pyro.accept(LONG_S), far
        far.hang_up()


class ListenerSuite:
    """What holds for each; a subclass gives ``listener`` and ``dial``."""

    def test_a_peer_comes(self, listener: Listener, dial: Callable[[], Far]) -> None:
        far = dial()
        near = listener.accept(LONG_S)
        far.send(b"hello")
        assert read(near, 5) == b"hello"
        near.write(b"world")
        assert far.receive(5) == b"world"
        near.close()
        far.hang_up()

    def test_the_next_peer_comes(self, listener: Listener, dial: Callable[[], Far]) -> None:
        for _ in range(3):
            far = dial()
            near = listener.accept(LONG_S)
            far.send(b"x")
            assert read(near, 1) == b"x"
            near.close()
            far.hang_up()

    def test_nobody_comes(self, listener: Listener) -> None:
        with pytest.raises(LinkTimeout):
            listener.accept(0.0)
        with pytest.raises(LinkTimeout):
            listener.accept(0.01)

    def test_close_ends_accept(self, listener: Listener, pool: ThreadPoolExecutor) -> None:
        entered = threading.Event()

        def accept() -> Transport:
            entered.set()
            return listener.accept(None)

        accepting = pool.submit(accept)
        assert entered.wait(LONG_S)
        listener.close()
        with pytest.raises(LinkClosed):
            accepting.result(LONG_S)

    def test_closed(self, listener: Listener) -> None:
        listener.close()
        listener.close()
        with pytest.raises(LinkClosed):
            listener.accept(None)


class TestTcpListener(ListenerSuite):
    @pytest.fixture
    def listener(self) -> Iterator[TcpListener]:
        listener = TcpListener("127.0.0.1", 0)
        yield listener
        listener.close()

    @pytest.fixture
    def dial(self, listener: TcpListener) -> Callable[[], Far]:
        return lambda: Far(socket.create_connection(("127.0.0.1", listener.port)).detach())

    def test_a_taken_port(self, listener: TcpListener) -> None:
        with pytest.raises(LinkError, match=rf"cannot listen on 127.0.0.1:{listener.port}"):
            TcpListener("127.0.0.1", listener.port)

    def test_refused(self, listener: TcpListener) -> None:
        listener.close()
        with pytest.raises(LinkError, match=f"cannot connect to 127.0.0.1:{listener.port}"):
            connect(f"ERPC://127.0.0.1:{listener.port}")

    def test_ipv6(self) -> None:
        try:
            listener = TcpListener("::1", 0)
        except LinkError as error:
            pytest.skip(f"no IPv6 here: {error}")
        assert listener.name == f"[::1]:{listener.port}"
        near = connect(f"ERPC://{listener.name}")
        far = listener.accept(LONG_S)
        near.write(b"x")
        assert read(far, 1) == b"x"
        for one in (near, far, listener):
            one.close()

    def test_by_uri(self, listener: TcpListener) -> None:
        near = connect(f"ERPC://127.0.0.1:{listener.port}")
        far = listener.accept(LONG_S)
        near.write(b"x")
        assert read(far, 1) == b"x"
        near.close()
        far.close()


@pytest.mark.usefixtures("_secrets")
class TestTlsListener(ListenerSuite):
    @pytest.fixture
    def listener(self) -> Iterator[TlsListener]:
        listener = tls_listener()
        yield listener
        listener.close()

    @pytest.fixture
    def dial(self, listener: TlsListener) -> Callable[[], Far]:
        return lambda: TransportFar(connect(f"ERPCS://127.0.0.1:{listener.port}#guest"))


class TestLoopListener(ListenerSuite):
    @pytest.fixture
    def listener(self) -> Iterator[LoopListener]:
        listener = LoopListener("conformance")
        yield listener
        listener.close()

    @pytest.fixture
    def dial(self, listener: LoopListener) -> Callable[[], Far]:
        def dial() -> Far:
            transport = connect("loop://conformance")
            assert isinstance(transport, LoopTransport)
            return TransportFar(transport)

        return dial

    def test_a_taken_name(self, listener: LoopListener) -> None:
        with pytest.raises(LinkError, match="loop://conformance is taken"):
            LoopListener("conformance")

    def test_nobody_listens(self) -> None:
        with pytest.raises(LinkError, match="nobody listens on loop://elsewhere"):
            connect("loop://elsewhere")


class TestTunnelListener(ListenerSuite):
    @pytest.fixture
    def listener(self) -> Iterator[TunnelListener]:
        listener = TunnelListener("a carrier", "pyro")
        yield listener
        listener.close()

    @pytest.fixture
    def dial(self, listener: TunnelListener) -> Callable[[], Far]:
        return lambda: Carrier(listener.open("somebody")[1])


class TestPyroListener(ListenerSuite):
    @pytest.fixture
    def listener(self, pyro: PyroListener) -> PyroListener:
        return pyro

    @pytest.fixture
    def dial(self, pyro: PyroListener) -> Callable[[], Far]:
        return lambda: TransportFar(connect(f"PYRO://{pyro.name}"))


class TestSerialListener(ListenerSuite):
    """Dialling is plugging the device in; the link in ``tmp_path`` is its name."""

    @pytest.fixture
    def listener(self, tmp_path: Path) -> Iterator[SerialListener]:
        listener = SerialListener(str(tmp_path / "ttyX"), 115200)
        yield listener
        listener.close()

    @pytest.fixture
    def dial(self, tmp_path: Path) -> Callable[[], Far]:
        def dial() -> Far:
            master, slave = os.openpty()
            tty.setraw(slave)
            (tmp_path / "new").symlink_to(os.ttyname(slave))
            (tmp_path / "new").rename(tmp_path / "ttyX")
            os.close(slave)
            return Far(master)

        return dial
