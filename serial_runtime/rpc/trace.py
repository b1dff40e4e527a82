# SPDX-License-Identifier: MIT
"""The client's side of a trace: every tick's values, polled in batches.

The board keeps a batch until the cursor of the next request acknowledges it, so neither a lost
reply nor a link that was unplugged for a while loses samples. When the line is too slow for every
tick the board keeps one of `decimation`, unless it is told another factor; with a trigger it sends
only what surrounds it. Each tick it passed is a sample, `decimated`, or `lost`; the cycle's own
gaps are counted by the statistics.

`poll` returns the samples of one batch, for all of which the attributes hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from serial_runtime.errors import SerialRuntimeError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.trace_coding import Packed, TraceCoding, supported
from serial_runtime.plc.trigger import Condition, Mode
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.board.common import TraceBatch, TraceOptions, TraceTrigger
from serial_runtime.rpc.stub_api import Reference

_MOST_BYTES = 65000


class Snapshot(NamedTuple):
    """Values of one cycle in wire form, back to back in the order asked."""

    tick: int
    values: bytes


class Trigger(NamedTuple):
    """Capture what surrounds an event."""

    name: str  # of one of the variables traced
    condition: Condition
    value: bytes  # wire form
    mode: Mode = Mode.NORMAL
    pre: int = 0  # samples before the event, at most; a capture begins with what there is
    post: int = 0  # samples after it
    timeout: int = 0  # mode auto: capture after so many samples without an event

    def order(self, position: int) -> TraceTrigger:
        """As the board takes it; `position` of the variable in the list."""
        return TraceTrigger(
            mode=self.mode,
            position=position,
            condition=self.condition,
            value=self.value,
            pre=self.pre,
            post=self.post,
            timeout=self.timeout,
        )


class Capture(NamedTuple):
    """The samples around one event."""

    number: int  # from 1
    tick: int  # of the event
    timed_out: bool  # there was none, mode auto captured all the same
    samples: list[Snapshot]


class Trace:
    """An endless iterator of Snapshot; a context manager that ends the trace on the board.

    `lost` counts ticks the board could not keep, `plc` is the status of the PLC at the last poll.
    Raises TraceError when another client traces, or the program is replaced.
    """

    def __init__(
        self,
        board: BoardServiceClient,
        table: int,
        indices: Sequence[int],
        kinds: Sequence[int],
        poll_s: float,
        every: int,
        trigger: TraceTrigger,
    ) -> None:
        """Begin to trace. `poll_s` is the time between polls while nothing is left behind."""
        self.lost = 0
        self.decimated = 0  # ticks left out on purpose, up to the last sample
        self.decimation = max(1, every)  # the samples are of ticks that it divides
        self.since = 0  # the tick from which that holds
        self.capture = 0  # number of the capture; 0: none yet, or no trigger
        self.trigger_tick = 0  # of that capture
        self.timed_out = False  # it had no trigger
        self.complete = False  # the last sample was the last of that capture
        self.done = False  # a single trigger's capture is complete: nothing more comes
        self.received_bytes = 0  # of packed samples
        self.plc = 0
        self._board = board
        self._coding = TraceCoding(kinds)
        self._before = b""  # the last record
        self._post = trigger.post
        self._left = -1  # samples that the capture lacks; negative: the trigger's too
        self._poll_s = poll_s
        self._polled_s = 0.0
        self._cursor = 0
        self._more = True
        self._closed = False
        token = Reference()
        options = TraceOptions(supported(), every, trigger)
        board.OpenTrace(table, list(indices), options, token)
        self._token: int = token.value

    def __iter__(self) -> Iterator[Snapshot]:
        while not (self._closed or self.done):
            yield from self.poll()

    @property
    def more(self) -> bool:
        """Whether the last poll left samples behind: poll again at once."""
        return self._more

    def captures(self) -> Iterator[Capture]:
        """Captures, each when it is complete, or when the next one shows that it was cut short."""
        capture = Capture(0, 0, False, [])
        while not (self._closed or self.done):
            samples = self.poll()
            if self.capture != capture.number:
                if capture.samples:
                    yield capture
                capture = Capture(self.capture, self.trigger_tick, self.timed_out, [])
            capture.samples.extend(samples)
            if self.complete and capture.samples:
                yield capture
                capture = capture._replace(samples=[])

    def poll(self) -> list[Snapshot]:
        """Wait until the next poll is due, and return its samples; maybe none."""
        if not self._more:
            time.sleep(max(0.0, self._polled_s + self._poll_s - time.monotonic()))
        self._polled_s = time.monotonic()
        reference = Reference()
        self._board.ReadTrace(self._token, self._cursor, _MOST_BYTES, reference)
        batch: TraceBatch = reference.value
        packed = Packed(batch.coding, batch.records, batch.samples)
        records = self._coding.unpack(packed, self._before)
        self._cursor, self._more, self.done = batch.next_cursor, batch.more, batch.done
        self.plc, self.lost, self.decimated = batch.plc, batch.lost, batch.decimated
        self.received_bytes += len(batch.samples)
        if records:
            self._before = records[-1]
            self.decimation, self.since = batch.every, batch.since
        samples = [Snapshot(int.from_bytes(record[:4], "little"), record[8:]) for record in records]
        if batch.capture and records:
            self._follow(batch, samples)
        return samples

    def _follow(self, batch: TraceBatch, samples: list[Snapshot]) -> None:
        if batch.capture != self.capture:
            self.capture, self.trigger_tick = batch.capture, batch.trigger_tick
            self.timed_out = batch.timed_out
            self._left = -1
        for sample in samples:
            if self._left > 0:
                self._left -= 1
            elif sample.tick == self.trigger_tick:
                self._left = self._post
        self.complete = self._left == 0

    def close(self) -> None:
        """End the trace on the board; idempotent."""
        if not self._closed:
            self._closed = True
            self._board.CloseTrace(self._token)

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.close()
        except SerialRuntimeError:
            if kind is None:
                raise  # else the first error is the one to tell
