# SPDX-License-Identifier: MIT
"""The serial line served by the worker: nothing a peer does to the line holds up the others."""

from __future__ import annotations

import os
import select
import struct
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.server import Server
from serial_runtime.transport.loop import loop_pair
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.worker import Worker

LONG_S = 60.0
LARGE = 60_000  # of a reply; a pty takes some 4 kB of it


class Line:
    """A pty with a name, the board's end of which a server serves on a worker."""

    def __init__(self, folder: Path, plc: Any) -> None:
        self.path = folder / "ttyX"
        self.plug()
        self.plc = plc
        self.worker = Worker()
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()
        self.threads: list[int] = []  # that `status` ran on

        def status() -> Any:
            self.threads.append(threading.get_ident())
            return type(plc).status(plc)

        plc.status = lambda: self.worker.call(status)  # as the real one
        plc.get_traces = lambda token, most: (2, [(3, bytes(LARGE))])
        self.server = Server(
            plc, ServerSessions(1), About("bench-1", "0.0", "fake", 0), worker=self.worker
        )
        self.listener = SerialListener(str(self.path), 115200)
        self.server.listen(self.listener, parallel=False)

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path.with_name("new").symlink_to(os.ttyname(slave))
        self.path.with_name("new").rename(self.path)
        self.slave = slave

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.slave)
        os.close(self.master)

    def send(self, method: int, arguments: bytes = b"") -> None:
        body = struct.pack("<II", 1 << 24 | 1 << 16 | method << 8, 5) + arguments
        os.write(self.master, encode_frame(body))

    def receive(self, least: int = 8) -> bytes:
        """The next reply of that length; b"" when nothing arrives for a while."""
        decoder = FrameDecoder(65535, 100.0)
        while select.select([self.master], (), (), 1.0)[0]:
            for frame in decoder.feed(os.read(self.master, 16384), 0.0):
                if len(frame.body) >= least:
                    return frame.body
        return b""

    def over_tcp(self) -> Client:
        """A client of the same server over another link."""

        def open_link() -> Any:
            near, far = loop_pair(True, None)
            threading.Thread(target=self.server.serve, args=(far,), daemon=True).start()
            return near

        return Client(open_link, LONG_S)

    def close(self) -> None:
        self.server.close()
        self.worker.stop()
        self.thread.join(LONG_S)


@pytest.fixture
def line(tmp_path: Path, plc: Any) -> Iterator[Line]:
    line = Line(tmp_path, plc)
    yield line
    line.close()
    line.unplug()


def works(line: Line) -> None:
    for _ in range(10):  # what is sent before the board has opened the line is lost
        line.send(Ide.GETPLCSTATUS_ID)
        if line.receive()[8:12] == bytes(4):
            return
    raise AssertionError("the line is not served")


def test_the_worker_serves_the_line(line: Line) -> None:
    works(line)
    assert set(line.threads) == {line.thread.ident}


def test_a_large_reply_that_nobody_reads_holds_up_nobody(line: Line) -> None:
    works(line)
    line.send(Ide.GETTRACEVARIABLES_ID, bytes(4))
    with line.over_tcp() as other:
        for _ in range(20):
            other.status()
    assert line.receive(LARGE)
    works(line)


def test_unplugged_in_the_middle_of_a_large_reply(line: Line) -> None:
    works(line)
    line.send(Ide.GETTRACEVARIABLES_ID, bytes(4))
    os.read(line.master, 100)
    line.unplug()
    line.plug()
    works(line)
    with line.over_tcp() as other:
        other.status()


def test_unplugged_while_idle(line: Line) -> None:
    works(line)
    line.unplug()
    line.plug()
    works(line)


def test_closed_while_the_worker_has_it(
    line: Line, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    works(line)
    fd = line.listener.fd
    line.server.close()
    wait_for(lambda: line.listener._current is None)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert line.worker.call(int) == 0


def test_a_flood_of_calls_leaves_time_for_others(line: Line) -> None:
    works(line)
    stop = threading.Event()
    call = encode_frame(struct.pack("<II", 1 << 24 | 1 << 16 | Ide.GETPLCSTATUS_ID << 8, 5))

    def flood() -> None:
        while not stop.is_set():
            os.write(line.master, call * 50)

    def drain() -> None:
        while flooding.is_alive():
            if select.select([line.master], (), (), 0.1)[0]:
                os.read(line.master, 16384)

    flooding = threading.Thread(target=flood, daemon=True)
    draining = threading.Thread(target=drain, daemon=True)
    flooding.start()
    draining.start()
    with line.over_tcp() as other:
        for _ in range(20):
            other.status()
    stop.set()
    flooding.join(LONG_S)
    draining.join(LONG_S)
    assert not draining.is_alive()


def test_a_bug_does_not_end_the_serving_of_the_line(line: Line) -> None:
    receive = line.server.sessions.receive

    def fails(*_: Any) -> Any:
        line.server.sessions.receive = receive  # type: ignore[method-assign]
        raise RuntimeError("a bug")

    line.server.sessions.receive = fails  # type: ignore[method-assign]
    works(line)
    body = envelope.encode(envelope.CALL, 1, 1, 1, 2, 1, 0)
    os.write(line.master, encode_frame(body) + encode_frame(body))
    while not line.plc.logged:
        with line.over_tcp() as other:
            other.status()
    assert "RuntimeError: a bug" in line.plc.logged[0]
    works(line)


def test_a_program_on_trial_does_not_hold_up_the_line(line: Line) -> None:
    """A plain NewPLC works beside; a status is answered meanwhile, and then the program."""
    works(line)
    entered, go = threading.Event(), threading.Event()

    def new_plc(*arguments: Any) -> None:
        entered.set()
        assert go.wait(LONG_S)

    line.plc.new_plc = new_plc
    line.send(Ide.NEWPLC_ID, bytes(12))
    assert entered.wait(LONG_S)
    line.send(Ide.GETPLCSTATUS_ID)
    assert line.receive()[1] == Ide.GETPLCSTATUS_ID
    go.set()
    assert line.receive()[1] == Ide.NEWPLC_ID
    works(line)
