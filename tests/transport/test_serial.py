# SPDX-License-Identifier: MIT
"""What only serial devices do: rates, raw mode, the lock, coming back, outliving execve."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reading import LONG_S, read

from serial_runtime.config import HIGHEST_BAUD, LOWEST_BAUD
from serial_runtime.errors import ConfigError, LinkClosed, LinkError, LinkTimeout, WorkerStopped
from serial_runtime.transport import connect, tty_ioctl
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.interface import RatedTransport
from serial_runtime.transport.serial import (
    HalfDuplex,
    SerialTransport,
    check_baud,
    check_rate,
    open_serial,
    standard_bauds,
)
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.transport.tty_ioctl import Rs485


class Device:
    """A pty with a name of its own, like an adapter that can be pulled out."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.master = self.slave = -1
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = os.openpty()
        os.symlink(os.ttyname(self.slave), self.path)

    def unplug(self) -> None:
        os.unlink(self.path)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    device = Device(tmp_path / "ttyX")
    yield device
    device.unplug()


def test_common_rates_are_known() -> None:
    for baud in (9600, 115200, 230400, 921600, 3000000):
        check_baud(baud)
    assert list(standard_bauds()) == sorted(standard_bauds())
    assert (standard_bauds()[0], standard_bauds()[-1]) == (LOWEST_BAUD, HIGHEST_BAUD)


@pytest.mark.parametrize("baud", [0, -1, 11520, 12345, 115201])
def test_an_unknown_rate_is_refused(device: Device, baud: int) -> None:
    with pytest.raises(ConfigError, match=f"unknown baud rate {baud}; known rates: .*115200"):
        open_serial(device.path, baud)
    with pytest.raises(ConfigError, match="unknown baud rate"):
        SerialListener(device.path, baud)


def test_another_rate_than_asked_is_refused() -> None:
    check_rate("/dev/ttyS0", 921600, 923076)
    check_rate("/dev/ttyS0", 921600, 0)
    with pytest.raises(LinkError, match="ttyS0 cannot run at 250000 baud, the nearest .* 230400"):
        check_rate("/dev/ttyS0", 250000, 230400)


@pytest.mark.parametrize("baud", [9600, 250000, 921600])
def test_the_rate_is_set(device: Device, baud: int) -> None:
    transport = open_serial(device.path, baud)
    assert isinstance(transport, SerialTransport)
    state = bytearray(256)
    fcntl.ioctl(transport.fd, 0x802C542A, state)
    assert int.from_bytes(state[40:44], sys.byteorder) == baud
    assert transport.line_rate_Bps == baud / 10
    transport.close()


def test_the_rate_changes_while_it_is_open(device: Device) -> None:
    transport = open_serial(device.path, 115200)
    assert isinstance(transport, RatedTransport)
    transport.write(b"before")
    os.read(device.master, 100)  # as a line does
    transport.switch_rate(921600)
    assert tty_ioctl.baud_of(device.slave) == 921600
    assert (transport.baud, transport.home_baud) == (921600, 115200)
    assert transport.line_rate_Bps == 92160
    assert transport.name == f"{device.path} at 921600 baud"
    transport.check_rate(9600)
    assert tty_ioctl.baud_of(device.slave) == 921600
    with pytest.raises(ConfigError, match="unknown baud rate 12345"):
        transport.switch_rate(12345)
    assert transport.baud == 921600
    transport.close()
    with pytest.raises(LinkClosed):
        transport.switch_rate(9600)


def test_an_rs485_line_whose_adapter_switches_itself(device: Device) -> None:
    with contextlib.closing(open_serial(device.path, 9600)) as transport:
        assert transport.turnaround_s is None
    listener = SerialListener(device.path, 9600, half_duplex=HalfDuplex(0.002))
    with contextlib.closing(listener.accept(LONG_S)) as accepted:
        assert accepted.turnaround_s == 0.002
    listener.close()


def test_a_driver_without_an_rs485_mode(device: Device) -> None:
    with pytest.raises(LinkError, match='has no RS-485 mode .*rs485 = "adapter"'):
        connect(f"{device.path}?rs485")
    with pytest.raises(ConfigError, match="must be a device of this machine"):
        open_serial("socket://127.0.0.1:1", 9600, half_duplex=HalfDuplex())
    open_serial(device.path, 9600).close()


def test_the_operator_is_told_what_the_driver_cannot_do(device: Device) -> None:
    told: list[str] = []
    driver = HalfDuplex(0.0, tty_ioctl.Rs485.switched_by_rts(True))
    listener = SerialListener(device.path, 9600, on_wait=told.append, half_duplex=driver)
    for _ in range(2):
        with pytest.raises(LinkError, match="has no RS-485 mode"):
            listener.accept(LONG_S)
    assert [text.partition(" (")[0] for text in told] == [f"{device.path} has no RS-485 mode"]
    listener.close()


@pytest.mark.parametrize("high", [True, False])
def test_the_driver_switches_the_transmitter(
    device: Device, monkeypatch: pytest.MonkeyPatch, high: bool
) -> None:
    asked: list[Rs485] = []

    def set_rs485(fd: int, mode: Rs485) -> Rs485:
        asked.append(mode)
        return mode._replace(rts_on_send=True)  # all that this driver can

    monkeypatch.setattr(tty_ioctl, "set_rs485", set_rs485)
    uri = f"{device.path}?rs485" + ("" if high else "=low")
    if high:
        connect(uri).close()
    else:
        with pytest.raises(LinkError, match="cannot set RTS low while sending"):
            connect(uri)
    assert asked == [Rs485(True, rts_on_send=high, rts_after_send=not high)]


def test_the_device_is_raw(device: Device) -> None:
    transport = open_serial(device.path, 115200)
    assert isinstance(transport, SerialTransport)
    iflag, oflag, cflag, lflag, _, _, _ = termios.tcgetattr(transport.fd)
    assert not lflag & (termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    assert not iflag & (termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR)
    assert not oflag & termios.OPOST
    assert cflag & termios.CSIZE == termios.CS8
    assert not cflag & (termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
    transport.close()


def test_one_owner(device: Device) -> None:
    first = open_serial(device.path, 115200)
    with pytest.raises(LinkError, match=rf"ttyX is in use by .*\(pid {os.getpid()}\); close that"):
        open_serial(device.path, 9600)
    first.close()
    open_serial(device.path, 115200).close()


def test_no_device(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="ttyX does not exist; is the adapter plugged in"):
        connect(f"ERPC://{tmp_path}/ttyX")
    (tmp_path / "file").touch()
    for path in (str(tmp_path / "file"), "/dev/null"):
        with pytest.raises(LinkError, match=f"{path} is no serial device"):
            connect(path)


def test_a_line_that_takes_nothing() -> None:
    read_fd, write_fd = os.pipe()
    transport = FdTransport(write_fd, "full", kind="serial", write_base_s=0.05)
    with pytest.raises(LinkTimeout, match=r"full: \d+ of 1000000 bytes not taken by the line"):
        transport.write(bytes(1_000_000))
    transport.close()
    os.close(read_fd)


def test_the_deadline_of_a_write_grows_with_the_data() -> None:
    read_fd, write_fd = os.pipe()
    transport = FdTransport(write_fd, "full", kind="serial", write_base_s=0.0, line_rate_Bps=1e7)
    with pytest.raises(LinkTimeout, match=r"within 0\.3 s"):
        transport.write(bytes(1_000_000))
    transport.close()
    os.close(read_fd)


def test_close_ends_a_write(device: Device) -> None:
    transport = open_serial(device.path, 300)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(transport.write, bytes(1_000_000))
        assert os.read(device.master, 1) == b"\0"
        transport.close()
        with pytest.raises(LinkClosed):
            writing.result(LONG_S)


def test_unplugging(device: Device) -> None:
    transport = open_serial(device.path, 115200)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(transport.read, None)
        device.unplug()
        with pytest.raises(LinkClosed, match="ttyX"):
            reading.result(LONG_S)
    with pytest.raises(LinkClosed, match="ttyX"):
        transport.write(b"x")
    transport.close()
    device.plug()


# The listener


def test_it_waits_for_the_device_and_for_its_return(tmp_path: Path) -> None:
    told: list[str] = []
    listener = SerialListener(str(tmp_path / "ttyX"), 115200, on_wait=told.append)
    for _ in range(2):
        with pytest.raises(LinkTimeout, match="does not exist"):
            listener.accept(0.0)
    assert told == [
        f"{tmp_path}/ttyX does not exist; is the adapter plugged in, and the name right?"
    ]
    with pytest.raises(LinkClosed):
        _ = listener.fd
    device = Device(tmp_path / "ttyX")
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            transport = listener.accept(LONG_S)
            assert listener.waiting_for == ""
            os.write(device.master, b"x")
            assert read(transport, 1) == b"x"
            device.unplug()
            with pytest.raises(LinkClosed):
                transport.read(LONG_S)
            transport.close()
            accepting = pool.submit(listener.accept, LONG_S)
            device.plug()
            accepting.result(LONG_S).close()
    listener.close()
    device.unplug()


def test_one_peer_at_a_time(device: Device) -> None:
    listener = SerialListener(device.path, 115200)
    first = listener.accept(LONG_S)
    with pytest.raises(LinkTimeout, match="still served"):
        listener.accept(0.01)
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(listener.accept, LONG_S)
        first.close()
        accepting.result(LONG_S).close()
    listener.close()


def test_a_busy_device_is_an_error_first_and_waited_for_later(device: Device) -> None:
    other = open_serial(device.path, 115200)
    listener = SerialListener(device.path, 115200)
    with pytest.raises(LinkError, match="is in use"):
        listener.accept(LONG_S)
    other.close()
    listener.accept(LONG_S).close()
    other = open_serial(device.path, 115200)
    with pytest.raises(LinkTimeout, match="is in use"):
        listener.accept(0.0)
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(listener.accept, LONG_S)
        other.close()
        accepting.result(LONG_S).close()
    listener.close()


def test_a_terminal_server_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    listener = SerialListener(f"socket://127.0.0.1:{port}", 115200)
    with pytest.raises(LinkTimeout, match=f"cannot open socket://127.0.0.1:{port}"):
        listener.accept(0.0)
    with socket.create_server(("127.0.0.1", port)) as server:
        transport = listener.accept(LONG_S)
        peer, _ = server.accept()
    peer.sendall(b"x")
    assert read(transport, 1) == b"x"
    transport.close()
    peer.close()
    listener.close()


BEFORE = """
import os, sys
from serial_runtime.transport.serial_listener import SerialListener
listener = SerialListener(sys.argv[1], 230400)
transport = listener.accept(10)
transport.write(b"1")
assert transport.read(10) == b"a"
transport.switch_rate(460800)  # as a client may have agreed
transport.write(b"2")
sys.stdin.read(1)  # until bytes wait in the tty
os.set_inheritable(listener.fd, True)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], sys.argv[1], str(listener.fd)])
"""
AFTER = """
import sys
from serial_runtime.transport.serial_listener import SerialListener
listener = SerialListener(sys.argv[1], 230400, int(sys.argv[2]))
transport = listener.accept(10)
assert (transport.baud, transport.home_baud) == (460800, 230400)
data = b""
while len(data) < 7:
    data += transport.read(10)
transport.write(data)
sys.stdin.read(1)
transport.close()
listener.accept(10).write(b"again")
sys.stdin.read(1)
"""


def receive(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += os.read(fd, count - len(data))
    return data


def test_the_line_outlives_execve(device: Device) -> None:
    """Nothing waiting is lost, and the lock is never let go."""
    command = [sys.executable, "-c", BEFORE, device.path, AFTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert receive(device.master, 1) == b"1"
        os.write(device.master, b"a")
        assert receive(device.master, 1) == b"2"
        os.write(device.master, b"waiting")
        process.stdin.write(b"x")
        process.stdin.flush()
        assert receive(device.master, 7) == b"waiting"
        with pytest.raises(LinkError, match="is in use"):
            open_serial(device.path, 230400)
        process.stdin.write(b"x")
        process.stdin.flush()
        assert receive(device.master, 5) == b"again"
        process.stdin.close()
        assert process.wait(LONG_S) == 0


def test_an_inherited_descriptor_of_something_else_is_closed(device: Device) -> None:
    read_fd, write_fd = os.pipe()
    listener = SerialListener(device.path, 115200, read_fd)
    transport = listener.accept(LONG_S)
    os.write(device.master, b"x")
    assert read(transport, 1) == b"x"
    assert listener.fd != read_fd
    with pytest.raises(BrokenPipeError):
        os.write(write_fd, b"x")
    os.close(write_fd)
    transport.close()
    listener.close()


def test_importing_the_package_loads_no_pyserial() -> None:
    code = (
        "import sys, serial_runtime.transport, serial_runtime.transport.serial; "
        "sys.exit('serial' in sys.modules or 'socket' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_closed_while_lent(device: Device) -> None:
    """The descriptor lives until it is given back, whatever ends that."""
    closed: list[int] = []
    line = open_serial(device.path, 115200, lambda: closed.append(1))
    assert isinstance(line, FdTransport)

    def lend() -> None:
        with line.lent() as (fd, wake, *_):
            line.close()
            assert select.select([wake], (), (), 0)[0]
            os.fstat(fd)
            for use in (line.take, lambda: line.offer(b"x")):
                with pytest.raises(LinkClosed):
                    use()
            assert not closed
            raise WorkerStopped("the end")

    with pytest.raises(WorkerStopped):
        lend()
    assert closed == [1]
    with pytest.raises(LinkClosed), line.lent():
        pass


def test_a_lent_line_takes_and_offers_without_waiting(device: Device) -> None:
    line = open_serial(device.path, 115200)
    assert isinstance(line, FdTransport)
    with line.lent():
        assert line.take() == b""
        os.write(device.master, b"hello")
        assert line.take() == b"hello"
        assert 0 < line.offer(bytes(100_000)) < 100_000
        while line.offer(b"x"):  # the kernel may move some on meanwhile
            pass
        os.close(device.master)
        with pytest.raises(LinkClosed):
            line.take()
        device.master = os.open(os.devnull, os.O_RDONLY)
    line.close()
