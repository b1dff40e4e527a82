# SPDX-License-Identifier: MIT
"""Faults of the line end to end: our client, a real server, bytes flipped, dropped, inserted."""

from __future__ import annotations

import itertools
import random
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serial_runtime.errors import LinkClosed, LinkTimeout, OutcomeUnknown
from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.limits import limits_of
from serial_runtime.transport.loop import LoopTransport

REQUEST_BYTES = 6 + 24  # of a call without arguments, in its envelope
IMAGE = random.Random(1).randbytes(51200)  # nothing to compress


def message(method: int, arguments: bytes = b"") -> bytes:
    return struct.pack("<II", 1 << 24 | 1 << 16 | method << 8, 5) + arguments


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def flip(line: Any, at: int) -> None:
    line.damage.flip(at, 0x04)


def drop(line: Any, at: int) -> None:
    line.damage.drop(at)


def insert(line: Any, at: int) -> None:
    line.damage.insert(at, b"\x5a")


@pytest.fixture
def quick(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client that repeats soon: the time is policy, and these tests repeat a lot."""
    monkeypatch.setattr("serial_runtime.rpc.link._PROBE_MARGIN_S", 0.02)
    with bench.client() as client:
        client.status()
        yield client


@pytest.mark.parametrize("fault", [flip, drop, insert])
def test_one_byte_of_a_request_at_every_position(
    bench: Any, quick: Client, plc: Any, fault: Any
) -> None:
    for at in range(REQUEST_BYTES):
        plc.calls.clear()
        plc.state = 1
        fault(bench.ends[-1], at)
        quick.start()
        assert plc.calls == ["start"], f"at byte {at}"


@pytest.mark.parametrize("fault", [flip, drop, insert])
def test_one_byte_of_a_reply_at_every_position(
    bench: Any, quick: Client, plc: Any, fault: Any
) -> None:
    board_end = bench.ends[-1]._peer
    for at in range(REQUEST_BYTES + 5):  # and success and return value
        plc.calls.clear()
        plc.state = 2
        fault(board_end, at)
        quick.stop()
        assert plc.calls == ["stop"], f"at byte {at}"


@pytest.mark.parametrize("fault", [flip, drop, insert])
def test_a_whole_frame_inside_uploaded_data_executes_nothing(
    bench: Any, plc: Any, fault: Any
) -> None:
    """Whatever byte of the frame around it is wrong (plain calls, as a stock client sends them)."""
    stop = encode_frame(message(Ide.STOPPLC_ID))
    data = b"abc" + stop + b"def"
    arguments = len(data).to_bytes(4, "little") + data + bytes(4)
    frame = encode_frame(message(Ide.APPENDCHUNKTOBLOB_ID, arguments))
    inner = frame.index(stop)
    plc.state = 2
    for at in range(len(frame)):
        if inner <= at < inner + len(stop):
            continue
        end: LoopTransport = bench.open()
        fault(end, at)
        end.write(frame)
        end.write(encode_frame(message(Ide.STARTPLC_ID)))  # not trusted either, but harmless
        end.close()
        bench.join()  # it has read everything
        assert "stop" not in plc.calls, f"at byte {at}"


@pytest.mark.parametrize("fault", [flip, drop, insert])
def test_frames_inside_an_upload_of_our_client_execute_nothing(
    bench: Any, plc: Any, quick: Client, fault: Any
) -> None:
    """Whatever byte of the chunk around them is wrong; and the data arrive as they are."""
    plc.state = 2
    stop = encode_frame(message(Ide.STOPPLC_ID))
    other = envelope.encode(envelope.CALL, 9, 0x1234, 0x1000, 1, Ide.STOPPLC_ID, 0)
    data = b"abc" + stop + encode_frame(other) + b"def"
    seed, at = b"seed", 0
    blob_id = quick.link.call(Ide.SERVICE_ID, Ide.SEEDBLOB_ID, text(seed))[4:20]
    content = b""
    while True:
        end = bench.ends[-1]
        fault(end, at)
        reply = quick.link.call(
            Ide.SERVICE_ID, Ide.APPENDCHUNKTOBLOB_ID, text(data) + text(blob_id)
        )
        blob_id, content, at = reply[4:20], content + data, at + 1
        assert ("append", len(data)) in plc.calls
        if at == REQUEST_BYTES + len(text(data)) + 20:
            break
    assert plc.calls == [("append", len(data))] * at
    (arrived,) = [blobs[blob_id] for blobs in plc.blobs.values() if blob_id in blobs]
    assert arrived == content


def test_a_changed_value_is_not_forced_though_both_frame_checks_are_right(
    bench: Any, plc: Any, quick: Client
) -> None:
    """The envelope's own CRC-32 stands behind the two CRC-16 of the frame."""
    quick.force({"VAR1": b"\x01\0\0\0"})
    end = bench.ends[-1]
    send = end.write
    changed = []

    def change(data: bytes) -> None:
        if not changed and b"\x2a\0\0\0" in data:
            changed.append(data)
            data = encode_frame(data[6:].replace(b"\x2a\0\0\0", b"\x2b\0\0\0"))
        send(data)

    end.write = change
    quick.force({"VAR1": b"\x2a\0\0\0"})
    assert len(changed) == 1
    assert plc.forces == {1: b"\x2a\0\0\0"}
    assert plc.values_forced == [b"\x01\0\0\0", b"\x2a\0\0\0"]
    assert quick.link.session.retransmissions == 1


def test_download_over_a_line_that_loses_frames(bench: Any, plc: Any, quick: Client) -> None:
    bench.ends[-1].damage.drop(9000)
    bench.ends[-1].damage.flip(30000)
    bench.ends[-1]._peer.damage.flip(100)
    quick.download(IMAGE)
    assert plc.image == IMAGE
    assert quick.link.session.retransmissions > 0
    assert plc.sent() == len(IMAGE)  # nothing was sent twice in vain


def test_unplugged_in_the_middle_of_a_download(bench: Any, plc: Any, client: Client) -> None:
    cuts = iter([20000, 40000])
    due = next(cuts)

    def progress(done: int, total: int) -> None:
        nonlocal due
        if done >= due:
            due = next(cuts, total + 1)
            bench.ends[-1].cut()

    client.download(IMAGE, progress=progress)
    assert plc.image == IMAGE
    assert client.link.reconnects == 2
    assert plc.sent() == len(IMAGE)  # it went on, not began again


def test_the_board_restarts_in_the_middle_of_a_download(
    bench: Any, plc: Any, client: Client
) -> None:
    boots = itertools.count(0x2000)
    restarted = False

    def progress(done: int, total: int) -> None:
        nonlocal restarted
        if done > 20000 and not restarted:
            restarted = True
            bench.boot(next(boots))

    client.download(IMAGE, progress=progress)
    assert plc.image == IMAGE
    assert plc.sent() <= len(IMAGE) + 4 * client.link.chunk  # it went on, but for what was flying


def test_a_board_that_restarted_between_two_calls_goes_unnoticed(
    bench: Any, plc: Any, client: Client
) -> None:
    plc.state = 1
    client.status()
    bench.boot(0x2000)
    threading.Event().wait(0.06)  # longer than a link is taken to be alive unseen
    client.start()
    assert plc.calls == ["start"]


def test_a_restart_during_a_call_leaves_its_outcome_unknown(
    bench: Any, plc: Any, client: Client
) -> None:
    client.status()
    started, go = threading.Event(), threading.Event()

    def start() -> None:
        plc.calls.append("start")
        started.set()
        go.wait(60)

    def restart() -> None:
        started.wait(60)
        bench.boot(0x2000)
        go.set()

    plc.start = start
    thread = threading.Thread(target=restart)
    thread.start()
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        client.start()
    thread.join(60)
    assert plc.calls == ["start"]


def test_a_trace_goes_on_after_the_link_was_lost(bench: Any, plc: Any, client: Client) -> None:
    ticks = iter(range(1000))

    def sample() -> None:
        for _ in range(10):
            tick = next(ticks)
            plc.sample(tick, bytes([tick % 256]))

    seen: list[int] = []
    with client.trace(["VAR1"], poll_s=0.0) as trace:
        for turn in range(20):
            sample()
            seen += [snapshot.tick for snapshot in trace.poll()]
            if turn % 5 == 3:
                bench.ends[-1].cut()
    assert seen == list(range(200))
    assert client.link.reconnects == 4


def test_a_lost_trace_reply_loses_no_sample(bench: Any, plc: Any, quick: Client) -> None:
    with quick.trace(["VAR1"], poll_s=0.0) as trace:
        for tick in range(50):
            plc.sample(tick, bytes(8))
        bench.ends[-1]._peer.damage.flip(20)
        assert [s.tick for s in trace.poll()] == list(range(50))


def test_a_silent_peer_is_a_timeout(bench: Any) -> None:
    with bench.client(timeout_s=0.3) as client:
        client.status()
        bench.ends[-1]._peer.damage.muted = True
        with pytest.raises(LinkTimeout, match="may or may not"):
            client.status()


def test_a_link_that_does_not_come_back(bench: Any) -> None:
    with bench.client(reconnect_s=0.1) as client:
        client.status()

        def gone() -> LoopTransport:
            raise LinkClosed("no such device")

        client.link._open_transport = gone
        bench.ends[-1].cut()
        with pytest.raises(LinkClosed, match="not back: no such device"):
            client.status()


def test_another_kind_of_peer_after_a_reconnect(bench: Any, plc: Any) -> None:
    """A stock server where ours was: it must never see an envelope."""
    seen: list[bytes] = []
    with bench.client() as client:
        client.status()
        client.link._open_transport, far = _stock_end()

        def answer() -> None:
            decoder = FrameDecoder(65535, 0.1)
            try:
                while True:
                    for frame in decoder.feed(far.read(10), 0.0):
                        seen.append(frame.body)
                        head = bytes([2]) + frame.body[1:8]
                        far.write(encode_frame(head + bytes(5)))
            except LinkClosed:
                return

        thread = threading.Thread(target=answer)
        thread.start()
        bench.ends[-1].cut()
        with pytest.raises(LinkClosed, match="another kind of peer"):
            client.status()
        thread.join(60)
    assert [body[2] for body in seen] == [1]


def _stock_end() -> Any:
    from serial_runtime.transport.loop import loop_pair

    near, far = loop_pair(False)
    return (lambda: near), far


@pytest.mark.parametrize(("rate_Bps", "most"), [(11520.0, 3456), (92160.0, 27648)])
def test_trace_replies_take_at_most_0_3_s_of_a_line(
    bench: Any, plc: Any, rate_Bps: float, most: int
) -> None:
    bench.rate_Bps = rate_Bps
    sizes: list[int] = []
    with bench.client() as client, client.trace(["VAR1"], poll_s=0.0) as trace:
        for tick in range(3000):
            plc.sample(tick, bytes(16))
        write = bench.ends[-1]._peer.write
        bench.ends[-1]._peer.write = lambda data: (sizes.append(len(data)), write(data))[1]
        ticks: list[int] = []
        while len(ticks) < 3000:
            ticks += [snapshot.tick for snapshot in trace.poll()]
    assert ticks == list(range(3000))
    assert most / 5 < max(sizes) <= most


def test_replies_grow_on_a_clean_line_and_shrink_on_a_bad_one() -> None:
    limits = limits_of(92160.0, False)
    first = limits.reply_bytes
    for _ in range(1000):
        limits.loss.carried(5000)
    assert limits.reply_bytes == 27648 > first
    for _ in range(3000):
        limits.loss.carried(1250)
        limits.loss.lost()
    assert 512 <= limits.reply_bytes < first
    assert limits_of(30.0, False).reply_bytes == 300
    assert limits_of(None, True).reply_bytes == 65535


def test_a_reply_that_was_lost_makes_the_next_ones_shorter(bench: Any, quick: Client) -> None:
    bench.rate_Bps = 11520.0
    with bench.client() as client:
        client.status()
        (link,) = [one for one in bench.server._links if one.transport is bench.ends[-1]._peer]
        before = link.limits.reply_bytes
        bench.ends[-1]._peer.damage.flip(20)
        client.status()
        assert link.limits.reply_bytes < before


def test_the_user_is_told_of_a_lost_link(bench: Any) -> None:
    told: list[str] = []
    with bench.client(on_trouble=told.append) as client:
        client.status()
        bench.ends[-1].cut()
        client.status()
        bench.ends[-1].cut()
        client.status()
    assert [text.partition(":")[0] for text in told] == ["connection lost", "connected again"] * 2
    assert told[0].endswith("; trying to reconnect")


def test_the_user_is_told_of_a_dead_line(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial_runtime.rpc.link._SILENT_S", 0.1)
    told: list[str] = []
    with bench.client(timeout_s=2.0, on_trouble=told.append) as client:
        client.status()
        threading.Event().wait(0.15)  # nothing is asked: no silence
        client.status()
        assert not told
        bench.ends[-1]._peer.damage.muted = True
        with pytest.raises(LinkTimeout):
            client.status()
        assert len(told) == 1
        assert told[0].startswith("no answer from")
        bench.ends[-1]._peer.damage.muted = False
        client.status()
        assert told[1:] == ["connected again"]
