# SPDX-License-Identifier: MIT
"""The client's side of traces: what it asks for, and what it makes of batches."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest

from serial_runtime.errors import ProtocolError, VariableError
from serial_runtime.iec import IecType
from serial_runtime.plc.trace_coding import ZLIB, TraceCoding, supported
from serial_runtime.rpc.board.common import TraceBatch, TraceOptions, TraceTrigger
from serial_runtime.rpc.client import Capture, Condition, Mode, Snapshot, Trace, Trigger

KINDS = [IecType.INT]


def record(tick: int) -> bytes:
    return struct.pack("<IIh", tick, 2, tick)


def sample(tick: int) -> Snapshot:
    return Snapshot(tick, struct.pack("<h", tick))


class FakeStub:
    """Answers ReadTrace with batches that follow each other."""

    def __init__(self) -> None:
        self.batches: list[TraceBatch] = []
        self.closed: list[int] = []
        self.cursors: list[int] = []
        self.options = TraceOptions()
        self._coding = TraceCoding(KINDS, 1 << ZLIB)
        self._before = b""
        self._count = 0

    def add(self, ticks: Sequence[int], **said: Any) -> None:
        batch = TraceBatch(plc=2, every=1, more=True)
        if ticks:
            records = [record(tick) for tick in ticks]
            batch.coding, batch.records, batch.samples = self._coding.pack(
                records, self._before, 1 << 20
            )
            self._before = records[-1]
        self._count += len(ticks)
        batch.next_cursor = self._count
        for name, value in said.items():
            setattr(batch, name, value)
        self.batches.append(batch)

    def OpenTrace(self, table: int, indices: list[int], options: TraceOptions, token: Any) -> None:
        self.options = options
        token.value = 5

    def ReadTrace(self, token: int, cursor: int, max_bytes: int, batch: Any) -> None:
        self.cursors.append(cursor)
        batch.value = self.batches.pop(0)

    def CloseTrace(self, token: int) -> None:
        self.closed.append(token)

    def trace(self, post: int = 0) -> Trace:
        trigger = TraceTrigger(post=post)
        return Trace(self, 1, [1], KINDS, 0.0, 0, trigger)  # type: ignore[arg-type]


@pytest.fixture
def stub() -> FakeStub:
    return FakeStub()


def test_batches_follow_each_other(stub: FakeStub) -> None:
    stub.add(range(100))
    stub.add([])
    stub.add(range(100, 300, 2), every=2, since=99, decimated=99, lost=3)
    with stub.trace() as trace:
        assert stub.options.compressors == supported()
        assert trace.poll() == [sample(tick) for tick in range(100)]
        assert (trace.decimation, trace.decimated) == (1, 0)
        assert trace.poll() == []
        assert trace.poll() == [sample(tick) for tick in range(100, 300, 2)]
        assert (trace.decimation, trace.since, trace.decimated, trace.lost) == (2, 99, 99, 3)
    assert stub.cursors == [0, 100, 100]
    assert stub.closed == [5]


def test_captures_are_put_together(stub: FakeStub) -> None:
    stub.add([], every=1)
    stub.add(range(10, 14), capture=1, trigger_tick=12)
    stub.add(range(14, 16), capture=1, trigger_tick=12)
    stub.add(range(20, 22), capture=2, trigger_tick=20)  # the program stopped
    stub.add(range(4), capture=3, trigger_tick=0, timed_out=True, done=True)
    trace = stub.trace(post=3)
    assert list(trace.captures()) == [
        Capture(1, 12, False, [sample(tick) for tick in range(10, 16)]),
        Capture(2, 20, False, [sample(20), sample(21)]),
        Capture(3, 0, True, [sample(tick) for tick in range(4)]),
    ]


def test_a_capture_of_one_sample(stub: FakeStub) -> None:
    stub.add([7], capture=1, trigger_tick=7)
    stub.add([], done=True)
    trace = stub.trace()
    assert list(trace.captures()) == [Capture(1, 7, False, [sample(7)])]
    assert trace.done


def test_samples_end_when_the_trace_is_done(stub: FakeStub) -> None:
    stub.add([1, 2], capture=1, trigger_tick=1, done=True)
    assert list(stub.trace()) == [sample(1), sample(2)]


def test_a_batch_that_does_not_follow_is_refused(stub: FakeStub) -> None:
    stub.add(range(50))
    stub.add(range(50, 100))
    del stub.batches[0]
    with pytest.raises(ProtocolError, match="trace batch"):
        stub.trace().poll()


def test_what_is_asked_for_arrives(client: Any, plc: Any) -> None:
    trigger = Trigger("var2", Condition.FALLING, b"\1\2", Mode.AUTO, 3, 4, 5)
    client.trace(["VAR1", "VAR2"], every=7, trigger=trigger)
    options = plc.options
    assert (options.compressors, options.every) == (supported(), 7)
    assert options.trigger == (Mode.AUTO, 1, Condition.FALLING, b"\1\2", 3, 4, 5)
    client.trace(["VAR1"])
    assert (plc.options.every, plc.options.trigger) == (0, None)
    with pytest.raises(VariableError, match="VAR3 is not among"):
        client.trace(["VAR1"], trigger=trigger._replace(name="VAR3"))
