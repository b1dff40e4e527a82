# SPDX-License-Identifier: MIT
"""The virtual cable: bytes, pace, and what happens around open, closed and pulled-out ends.

The pace is checked on the clock-free part; how exact the whole is on a given machine belongs to
the benchmarks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reading import LONG_S, read

from serial_runtime.errors import ConfigError, LinkClosed, LinkError
from serial_runtime.line import Conditions, VirtualCable
from serial_runtime.transport import Transport
from serial_runtime.transport.serial import open_serial

WaitFor = Callable[[Callable[[], object]], None]


@pytest.fixture(params=[None, 921600.0], ids=["unpaced", "921600"])
def cable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VirtualCable]:
    with VirtualCable(request.param, tmp_path) as cable:
        yield cable


def both(cable: VirtualCable) -> tuple[Transport, Transport]:
    return open_serial(cable.board_end, 115200), open_serial(cable.host_end, 115200)


def read_through(transport: Transport, last: bytes) -> None:
    """Read until ``last``; what was still under way comes before it."""
    data = b""
    while not data.endswith(last):
        more = transport.read(LONG_S)
        assert more, f"only {data[-40:]!r} arrived"
        data += more


def answered(asking: Transport, answering: Transport) -> None:
    """Bytes pass both ways now."""
    asking.write(b"Ask!")
    read_through(answering, b"Ask!")
    answering.write(b"Answer!")
    read_through(asking, b"Answer!")


def test_bytes_pass_unchanged(cable: VirtualCable) -> None:
    board, host = both(cable)
    data = bytes(range(256)) * 40
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(end.write, data) for end in (board, host)]
        assert read(board, len(data)) == data
        assert read(host, len(data)) == data
        for one in writing:
            one.result(LONG_S)
    board.close()
    host.close()


def test_the_ends_may_be_opened_and_closed_in_any_order(cable: VirtualCable) -> None:
    board, host = both(cable)
    for _ in range(3):
        answered(host, board)
        host.close()
        host = open_serial(cable.host_end, 115200)
        answered(host, board)
        board.close()
        board = open_serial(cable.board_end, 115200)
        answered(board, host)
    board.close()
    host.close()


def test_a_hang_up_is_not_what_an_end_sees_of_the_other_one_closed(cable: VirtualCable) -> None:
    board = open_serial(cable.board_end, 115200)
    assert board.read(0.0) == b""
    board.write(b"nobody hears this" * 5000)
    assert board.read(0.0) == b""
    host = open_serial(cable.host_end, 115200)
    answered(host, board)
    board.close()
    host.close()


def test_a_slow_reader_pushes_back(cable: VirtualCable) -> None:
    """It stops the sender, and nothing is lost."""
    board, host = both(cable)
    data = os.urandom(400_000 if cable.baud is None else 60_000)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(host.write, data)
        first = board.read(LONG_S)
        assert not writing.done()
        assert first + read(board, len(data) - len(first)) == data
        writing.result(LONG_S)
    board.close()
    host.close()


def test_unplug_and_plug(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    for _ in range(3):
        cable.unplug()
        assert not os.path.lexists(cable.board_end)
        assert not os.path.lexists(cable.host_end)
        for end in (board, host):
            with pytest.raises(LinkClosed):
                end.read(LONG_S)
            end.close()
        with pytest.raises(LinkError, match="does not exist"):
            open_serial(cable.host_end, 115200)
        cable.unplug()
        cable.plug()
        cable.plug()
        board, host = both(cable)
        answered(host, board)
    board.close()
    host.close()


def test_one_end_pulled_out(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    cable.unplug("host")
    with pytest.raises(LinkClosed):
        host.read(LONG_S)
    host.close()
    board.write(b"lost")
    assert board.read(0.0) == b""
    cable.plug("host")
    host = open_serial(cable.host_end, 115200)
    answered(host, board)
    board.close()
    host.close()


def test_close_removes_the_ends(tmp_path: Path) -> None:
    cable = VirtualCable(9600, tmp_path / "new" / "folder")
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["board", "host"]
    board = open_serial(cable.board_end, 9600)
    cable.close()
    cable.close()
    assert os.listdir(tmp_path / "new" / "folder") == []
    with pytest.raises(LinkClosed):
        board.read(LONG_S)
    board.close()
    with pytest.raises(ConfigError, match="the cable is closed"):
        cable.plug()


def test_a_left_over_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "board").symlink_to("/dev/pts/nowhere")
    with VirtualCable(None, tmp_path) as cable:
        open_serial(cable.board_end, 115200).close()


@pytest.mark.parametrize("baud", [0, -9600.0, float("nan")])
def test_rates_that_make_no_sense(baud: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give a positive rate"):
        VirtualCable(baud, tmp_path)


def test_a_second_cable_does_not_take_the_ends_of_the_first(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path) as cable:
        device = os.readlink(cable.host_end)
        with pytest.raises(ConfigError, match="another cable"):
            VirtualCable(None, tmp_path)
        assert os.readlink(cable.host_end) == device
    VirtualCable(None, tmp_path).close()


# Bad lines


def test_faults_of_one_direction(cable: VirtualCable) -> None:
    board, host = both(cable)
    cable.set_conditions("to-board", Conditions(duplicate=1.0))
    answer = b"as it is"
    host.write(b"twice")
    board.write(answer)
    assert read(board, 10) == b"ttwwiiccee"
    assert read(host, len(answer)) == answer
    assert cable.counters("to-board").duplicated == 5
    assert cable.counters("to-host").faults == 0
    assert cable.conditions("to-board").duplicate == 1.0
    cable.set_conditions("both", Conditions())
    answered(host, board)
    board.close()
    host.close()


def test_the_same_seed_meets_the_same_faults(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20

    def through(seed: int) -> bytes:
        with VirtualCable(None, tmp_path, seed) as cable:
            board, host = both(cable)
            cable.set_conditions("to-board", Conditions(ber=1e-3, insert=1e-2))
            host.write(data)
            # What is dropped would be missed by a reader that counts; inserted bytes are not.
            got = read(board, len(data))
            board.close()
            host.close()
            return got[: len(data)]

    assert through(1) == through(1) != through(2)


def test_an_exact_fault(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    cable.damage("to-host").flip(2, 0xFF)
    cable.damage("to-host").drop(0)
    board.write(b"ab\x00d")
    assert read(host, 3) == b"b\xffd"
    board.close()
    host.close()


def test_a_reader_too_slow_for_an_overrun_loses_bytes(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path) as cable:
        board, host = both(cable)
        cable.set_conditions("to-board", Conditions(overrun_bytes=1000))
        data = os.urandom(100_000)
        host.write(data)  # nothing pushes back
        while cable.counters("to-board").carried < len(data):
            pass
        cable.set_conditions("to-board", Conditions())
        host.write(b"end")
        got = b""
        while not got.endswith(b"end"):
            got += board.read(LONG_S)
        assert got[:1000] == data[:1000]
        counters = cable.counters("to-board")
        assert counters.overrun > 0
        assert counters.delivered + counters.overrun == counters.carried
        board.close()
        host.close()


def test_disconnects_of_one_end(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    cable.set_conditions("to-host", Conditions(disconnects_per_s=200.0, disconnect_s=0.001))
    with pytest.raises(LinkClosed):
        host.read(LONG_S)
    host.close()
    cable.set_conditions("to-host", Conditions())
    assert cable.counters("to-host").disconnects > 0
    assert cable.counters("to-board").disconnects == 0
    cable.plug()
    host = open_serial(cable.host_end, 115200)
    answered(board, host)
    board.close()
    host.close()


def test_a_direction_that_is_none(cable: VirtualCable) -> None:
    with pytest.raises(ConfigError, match="there are to-board, to-host"):
        cable.set_conditions("up", Conditions())
    with pytest.raises(ConfigError, match="'both' is no direction"):
        cable.counters("both")


def test_another_rate_while_it_runs(cable: VirtualCable) -> None:
    board, host = both(cable)
    cable.set_baud(57600)
    assert cable.baud == 57600
    answered(board, host)
    with pytest.raises(ConfigError, match="give a positive rate"):
        cable.set_baud(0)
    board.close()
    host.close()


def test_the_rates_of_the_ports_when_they_are_followed(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path, follow=True) as cable:
        board, host = open_serial(cable.board_end, 57600), open_serial(cable.host_end, 57600)
        answered(board, host)
        host.close()
        host = open_serial(cable.host_end, 115200)
        host.write(b"abcdefgh" * 10)
        assert b"abcdefgh" not in board.read(LONG_S)
        assert cable.counters("to-board").garbled > 0
        board.close()
        host.close()


class Uart:
    """An emulator's: listens on a socket, for one at a time."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(LONG_S)
        self._path = path
        self._peer = socket.socket()

    def accept(self) -> None:
        self._peer.close()
        self._peer, _ = self._listener.accept()
        self._peer.settimeout(LONG_S)

    def passes_on(self, host: Transport) -> None:
        """Bytes pass both ways."""
        host.write(b"Ask!")
        got = b""
        while len(got) < 4:
            got += self._peer.recv(16)
        assert got == b"Ask!"
        self._peer.sendall(b"Answer!")
        read_through(host, b"Answer!")

    def end(self) -> None:
        self._peer.close()
        self._listener.close()
        self._path.unlink()

    def sees_the_end(self) -> None:
        assert self._peer.recv(16) == b""


def test_attached_to_a_socket_that_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "uart.sock"
    with VirtualCable(921600, tmp_path / "cable", board=f"unix:{path}") as cable:
        assert cable.board_end == f"unix:{path}"
        host = open_serial(cable.host_end, 115200)
        for _ in range(2):  # an emulator, and the same started again
            uart = Uart(path)
            uart.accept()
            uart.passes_on(host)
            uart.end()
        host.close()


def test_what_is_sent_to_no_socket_is_lost(tmp_path: Path, wait_for: WaitFor) -> None:
    with VirtualCable(None, tmp_path / "cable", board=f"unix:{tmp_path}/none") as cable:
        host = open_serial(cable.host_end, 115200)
        host.write(b"Anybody?")
        wait_for(lambda: cable.counters("to-board").lost == 8)
        host.close()


def test_an_attached_socket_unplugged(tmp_path: Path) -> None:
    uart = Uart(tmp_path / "uart.sock")
    with VirtualCable(None, tmp_path / "cable", board=f"unix:{tmp_path}/uart.sock") as cable:
        host = open_serial(cable.host_end, 115200)
        uart.accept()
        cable.unplug("board")
        uart.sees_the_end()
        cable.plug("board")
        uart.accept()
        uart.passes_on(host)
        host.close()
        uart.end()


def test_attached_to_a_device_that_comes_and_goes(tmp_path: Path) -> None:
    """The device is the board's tty of another cable."""
    inner = tmp_path / "inner"
    device = str(inner / "host")
    with VirtualCable(None, inner) as far:
        with VirtualCable(115200, tmp_path / "cable", board=device) as cable:
            board, host = open_serial(far.board_end, 115200), open_serial(cable.host_end, 115200)
            answered_at_last(host, board)
            far.unplug("host")
            far.plug("host")
            answered_at_last(host, board)
            host.close()
        board.close()


def answered_at_last(asking: Transport, answering: Transport) -> None:
    """Bytes pass when the device is open, which the cable does by itself."""
    got = b""
    while not got:
        asking.write(b"?")
        got = answering.read(0.1)
    answering.write(b"Answer!")
    read_through(asking, b"Answer!")


@pytest.mark.parametrize(
    ("where", "baud", "text"),
    [
        ("unix:", 115200, "1 to 107 bytes"),
        ("unix:/" + "x" * 107, 115200, "1 to 107 bytes"),
        ("ttyUSB0", 115200, "unix:PATH or a device"),
        ("/dev/ttyUSB0", None, "--baud"),
    ],
)
def test_nothing_to_attach_to(where: str, baud: float | None, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=text):
        VirtualCable(baud, tmp_path, board=where)


def test_an_attached_end_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rate to follow"):
        VirtualCable(115200, tmp_path, follow=True, board="unix:/tmp/x")
