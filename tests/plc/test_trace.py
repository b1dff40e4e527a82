# SPDX-License-Identifier: MIT
"""Trace samples from the ring to both services, and the life of the trace thread."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_board import RING_RECORDS, FakeBoard

from serial_runtime.errors import TraceError
from serial_runtime.plc.trace import Trace

LONG_S = 10.0
BIG = 1 << 20


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.001)


class Scene:
    """A fake board with a running program, and a trace whose clock the test turns."""

    def __init__(self, folder: Path, buffer_bytes: int = BIG, first_token: int = 5) -> None:
        image = folder / "image"
        image.write_bytes(b"image\n")
        self.now_s = 1000.0
        self.board = FakeBoard()
        self.board.load(str(image))
        self.board.start()
        self.trace = Trace(
            self.board.as_board(), buffer_bytes, first_token=first_token, clock=lambda: self.now_s
        )

    def open(self, indices: list[int], *, keep: bool) -> int:
        return self.trace.open(self.board.set_trace(indices), len(indices), keep=keep)

    def run(self, count: int) -> None:
        """So many cycles, all fetched by the trace thread; a batch never overruns the ring."""
        until(lambda: not self.board._ring)
        while count:
            some = min(count, RING_RECORDS // 2)
            self.board.run_cycles(some)
            until(lambda: not self.board._ring)
            count -= some
        # The records have left the ring; the thread may still hold them for an instant.
        newest = (self.board._tick - 1) & 0xFFFFFFFF
        until(lambda: self.newest_tick() == newest)

    def newest_tick(self) -> int:
        with self.trace._lock:
            records = self.trace._buffer.records
            return int.from_bytes(records[-1][:4], "little") if records else -1

    def end(self) -> None:
        self.trace.close()
        self.trace.quiesce()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    it = Scene(tmp_path)
    yield it
    it.end()


def values(tick: int, *indices: int) -> bytes:
    return b"".join(struct.pack("<i", tick * 10 + index) for index in indices)


def split(samples: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(samples):
        tick, length = struct.unpack_from("<II", samples, position)
        found.append((tick, samples[position + 8 : position + 8 + length]))
        position += 8 + length
    assert position == len(samples)
    return found


def test_service_1_consumes_in_order(scene: Scene) -> None:
    token = scene.open([1, 3], keep=False)
    scene.run(100)
    samples = scene.trace.take(token, BIG)
    assert samples == [(tick, values(tick, 1, 3)) for tick in range(100)]
    assert scene.trace.take(token, BIG) == []
    assert scene.trace.lost == 0


def test_a_reply_is_bounded_and_the_rest_follows(scene: Scene) -> None:
    token = scene.open([0, 1], keep=False)
    scene.run(10)
    assert len(scene.trace.take(token, 3 * 16 + 15)) == 3
    assert len(scene.trace.take(token, 1)) == 1  # never nothing, when there is something
    assert [tick for tick, _ in scene.trace.take(token, BIG)] == list(range(4, 10))


def test_service_2_repeats_until_the_cursor_acknowledges(scene: Scene) -> None:
    token = scene.open([0], keep=True)
    scene.run(10)
    first = scene.trace.read(token, 0, 5 * 12)
    assert [tick for tick, _ in split(first.samples)] == [0, 1, 2, 3, 4]
    assert (first.next_cursor, first.lost, first.more) == (5, 0, True)
    assert scene.trace.read(token, 0, 5 * 12) == first
    assert [tick for tick, _ in split(scene.trace.read(token, 0, BIG).samples)] == list(range(10))
    second = scene.trace.read(token, first.next_cursor, BIG)
    assert split(second.samples) == [(tick, values(tick, 0)) for tick in range(5, 10)]
    assert (second.next_cursor, second.more) == (10, False)
    # What was acknowledged is gone; an old cursor gets what there is.
    assert split(scene.trace.read(token, 0, BIG).samples) == split(second.samples)
    assert scene.trace.read(token, 10, BIG).samples == b""
    for impossible in (11, 1 << 30):
        with pytest.raises(TraceError, match="never given out"):
            scene.trace.read(token, impossible, BIG)


def test_a_sample_longer_than_the_reply_is_said(scene: Scene) -> None:
    token = scene.open([0, 1, 2], keep=True)
    scene.run(2)
    with pytest.raises(TraceError, match="20 bytes"):
        scene.trace.read(token, 0, 19)
    assert len(split(scene.trace.read(token, 0, 20).samples)) == 1


def test_a_full_ring_shows_as_a_gap_and_a_count(scene: Scene) -> None:
    token = scene.open([0], keep=False)
    scene.run(1)
    with scene.trace._lock:  # the thread cannot store, and soon not read
        scene.board.run_cycles(3 * RING_RECORDS)
        dropped = scene.board.trace_dropped()
    scene.run(2)
    ticks = [tick for tick, _ in scene.trace.take(token, BIG)]
    missing = ticks[-1] + 1 - len(ticks)
    assert dropped > 0
    assert missing == scene.board.trace_dropped()
    assert scene.trace.lost == missing


def test_a_full_buffer_forgets_the_oldest_and_counts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, buffer_bytes=20 * (12 + 56))
    token = scene.open([0], keep=True)
    scene.run(50)
    batch = scene.trace.read(token, 0, BIG)
    assert [tick for tick, _ in split(batch.samples)] == list(range(30, 50))
    assert (batch.lost, batch.next_cursor) == (30, 50)
    scene.run(5)
    assert scene.trace.lost == 35  # 30 to 34 were overwritten; whether they arrived is unknown
    batch = scene.trace.read(token, 50, BIG)
    assert [tick for tick, _ in split(batch.samples)] == list(range(50, 55))
    assert batch.lost == 30  # they did
    scene.run(25)
    batch = scene.trace.read(token, 53, BIG)  # 53 to 59 are gone, 53 and 54 had been repeated
    assert [tick for tick, _ in split(batch.samples)] == list(range(60, 80))
    assert scene.trace.read(token, 53, BIG).lost == batch.lost == 37
    scene.end()


def test_samples_that_service_1_did_not_fetch_in_time_are_lost(tmp_path: Path) -> None:
    scene = Scene(tmp_path, buffer_bytes=20 * (12 + 56))
    token = scene.open([0], keep=False)
    scene.run(50)
    assert [tick for tick, _ in scene.trace.take(token, BIG)] == list(range(30, 50))
    assert scene.trace.lost == 30
    scene.end()


def test_a_new_list_gets_a_new_token_and_ends_the_one_before(scene: Scene) -> None:
    first = scene.open([0], keep=False)
    scene.run(3)
    second = scene.open([1], keep=True)
    assert second == first + 1
    with pytest.raises(TraceError):
        scene.trace.take(first, BIG)
    with pytest.raises(TraceError, match="open it again"):
        scene.trace.read(first, 0, BIG)
    scene.run(2)
    assert split(scene.trace.read(second, 0, BIG).samples) == [
        (tick, values(tick, 1)) for tick in (3, 4)
    ]
    with pytest.raises(TraceError):  # a token of the other service
        scene.trace.take(second, BIG)
    scene.trace.close()
    assert (scene.trace.token, scene.trace.count) == (0, 0)
    for token in (second, 0):
        with pytest.raises(TraceError):
            scene.trace.read(token, 0, BIG)


def test_tokens_are_random_positive_and_go_on(tmp_path: Path) -> None:
    board = Scene(tmp_path).board.as_board()
    firsts = {Trace(board, BIG)._next_token for _ in range(50)}
    assert all(0 < token < 1 << 30 for token in firsts)
    assert len(firsts) > 40
    scene = Scene(tmp_path, first_token=0x7FFFFFFF)
    assert [scene.open([0], keep=False) for _ in range(3)] == [0x7FFFFFFF, 1, 2]
    scene.end()


@pytest.mark.parametrize(("keep", "patience_s"), [(False, 3.0), (True, 30.0)])
def test_the_thread_dies_unless_somebody_fetches(
    scene: Scene, keep: bool, patience_s: float
) -> None:
    def fetch(token: int) -> int:
        if keep:
            return len(split(scene.trace.read(token, 0, BIG).samples))
        return len(scene.trace.take(token, BIG))

    token = scene.open([0], keep=keep)
    scene.run(5)
    for _ in range(4):
        scene.now_s += patience_s * 0.9
        fetch(token)
        assert scene.trace.running
    scene.run(5)
    scene.now_s += patience_s * 1.1
    until(lambda: not scene.trace.running)
    scene.board.run_cycles(RING_RECORDS + 6)  # nothing is suspended: the ring fills and drops
    assert len(scene.board._ring) == RING_RECORDS
    before = fetch(token)  # starts it again, and waits for nothing
    assert before == (10 if keep else 5)
    scene.run(1)
    assert fetch(token) == RING_RECORDS + 1 + (10 if keep else 0)
    assert scene.trace.lost == 6


def test_the_thread_dies_when_there_is_none_to_come(scene: Scene) -> None:
    token = scene.open([0], keep=False)
    scene.run(5)
    scene.board.run_cycles(4)
    scene.board.stop()
    until(lambda: not scene.trace.running)
    assert len(scene.trace.take(token, BIG)) == 9  # what was on the way has arrived
    assert not scene.trace.running  # a poll of a stopped PLC starts no thread
    scene.trace.restarted()
    scene.board.start()
    assert scene.trace.take(token, BIG) == []
    assert scene.trace.running
    scene.run(3)
    assert [tick for tick, _ in scene.trace.take(token, BIG)] == [0, 1, 2]
    assert scene.trace.lost == 0


def test_ticks_that_wrap_or_were_skipped_by_the_cycle_are_not_lost(scene: Scene) -> None:
    token = scene.open([0], keep=False)
    for tick in (0xFFFFFFFE, 0xFFFFFFFF, 0, 7):
        scene.board._tick = tick
        scene.run(1)
    ticks = [tick for tick, _ in scene.trace.take(token, BIG)]
    assert ticks == [0xFFFFFFFE, 0xFFFFFFFF, 0, 7]
    assert scene.trace.lost == 0


def test_only_the_trace_thread_waits_in_the_board(scene: Scene) -> None:
    token = scene.open([0], keep=True)
    scene.run(10)
    scene.trace.read(token, 0, BIG)
    assert threading.get_ident() not in scene.board.reading_threads
    assert len(scene.board.reading_threads) == 1


def test_a_fetch_does_not_wait_while_the_thread_waits_in_the_board(scene: Scene) -> None:
    token = scene.open([0], keep=False)
    until(lambda: bool(scene.board.reading_threads))
    inside = threading.Event()
    real_read = scene.board.read_trace

    def slow_read(generation: int, max_bytes: int, timeout_s: float) -> bytes:
        inside.set()
        assert released.wait(LONG_S)
        return real_read(generation, max_bytes, timeout_s)

    released = threading.Event()
    scene.board.read_trace = slow_read  # type: ignore[method-assign]
    assert inside.wait(LONG_S)
    assert scene.trace.take(token, BIG) == []  # while the thread is in there
    assert not released.is_set()
    released.set()


def test_quiesce_ends_the_thread_and_a_fetch_starts_it_again(scene: Scene) -> None:
    token = scene.open([0], keep=False)
    scene.run(3)
    thread = scene.trace._thread
    assert thread is not None
    scene.trace.quiesce()
    assert not thread.is_alive()
    assert not scene.trace.running
    assert len(scene.trace.take(token, BIG)) == 3
    assert scene.trace.running
