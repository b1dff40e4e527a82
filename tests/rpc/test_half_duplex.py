# SPDX-License-Identifier: MIT
"""A line whose ends take turns: one call at a time, and a pause before each reply."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from serial_runtime.line import VirtualCable
from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import FrameDecoder
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.line_load import echo_for
from serial_runtime.rpc.server import Server
from serial_runtime.transport.loop import LoopTransport, loop_pair
from serial_runtime.transport.serial import HalfDuplex, open_serial
from serial_runtime.transport.serial_listener import SerialListener
from serial_runtime.worker import Worker


class Turns:
    """Notes who sends; the most calls that were ever without a reply."""

    def __init__(self, near: LoopTransport, far: LoopTransport) -> None:
        self.open: set[int] = set()
        self.most = 0
        for end in (near, far):
            self._watch(end, FrameDecoder(65535, 0.1, resync=True))

    def _watch(self, end: LoopTransport, decoder: FrameDecoder) -> None:
        write = end.write

        def watched(data: bytes) -> None:
            for frame in decoder.feed(data, 0.0):
                if envelope.is_envelope(frame.body):
                    message = envelope.decode(frame.body)
                    if message.word == envelope.CALL:
                        self.open.add(message.number)
                    else:
                        self.open.discard(message.number)
                    self.most = max(self.most, len(self.open))
            write(data)

        end.write = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("turnaround_s", [None, 0.001])
def test_one_call_at_a_time(bench, turnaround_s: float | None) -> None:
    near, far = loop_pair(reliable=False)
    far.turnaround_s = turnaround_s
    turns = Turns(near, far)
    thread = threading.Thread(target=bench.server.serve, args=(far,), daemon=True)
    thread.start()
    with Client(lambda: near, timeout_s=20.0) as client:
        echo_for(client.link, 0.05, 200)
        window = 16 if turnaround_s is None else 1
        assert client.link.session.hello.window == window
        assert client.capabilities().window == window
    thread.join(60)
    assert (turns.most == 1) == (turnaround_s is not None)


def test_the_reply_of_a_slow_call_waits_to_be_asked_for(bench, plc) -> None:
    """The board speaks only when it is spoken to."""
    near, far = loop_pair(reliable=False)
    far.turnaround_s = 0.0
    spoken: list[int] = []  # for each reply, how many calls there were
    calls: list[int] = []
    write, answer = near.write, far.write
    near.write = lambda data: (calls.append(1), write(data))[1]  # type: ignore[method-assign]
    far.write = lambda data: (spoken.append(len(calls)), answer(data))[1]  # type: ignore[method-assign]
    plc.new_plc = lambda *arguments: None
    thread = threading.Thread(target=bench.server.serve, args=(far,), daemon=True)
    thread.start()
    with Client(lambda: near, timeout_s=20.0) as client:
        assert client.link.call(Ide.SERVICE_ID, Ide.NEWPLC_ID, bytes(12))[:1] == b"\1"
    thread.join(60)
    assert len(spoken) == len(set(spoken)), "two replies to one call"


def test_the_worker_leaves_replies_to_the_links_thread(plc, tmp_path: Path) -> None:
    worker = Worker()
    threading.Thread(target=worker.run, daemon=True).start()
    server = Server(plc, ServerSessions(1), About("b", "0", "fake", 0), worker=worker)
    with VirtualCable(None, tmp_path) as cable:
        listener = SerialListener(cable.board_end, 115200, half_duplex=HalfDuplex(0.001))
        server.listen(listener, parallel=False)
        host: Any = open_serial(cable.host_end, 115200)
        with Client(lambda: host, timeout_s=20.0) as client:
            assert client.status().status == 0
            assert client.link.session.hello.window == 1
        server.close()
    worker.stop()
