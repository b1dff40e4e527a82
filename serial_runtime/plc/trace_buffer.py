# SPDX-License-Identifier: MIT
"""Trace records that wait for their client, numbered, bounded in bytes, each tick accounted for.

Records are numbered from 0; a *cursor* is the number of the next record a client wants, and
acknowledges those before it. A record stays as the ring had it (u32 tick, u32 length, values), one
bytes object each.

Records lie in *runs*, each with one factor of decimation and of one capture of a trigger: a batch
never goes beyond the end of a run, so it tells both once for all its records.

Beside each record lies how many ticks before it were left out on purpose: so the sum that goes
with a batch is exact at its last record. What is *lost*, dropped because there was no room, is
counted apart.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from serial_runtime.errors import TraceError
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MASK = 0xFFFFFFFF
# Records of a batch, unpacked; a single longer one is a batch of its own.
BATCH_BYTES = 128 << 10
RECORD_OVERHEAD_BYTES = 56  # of a small bytes object, its place and its count


class Run(NamedTuple):
    """Records that belong together."""

    start: int  # number of the first
    since: int  # the tick from which `every` holds
    every: int  # 1: every tick is there; N: those that N divides
    capture: int  # number of the capture, from 1; 0: no trigger
    trigger_tick: int  # tick at which it triggered
    timed_out: bool  # it did not, and mode auto captured nevertheless


FIRST_RUN = Run(0, 0, 1, 0, 0, False)


def tick_of(record: bytes) -> int:
    """The tick of a record."""
    return int.from_bytes(record[:4], "little")


class TraceBuffer:
    """The records, their numbers and counts. Not locked: its owner does that."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.reset()

    def reset(self, every: int = 1) -> None:
        """Forget everything and count from 0."""
        self.records: deque[bytes] = deque()
        self.bytes = 0  # overhead included
        self.newest_tick = 0  # of all that came, also of those left out
        self.before = b""  # the record before the first, if the client has it for certain
        self.overwritten = 0  # dropped from the full buffer
        self._left_out: deque[int] = deque()  # ticks left out just before each record
        self._pending = 0  # ticks left out after the last record
        self._passed = 0  # ticks left out before the first record
        self._runs: deque[Run] = deque([FIRST_RUN._replace(every=every)])
        self._oldest = 0  # number of the first record
        self._given = 0  # how many from there on were handed out
        self._unsure = 0  # overwritten after they were handed out: arrived or not?
        self._unsure_from = 0  # number of the first of them

    # ---- coming in ---------------------------------------------------------------------------

    def add(self, records: Sequence[bytes]) -> None:
        """Append records without anything left out between them."""
        if not records:
            return
        self.records.extend(records)
        self._left_out.append(self._pending)
        self._left_out.extend([0] * (len(records) - 1))
        self._pending = 0
        self.bytes += sum(map(len, records)) + len(records) * RECORD_OVERHEAD_BYTES

    def leave_out(self, count: int = 1) -> None:
        """So many ticks passed that nobody wants."""
        self._pending += count

    def begin_run(self, run: Run) -> None:
        """What is added from now on belongs to another run; its start is filled in."""
        self._runs.append(run._replace(start=self._oldest + len(self.records)))

    @property
    def run(self) -> Run:
        """The run that records are added to."""
        return self._runs[-1]

    def thin(self, every: int) -> None:
        """Of the records not handed out yet, leave out those whose tick `every` does not divide.

        It holds for what is added from now on, too: the caller sees to that.
        """
        kept = list(islice(self.records, self._given))
        kept_left_out = list(islice(self._left_out, self._given))
        since = self.newest_tick + 1
        if len(self.records) > self._given:
            since = tick_of(self.records[self._given])
        left_out = 0
        for record, before in islice(
            zip(self.records, self._left_out, strict=True), self._given, None
        ):
            left_out += before
            if tick_of(record) % every:
                left_out += 1
                self.bytes -= len(record) + RECORD_OVERHEAD_BYTES
            else:
                kept.append(record)
                kept_left_out.append(left_out)
                left_out = 0
        self.records, self._left_out = deque(kept), deque(kept_left_out)
        self._pending += left_out
        start = self._oldest + self._given
        last = self._runs[-1]
        while self._runs and self._runs[-1].start >= start:
            first = self._runs.pop()
            if first.start == start:
                since = first.since
        self._runs.append(last._replace(start=start, since=since & MASK, every=every))

    def overwrite(self) -> None:
        """Drop the oldest records until the rest fits."""
        while self.bytes > self.limit_bytes and len(self.records) > 1:
            if self._given:
                if not self._unsure:
                    self._unsure_from = self._oldest
                self._unsure += 1
            self._drop(1)
            self.before = b""
            self.overwritten += 1

    # ---- going out ---------------------------------------------------------------------------

    def fitting(self, most: int, max_bytes: int, overhead_bytes: int = 0) -> int:
        """How many of the oldest records fit, at most `most`; at least one if there is one."""
        size = count = 0
        for record in islice(self.records, most):
            size += len(record) + overhead_bytes
            if size > max_bytes and count:
                break
            count += 1
        return count

    def take(self, count: int) -> list[bytes]:
        """Remove the oldest records for good."""
        return self._drop(count)

    def acknowledge(self, cursor: int) -> None:
        """The client has all records before `cursor`, of 32 bits: drop them.

        TraceError for a cursor that was never given out. One that is long past is ignored: the
        records were overwritten, and counted.
        """
        count = (cursor - self._oldest) & MASK
        if count > len(self.records):
            if (self._oldest - cursor) & MASK > 1 << 31:
                raise TraceError(f"trace cursor {cursor} was never given out")
            count = 0
            self.before = b""
        if self._unsure:  # what arrived before it was overwritten is not lost
            arrived = (cursor - self._unsure_from) & MASK
            if arrived < 1 << 31:
                self.overwritten -= min(arrived, self._unsure)
            self._unsure = 0
        if count:
            self.before = self._drop(count)[-1]

    def first_run(self) -> tuple[Run, int]:
        """The run of the oldest record, or of the next to come, and how many records it has."""
        while len(self._runs) > 1 and self._runs[1].start <= self._oldest:
            self._runs.popleft()
        if len(self._runs) == 1:
            return self._runs[0], len(self.records)
        return self._runs[0], self._runs[1].start - self._oldest

    def give(self, count: int) -> tuple[int, int]:
        """Hand out the oldest records; they stay until acknowledged.

        Returns the cursor behind them, and the sum of ticks left out up to there.
        """
        self._given = max(self._given, count)
        left_out = self._passed + sum(islice(self._left_out, count))
        return (self._oldest + count) & MASK, left_out

    def waiting_tick(self) -> int:
        """Tick of the oldest record; that of the newest when there is none."""
        return tick_of(self.records[0]) if self.records else self.newest_tick

    def _drop(self, count: int) -> list[bytes]:
        dropped = [self.records.popleft() for _ in range(count)]
        self._passed += sum(self._left_out.popleft() for _ in range(count))
        self.bytes -= sum(map(len, dropped)) + count * RECORD_OVERHEAD_BYTES
        self._oldest += count
        self._given = max(0, self._given - count)
        return dropped
