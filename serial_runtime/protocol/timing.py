# SPDX-License-Identifier: MIT
"""What a client learns of a line: how long an answer takes, when the line is free, what it loses.

*Turnaround* is the time from the last byte of a request leaving to the first byte of its reply
arriving, without the time the board worked on it (the reply tells). The line time of both frames is
arithmetic, so only this rest is estimated, as RFC 6298 does it: smoothed mean and mean deviation,
from requests sent once (Karn), or answered twice, which tells that the repetition was too early.
The retransmission timeout is mean + 4 deviations. RFC 6298's least timeout of 1 s is for networks
with hidden queues; a line has none, so `LEAST_WAIT_S` serves.

*Free* is when all that was written has left. It is computed from the rate and kept true by
acknowledgements, so that bulk data is written just before the line runs dry, and a short command
never waits behind more than one chunk.

*Loss* sizes the frames: with h bytes of overhead a frame and one fault every B bytes, goodput is
best with frames of sqrt(h * B) bytes. Sans-IO; times are seconds of any monotonic clock.
"""

from __future__ import annotations

import math

FRAME_HEADER = 6
LONGEST_FRAME = 65535  # what its header can say
# On a line a frame holds up whatever comes behind it, so its length is bounded there: of requests
# in bytes, of replies in seconds.
LINE_FRAME, REPLY_S = 4200, 0.3
IDLE_S = 0.1  # of silence, after which a decoder is in step again
LEAST_WAIT_S = 0.03  # a loaded host stalls so long without anything being lost
_MOST_WAIT_S = 4.0  # between repetitions
_GRANULARITY_S = 0.005  # of clocks, polls and scheduling on both sides
_REPLY_BYTES = 100  # what a reply is taken to be; a longer one is noticed by its arriving bytes
LEAD_S = 0.02  # bulk data is written so long before the line runs dry
_CHUNK_LINE_S = 0.2  # so long a chunk may take on the line; a short command waits behind one
LEAST_CHUNK, MOST_CHUNK = 256, 4096


class LossMeter:
    """How many bytes a line carries between two frames lost; recent bytes weigh more."""

    # As if one frame had been lost in 100 kB: chunks of about 2 kB until the line is known.
    _PRIOR_BYTES = 100_000.0
    _MEMORY_BYTES = 1_000_000.0

    def __init__(self) -> None:
        self._bytes = self._PRIOR_BYTES
        self._losses = 1.0

    def carried(self, count: int) -> None:
        """Bytes were transmitted."""
        self._bytes += count
        if self._bytes > self._MEMORY_BYTES:
            self._bytes /= 2
            self._losses /= 2

    def lost(self) -> None:
        """A frame did not arrive."""
        self._losses += 1

    def best_bytes(self, overhead: float) -> int:
        """The frame size of the best goodput, when each frame costs `overhead` bytes beside."""
        return int(math.sqrt(overhead * self._bytes / self._losses))


class Line:
    """The line as its client sees it.

    `rate_Bps` is None where frames take no time worth counting. `first_wait_s` is how long the
    other end may take to answer before anything is known of it, and `least_wait_s` in any case.
    """

    def __init__(
        self, rate_Bps: float | None, first_wait_s: float, least_wait_s: float = LEAST_WAIT_S
    ) -> None:
        self.rtt_s = 0.0  # the last turnaround
        self.smoothed_s = 0.0
        self.loss = LossMeter()
        self._deviation_s = 0.0
        self._wait_s = first_wait_s
        self._least_wait_s = min(first_wait_s, least_wait_s)
        self._known = False
        self.set_rate(rate_Bps)

    def set_rate(self, rate_Bps: float | None) -> None:
        """The line runs at another rate now, and nothing is on its way."""
        self.paced = rate_Bps is not None
        self._rate_Bps = rate_Bps or math.inf
        self._free_s = 0.0

    def sent(self, body: bytes, now_s: float) -> float:
        """A body was written; returns when it will have left."""
        self._free_s = max(self._free_s, now_s) + self.time_s(len(body))
        return self._free_s

    def time_s(self, body_bytes: int) -> float:
        """What a frame with such a body takes on the line."""
        return (body_bytes + FRAME_HEADER) / self._rate_Bps

    @property
    def free_s(self) -> float:
        """When all that was written has left."""
        return self._free_s

    def queued_s(self, now_s: float) -> float:
        """How long the line is still busy with what was written."""
        return max(0.0, self._free_s - now_s)

    def answered(self, left_s: float, reply_bytes: int, took_s: float, now_s: float) -> None:
        """A request that left at `left_s` was answered at `now_s`."""
        self.rtt_s = max(0.0, now_s - left_s - self.time_s(reply_bytes) - took_s)
        if not self._known:
            self._known = True
            self.smoothed_s, self._deviation_s = self.rtt_s, self.rtt_s / 2
        else:
            self._deviation_s += (abs(self.smoothed_s - self.rtt_s) - self._deviation_s) / 4
            self.smoothed_s += (self.rtt_s - self.smoothed_s) / 8
        wait_s = self.smoothed_s + max(_GRANULARITY_S, 4 * self._deviation_s)
        self._wait_s = min(max(wait_s, self._least_wait_s), max(_MOST_WAIT_S, self._least_wait_s))

    def acknowledged(self, behind_bytes: int, reply_bytes: int, now_s: float) -> None:
        """A request has arrived; `behind_bytes` (frames) were written after it.

        So they have at most their own time to go, and at least that less what the answer took.
        """
        rest_s = behind_bytes / self._rate_Bps
        earliest_s = now_s - self.smoothed_s - self.time_s(reply_bytes) + rest_s
        self._free_s = min(max(self._free_s, earliest_s), now_s + rest_s)

    @property
    def wait_s(self) -> float:
        """The retransmission timeout, without the line time of the frames.

        So long a silence also tells that no reply is under way: an adapter holds the end of one
        back for up to 16 ms.
        """
        return self._wait_s

    def due_s(self, now_s: float, times: int) -> float:
        """When to repeat what was written last, after writing it so many times."""
        wait_s = _REPLY_BYTES / self._rate_Bps + self._wait_s
        doubled_s: float = wait_s * 2 ** min(times - 1, 10)
        return max(self._free_s, now_s) + min(doubled_s, max(wait_s, _MOST_WAIT_S))

    @property
    def flight_bytes(self) -> float:
        """What has left and is not answered yet, on a line that is kept full."""
        return self._rate_Bps * (self._wait_s + LEAD_S)

    def chunk(self, overhead: int) -> int:
        """The bytes of data for one bulk request, which costs `overhead` bytes beside."""
        best = min(MOST_CHUNK, self.loss.best_bytes(overhead), self._rate_Bps * _CHUNK_LINE_S)
        return max(LEAST_CHUNK, int(best))

    def reset(self) -> None:
        """The link was opened again: nothing is on its way."""
        self._free_s = 0.0
