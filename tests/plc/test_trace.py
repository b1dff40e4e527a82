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
from hypothesis import given, settings
from hypothesis import strategies as st

from serial_runtime.errors import TraceError
from serial_runtime.iec import IecType
from serial_runtime.plc.answers import TraceBatch
from serial_runtime.plc.trace import ALL_TICKS, Trace, TraceOptions
from serial_runtime.plc.trace_coding import ZLIB, Packed, TraceCoding
from serial_runtime.plc.trigger import Condition, Mode, TriggerOrder

LONG_S = 60.0
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
        self.image = self.board.load(str(image))
        self.board.start()
        self.trace = Trace(
            self.board.as_board(), buffer_bytes, first_token=first_token, clock=lambda: self.now_s
        )

    def open(
        self, indices: list[int], *, keep: bool = True, options: TraceOptions = ALL_TICKS
    ) -> int:
        variables = [self.image.variables[index] for index in indices]
        trigger = self.trace.prepare(variables, options)
        return self.trace.open(
            self.board.set_trace(indices),
            len(indices),
            keep=keep,
            kinds=[variable.type for variable in variables],
            options=options,
            trigger=trigger,
        )

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
            return self.trace._buffer.newest_tick

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
    assert len(split(scene.trace.read(token, 0, 5, 20).samples)) == 1


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


class Reader:
    """A client of service 2 that accounts for each tick from 0 on."""

    def __init__(self, scene: Scene, token: int) -> None:
        self.scene = scene
        self.token = token
        self.cursor = 0
        self.delivered = 0
        self.ticks: list[int] = []
        self.coding = TraceCoding([IecType.DINT])
        self.before = b""

    def read(self, max_bytes: int = BIG) -> TraceBatch:
        batch = self.scene.trace.read(self.token, self.cursor, max_bytes)
        assert len(batch.samples) <= max_bytes
        packed = Packed(batch.coding, batch.records, batch.samples)
        records = self.coding.unpack(packed, self.before)
        self.ticks = [int.from_bytes(record[:4], "little") for record in records]
        for record, tick in zip(records, self.ticks, strict=True):
            assert record[8:] == values(tick, 0)
            assert tick % batch.every == 0
            assert tick >= batch.since
        self.cursor = batch.next_cursor
        if records:
            self.before = records[-1]
            self.delivered += len(records)
            assert self.delivered + batch.decimated + batch.lost == self.ticks[-1] + 1
        return batch


PACKED = TraceOptions(1 << ZLIB, 1)
AUTO = TraceOptions(1 << ZLIB, 0)


def test_packed_batches_follow_each_other_and_may_be_asked_for_again(scene: Scene) -> None:
    reader = Reader(scene, scene.open([0], options=PACKED))
    for _ in range(5):
        scene.run(40)
        before = reader.cursor
        first = reader.read()
        assert reader.ticks == list(range(before, before + 40))
        # The reply was lost, and meanwhile there is more.
        again = Reader(scene, reader.token)
        again.cursor, again.before, again.delivered = before, bytes(8), before
        if before:
            again.before = struct.pack("<II", before - 1, 4) + values(before - 1, 0)
        scene.run(3)
        assert again.read().next_cursor == first.next_cursor + 3
        assert again.ticks == [*reader.ticks, *range(before + 40, before + 43)]
        reader.cursor = before + 43
        reader.before, reader.delivered = again.before, reader.cursor


def test_a_fixed_factor_is_kept_to_and_stated(scene: Scene) -> None:
    reader = Reader(scene, scene.open([0], options=TraceOptions(1 << ZLIB, 10)))
    scene.run(95)
    batch = reader.read()
    assert reader.ticks == list(range(0, 95, 10))
    assert (batch.every, batch.decimated, batch.lost) == (10, 81, 0)
    scene.run(20)
    assert reader.read().decimated == 99
    assert reader.ticks == [100, 110]
    with pytest.raises(TraceError, match="every 2147483648"):
        scene.open([0], options=TraceOptions(0, 1 << 31))


def test_a_client_that_falls_behind_gets_a_stated_fraction(scene: Scene) -> None:
    reader = Reader(scene, scene.open([0], options=AUTO._replace(compressors=0)))
    factors = []
    for _ in range(30):  # a tick each 10 ms, of which the line carries 30 %
        scene.now_s += 0.4
        scene.run(40)
        factors.append(reader.read(12 * 12).every)
    assert sorted(set(factors)) == [1, 4]
    assert factors == sorted(factors)
    assert scene.trace.lost == 0


def test_the_factor_falls_when_there_is_room_again(scene: Scene) -> None:
    reader = Reader(scene, scene.open([0], options=AUTO._replace(compressors=0)))
    while reader.read(6 * 12).every == 1:
        scene.now_s += 0.3
        scene.run(30)
    found = set()
    while (every := reader.read().every) > 1:
        found.add(every)
        scene.now_s += 0.5
        scene.run(50)
    assert {2, 4} <= found
    scene.run(10)
    assert reader.read().every == 1
    assert len(reader.ticks) == 10


def test_an_unread_buffer_gets_thinner_and_loses_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, buffer_bytes=100 * (12 + 56))
    reader = Reader(scene, scene.open([0], options=AUTO))
    scene.run(30)
    reader.read()  # this reply is lost
    reader.cursor, reader.before, reader.delivered = 0, b"", 0
    scene.run(3000)
    assert scene.trace._buffer.bytes <= 100 * (12 + 56)
    first = reader.read()
    assert reader.ticks == list(range(30))  # handed out before: as it was
    assert (first.every, first.more) == (1, True)
    second = reader.read()
    assert second.every >= 32
    assert second.since == 30
    while second.more:
        second = reader.read()
    assert scene.trace.lost == 0
    assert 3030 - reader.ticks[-1] <= second.every
    scene.end()


def test_what_was_handed_out_is_lost_when_nothing_else_helps(tmp_path: Path) -> None:
    scene = Scene(tmp_path, buffer_bytes=2 * (12 + 56))
    token = scene.open([0], options=AUTO)
    scene.run(5)
    scene.trace.read(token, 0, BIG)
    for tick in (1 << 16, 1 << 17, 1 << 18):  # even the highest factor divides them
        scene.board._tick = tick
        scene.run(1)
    assert scene.trace.lost > 0
    scene.end()


def order(mode: Mode, condition: Condition, value: int, pre: int, post: int) -> TraceOptions:
    trigger = TriggerOrder(mode, 0, condition, struct.pack("<i", value), pre, post, 100)
    return TraceOptions(1 << ZLIB, 0, trigger)


def test_only_a_capture_travels(scene: Scene) -> None:
    reader = Reader(scene, scene.open([0], options=order(Mode.NORMAL, Condition.RISING, 500, 5, 4)))
    scene.run(40)
    assert reader.read().records == 0
    scene.run(40)
    batch = reader.read()
    assert reader.ticks == list(range(45, 55))
    assert (batch.capture, batch.trigger_tick, batch.timed_out) == (1, 50, False)
    assert (batch.decimated, batch.lost, batch.done) == (45, 0, False)
    scene.board._tick = 49  # again
    scene.run(30)
    batch = scene.trace.read(reader.token, reader.cursor, BIG)
    assert (batch.capture, batch.trigger_tick, batch.records) == (2, 50, 10)
    assert batch.decimated == 45 + 21


def test_captures_do_not_share_a_batch(scene: Scene) -> None:
    options = order(Mode.NORMAL, Condition.AT_LEAST, 0, 0, 4)
    reader = Reader(scene, scene.open([0], options=options))
    scene.run(12)
    assert [(reader.read().capture, reader.ticks) for _ in range(4)] == [
        (1, [0, 1, 2, 3, 4]),
        (2, [5, 6, 7, 8, 9]),
        (3, [10, 11]),
        (3, []),
    ]


def test_a_single_capture_ends_the_thread_and_counts_no_loss_after_it(scene: Scene) -> None:
    options = order(Mode.SINGLE, Condition.AT_LEAST, 100, 2, 2)
    reader = Reader(scene, scene.open([0], options=options))
    scene.run(20)
    until(lambda: not scene.trace.running)
    scene.board.run_cycles(3 * RING_RECORDS)
    batch = reader.read(30)
    assert not batch.done or batch.records == 5
    while not batch.done:
        batch = reader.read(30)
    assert (reader.delivered, batch.lost) == (5, 0)
    assert not scene.trace.running
    assert reader.read().done


def test_a_program_that_starts_again_begins_a_new_capture(scene: Scene) -> None:
    options = order(Mode.NORMAL, Condition.AT_LEAST, 50, 2, 50)
    reader = Reader(scene, scene.open([0], options=options))
    scene.run(10)
    scene.board.stop()
    until(lambda: not scene.trace.running)
    assert reader.read().records == 7
    scene.trace.restarted()
    scene.board.start()
    scene.trace.read(reader.token, reader.cursor, BIG)
    scene.run(8)
    batch = scene.trace.read(reader.token, reader.cursor, BIG)
    assert (batch.capture, batch.trigger_tick, batch.records) == (2, 5, 5)


def test_an_impossible_trigger_changes_nothing(scene: Scene) -> None:
    token = scene.open([0])
    with pytest.raises(TraceError, match="at most"):
        scene.open([1], options=order(Mode.SINGLE, Condition.ABOVE, 0, 1 << 31, 0))
    scene.run(3)
    assert len(split(scene.trace.read(token, 0, BIG).samples)) == 3


Step = tuple[str, int]


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("ticks"), st.integers(1, 60)),
            st.tuples(st.just("skip"), st.integers(1, 5)),
            st.tuples(st.just("wait"), st.integers(1, 30)),
            st.tuples(st.just("read"), st.integers(40, 400)),
            st.tuples(st.just("reply lost"), st.integers(40, 400)),
        ),
        max_size=60,
    ),
    every=st.sampled_from([0, 1, 3]),
    compressors=st.sampled_from([0, 1 << ZLIB]),
    room=st.integers(2, 100),
)
def test_every_tick_is_accounted_for(
    steps: list[Step], every: int, compressors: int, room: int
) -> None:
    now_s = 0.0
    limit = room * (12 + 56)
    trace = Trace(FakeBoard().as_board(), limit, first_token=1, clock=lambda: now_s)
    options = TraceOptions(compressors, every)
    token = trace.open(1, 1, keep=True, kinds=[IecType.DINT], options=options)
    coding = TraceCoding([IecType.DINT])
    cursor, before, tick, delivered = 0, b"", 0, 0
    passed: list[int] = []  # ticks that had a record
    for step, number in steps:
        if step == "ticks":
            ticks = range(tick, tick + number)
            trace._store(b"".join(struct.pack("<IIi", n, 4, n * 7 % 5) for n in ticks))
            assert trace._buffer.bytes <= limit
            passed += ticks
            tick += number
        elif step == "skip":
            tick += number
        elif step == "wait":
            now_s += number / 10
        else:
            batch = trace.read(token, cursor, number)
            assert len(batch.samples) <= number
            packed = Packed(batch.coding, batch.records, batch.samples)
            records = coding.unpack(packed, before)
            got = [int.from_bytes(record[:4], "little") for record in records]
            assert all(n % batch.every == 0 for n in got)
            assert [record[8:] for record in records] == [struct.pack("<i", n * 7 % 5) for n in got]
            assert got == sorted(got)
            if step == "read" and records:
                cursor, before = batch.next_cursor, records[-1]
                delivered += len(records)
                assert delivered + batch.decimated + batch.lost == passed.index(got[-1]) + 1
                assert not batch.lost or every or room < 10
    trace.quiesce()
