# SPDX-License-Identifier: MIT
"""When the bytes of one direction have passed the line: 10 bit times each, on an absolute clock."""

from __future__ import annotations

_BITS_PER_BYTE = 10  # start, 8 data, stop
_GROUP_S = 0.001
# What a direction reads ahead of the line, so that a late wake-up costs no line time.
_AHEAD_S = 0.05
_AHEAD_MOST = 8192
_AHEAD_LEAST = 64


class Pace:
    """Bytes waiting for the line. Times are monotonic seconds; ``baud`` None is without bounds.

    ``room`` is how many may wait, ``group`` how many are delivered at a time.
    """

    def __init__(self, baud: float | None) -> None:
        self.queue = bytearray()
        # The line sends byte n of the present burst until start + (n + 1) / rate.
        self._start_s = 0.0
        self._sent = 0
        self.set_baud(baud, 0.0)

    def set_baud(self, baud: float | None, now_s: float) -> None:
        """Another rate from now on."""
        self._rate = None if baud is None else baud / _BITS_PER_BYTE
        self.hold(now_s)
        if self._rate is None:
            self.room = 65536
            self.group = 1
        else:
            self.room = int(min(_AHEAD_MOST, max(_AHEAD_LEAST, self._rate * _AHEAD_S)))
            self.group = max(1, int(self._rate * _GROUP_S))

    def put(self, data: bytes, now_s: float) -> None:
        """Bytes the sender handed over."""
        if not self.queue and now_s > self.passed_s():
            self._start_s, self._sent = now_s, 0
        self.queue += data

    def due(self, now_s: float) -> int:
        """How many queued bytes the line has carried by now."""
        if now_s < self._start_s:
            return 0
        if self._rate is None:
            return len(self.queue)
        carried = int((now_s - self._start_s) * self._rate) - self._sent
        return max(0, min(len(self.queue), carried))

    def next_s(self) -> float:
        """When the next group, or the end of the burst, is due."""
        if self._rate is None:
            return self._start_s
        return self._start_s + (self._sent + min(len(self.queue), self.group)) / self._rate

    def take(self, count: int) -> bytes:
        """``count`` bytes have passed."""
        data = bytes(self.queue[:count])
        del self.queue[:count]
        self._sent += count
        return data

    def passed_s(self) -> float:
        """When the last byte taken had passed."""
        return self._start_s if self._rate is None else self._start_s + self._sent / self._rate

    def hold(self, until_s: float) -> None:
        """The line stands still until then."""
        self._start_s, self._sent = max(self._start_s, until_s), 0

    def clear(self) -> None:
        """What waits is lost."""
        self.queue.clear()
