# SPDX-License-Identifier: MIT
"""Modbus slaves polled over TCP and over a serial line: a pair of pseudo-terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import threading
import tty
from collections.abc import Iterator

import pytest
from modbus_slave import ModbusSlave
from waiting import wait_for

from serial_runtime.board_types import IoNews
from serial_runtime.errors import StateError
from serial_runtime.iec.location import AREA_BYTES, parse_location
from serial_runtime.process_io.modbus import ModbusBus
from serial_runtime.process_io.modbus_profile import ModbusTable
from serial_runtime.profile_file import parse_profile

MAPS = """
quality = "%IX101.0"
[io.modbus.coils]
"%QX10.0" = { address = 100, count = 10, safe = true }
"%QX0.0" = { address = 5, safe = "hold" }
"%IX10.0" = { address = 100, count = 10 }
[io.modbus.discrete_inputs]
"%IX12.6" = { address = 5, count = 4, on_loss = "zero" }
[io.modbus.holding_registers]
"%QW20" = { address = 7, safe = -2 }
"%QD20" = { address = 8, count = 2 }
"%QL15" = { address = 20, words = "low-first" }
"%ID20" = { address = 8, count = 2 }
[io.modbus.input_registers]
"%IL11" = 0
"""


class FakePort:
    """The cycle's end of a part."""

    def __init__(self) -> None:
        self.news = IoNews.NEW
        self.outputs = bytearray(AREA_BYTES)
        self.inputs = bytes(AREA_BYTES)
        self.published = 0
        self.closed = False

    def publish(self, inputs: bytes | bytearray) -> None:
        if self.closed:
            raise StateError("closed")
        self.inputs = bytes(inputs)
        self.published += 1

    def take(self) -> tuple[IoNews, bytes]:
        if self.closed:
            raise StateError("closed")
        return self.news, bytes(self.outputs)

    def put(self, address: str, value: int) -> None:
        parse_location(address).store(self.outputs, value)

    def __getitem__(self, address: str) -> int:
        return parse_location(address).load(self.inputs)


class Rig:
    """A bus with one table or several, and what it logged."""

    def __init__(self, uri: str, *maps: str, timeout_ms: int = 5000) -> None:
        self.log: list[str] = []
        text = "".join(
            f"[[io.modbus]]\nuri = '{uri}'\nunit = {unit}\npoll_ms = 5\n"
            f"timeout_ms = {timeout_ms}\n{one}\n"
            for unit, one in enumerate(maps, 1)
        )
        tables: tuple[ModbusTable, ...] = parse_profile(text).io.modbus
        self.ports = [FakePort() for _ in tables]
        self.port = self.ports[0]
        self.bus = ModbusBus(zip(tables, self.ports, strict=True), self._log)
        self.bus.start()

    def _log(self, level: int, text: str) -> None:
        self.log.append(f"{level} {text}")

    @property
    def text(self) -> str:
        return self.bus.states()[0].text


@pytest.fixture
def slave() -> Iterator[ModbusSlave]:
    running = ModbusSlave()
    yield running
    running.stop()


@contextlib.contextmanager
def rig(uri: str, *maps: str, timeout_ms: int = 5000) -> Iterator[Rig]:
    made = Rig(uri, *maps, timeout_ms=timeout_ms)
    try:
        yield made
    finally:
        made.bus.close()


def check_all_kinds(made: Rig, slave: ModbusSlave) -> None:
    port = made.port
    slave.set(1, "discrete_inputs", 5, 1, 0, 0, 1)
    slave.set(1, "input_registers", 0, 0x1122, 0x3344, 0x5566, 0x7788)
    port.put("%QX10.0", 1)
    port.put("%QX11.1", 1)
    port.put("%QX0.0", 1)
    port.put("%QW20", 0xFFFE)
    port.put("%QD20", 0x12345678)
    port.put("%QL15", 0x0102030405060708)
    port.put("%QD21", 0x9ABCDEF0)  # the last: where it is seen, all were
    wait_for(lambda: port["%IX101.0"] and port["%ID21"] == 0x9ABCDEF0 and port["%IL11"])
    assert made.text == ""
    assert port["%IL11"] == 0x1122334455667788
    assert port["%ID20"] == 0x12345678
    assert [port["%IX12.6"], port["%IX12.7"], port["%IX13.0"], port["%IX13.1"]] == [1, 0, 0, 1]
    assert [port["%IB10"], port["%IX11.0"], port["%IX11.1"]] == [1, 0, 1]
    assert slave.get(1, "coils", 100, 10) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert slave.get(1, "coils", 5) == [1]
    assert slave.get(1, "holding_registers", 7, 5) == [0xFFFE, 0x1234, 0x5678, 0x9ABC, 0xDEF0]
    assert slave.get(1, "holding_registers", 20, 4) == [0x0708, 0x0506, 0x0304, 0x0102]


def test_every_kind_over_tcp(slave: ModbusSlave) -> None:
    with rig(f"tcp://127.0.0.1:{slave.port}", MAPS) as made:
        check_all_kinds(made, slave)


@contextlib.contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two serial devices, connected; bytes are moved by a thread."""
    ends = [pty.openpty() for _ in range(2)]
    stop_read, stop_write = os.pipe()
    for master, device in ends:
        tty.setraw(master)
        tty.setraw(device)

    def move() -> None:
        masters = [master for master, _ in ends]
        while True:
            ready = select.select([*masters, stop_read], [], [])[0]
            if stop_read in ready:
                return
            for fd in ready:
                os.write(masters[1 - masters.index(fd)], os.read(fd, 4096))

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        os.write(stop_write, b"x")
        mover.join()
        for fd in (*ends[0], *ends[1], stop_read, stop_write):
            os.close(fd)


def test_every_kind_over_a_serial_line() -> None:
    with cable() as (ours, theirs):
        slave = ModbusSlave(device=theirs)
        try:
            # A pseudo-terminal has no parity.
            with rig(f"rtu:{ours}:115200,8N1", MAPS) as made:
                check_all_kinds(made, slave)
        finally:
            slave.stop()


def test_a_slave_is_lost_and_returns(slave: ModbusSlave) -> None:
    uri = f"tcp://127.0.0.1:{slave.port}"
    with rig(uri, MAPS) as made:
        check_all_kinds(made, slave)
        slave.stop()
        wait_for(lambda: not made.port["%IX101.0"])
        assert made.text in ("no connection", "the connection was lost", "no reply")
        assert made.port["%IL11"] == 0x1122334455667788  # held
        assert made.port["%IX12.6"] == made.port["%IX13.1"] == 0  # asked to be 0
        published = made.port.published
        wait_for(lambda: made.port.published > published)  # still heard of
        again = ModbusSlave(port=slave.port)
        try:
            wait_for(lambda: made.port["%IX101.0"])
            # All outputs were written before anything was read again.
            assert again.get(1, "holding_registers", 7, 2) == [0xFFFE, 0x1234]
            assert made.text == ""
        finally:
            again.stop()
    texts = [line.partition(uri)[2] for line in made.log]
    assert made.log[0].startswith("2 modbus 1, unit 1 at ")
    assert texts[0] == ": well"
    assert texts[1] != ": well"
    assert ": well" in texts[2:]


def test_a_slave_that_is_off_from_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with rig(f"tcp://127.0.0.1:{port}", MAPS) as made:
        wait_for(lambda: made.port.published)
        assert made.text == "no connection"
        assert not made.port["%IX101.0"]
        slave = ModbusSlave(port=port)
        try:
            wait_for(lambda: made.port["%IX101.0"])
        finally:
            slave.stop()


def test_a_silent_slave_does_not_keep_the_others_waiting(slave: ModbusSlave) -> None:
    # Unit 3 does not exist.
    maps = "quality = '%IX{0}.0'\n[io.modbus.coils]\n'%IX{0}.1' = 0"
    with rig(
        f"tcp://127.0.0.1:{slave.port}", *(maps.format(unit) for unit in (1, 2, 3)), timeout_ms=50
    ) as made:
        wait_for(lambda: made.ports[2].published)
        assert made.bus.states()[2].text == "no reply"
        done, silent = made.ports[0].published, made.ports[2].published
        wait_for(lambda: made.ports[2].published > silent)
        assert made.ports[0].published > done
        wait_for(lambda: made.ports[0]["%IX1.0"] == made.ports[1]["%IX2.0"] == 1)
        assert not made.ports[2]["%IX3.0"]


def test_what_a_slave_refuses_is_named_and_the_rest_goes_on(slave: ModbusSlave) -> None:
    maps = """
quality = "%IX9.0"
[io.modbus.holding_registers]
"%IW0" = { address = 3, quality = "%IX9.1" }
"%IW1" = { address = 60000, count = 2, quality = "%IX9.2", on_loss = "zero" }
"""
    with rig(f"tcp://127.0.0.1:{slave.port}", maps) as made:
        slave.set(1, "holding_registers", 3, 77)
        wait_for(lambda: made.port["%IW0"] == 77)
        assert made.text == "it refuses holding registers 60000 to 60001: illegal data address"
        assert [made.port[f"%IX9.{bit}"] for bit in range(3)] == [0, 1, 0]
        assert made.bus.states()[0].good == (True, False)


def test_safe_outputs_are_written_and_held_ones_left_alone(slave: ModbusSlave) -> None:
    with rig(f"tcp://127.0.0.1:{slave.port}", MAPS) as made:
        check_all_kinds(made, slave)
        made.port.outputs = bytearray(AREA_BYTES)  # as a part gives them: safe values in it
        for bit in range(10):
            parse_location("%QX10.0").following(bit).store(made.port.outputs, 1)
        made.port.put("%QW20", -2)
        made.port.news = IoNews.SAFE
        wait_for(lambda: slave.get(1, "holding_registers", 8) == [0])
        wait_for(lambda: slave.get(1, "coils", 100, 10) == [1] * 10)
        assert slave.get(1, "coils", 5) == [1]  # "hold"
        assert slave.get(1, "holding_registers", 7) == [0xFFFE]


def test_the_end_writes_safe_values_first(slave: ModbusSlave) -> None:
    with rig(f"tcp://127.0.0.1:{slave.port}", MAPS) as made:
        check_all_kinds(made, slave)
    assert slave.get(1, "coils", 100, 10) == [1] * 10
    assert slave.get(1, "holding_registers", 7, 5) == [0xFFFE, 0, 0, 0, 0]
    assert slave.get(1, "coils", 5) == [1]
    made.port.closed = True
    made.bus.close()  # again: nothing


def test_a_peer_that_talks_rubbish_is_no_more_than_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def talk() -> None:
            server.settimeout(0.1)
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    peer, _ = server.accept()
                    with peer:
                        request = peer.recv(100)
                        # A reply to it that promises more bits than it has.
                        peer.sendall(request[:4] + b"\0\4" + request[6:8] + b"\xfe\1")
                        peer.recv(1)

        talker = threading.Thread(target=talk)
        talker.start()
        try:
            uri = f"tcp://127.0.0.1:{server.getsockname()[1]}"
            with rig(uri, MAPS, timeout_ms=50) as made:
                wait_for(lambda: made.port.published > 1)
                assert made.text
                assert not made.port["%IX101.0"]
        finally:
            ended.set()
            talker.join()


def test_the_board_may_be_closed_first(slave: ModbusSlave) -> None:
    with rig(f"tcp://127.0.0.1:{slave.port}", MAPS) as made:
        wait_for(lambda: made.port.published)
        made.port.closed = True
