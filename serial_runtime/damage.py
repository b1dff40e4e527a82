# SPDX-License-Identifier: MIT
"""What a bad line does to bytes: the fault engine of the loop transport and the line emulator.

Faults strike byte positions. They are named exactly ("flip bit 0 of the 12th byte from now"), or
drawn at a rate: then the distance to the next fault is drawn from the geometric distribution, so
bytes between faults cost nothing. Every kind has a random source of its own, so the same seed, the
same rates and the same number of bytes meet the same faults, in whatever pieces the bytes come.

A leaf: it knows neither ttys nor time.
"""

from __future__ import annotations

import heapq
import math
import threading
from dataclasses import dataclass
from random import Random

from serial_runtime.errors import ConfigError

KINDS = ("ber", "burst", "drop", "insert", "duplicate")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often each kind of fault strikes, as probabilities; 0 is never.

    Raises ConfigError for what is no probability.
    """

    ber: float = 0.0
    """Bit errors, per bit."""
    burst: float = 0.0
    """Beginnings of a stretch of random bytes, per byte."""
    burst_bytes: int = 32
    """Mean length of such a stretch (1 to twice this, less one)."""
    drop: float = 0.0
    """Lost bytes, per byte."""
    insert: float = 0.0
    """Random bytes put before a byte, per byte."""
    duplicate: float = 0.0
    """Bytes that arrive twice, per byte."""

    def __post_init__(self) -> None:
        for kind in KINDS:
            if not 0 <= getattr(self, kind) <= 1:
                raise ConfigError(f"{kind}: {getattr(self, kind)} is no probability from 0 to 1")
        if self.burst_bytes < 1:
            raise ConfigError(f"burst_bytes: {self.burst_bytes} is no length; give at least 1")


class Damage:
    """Faults of one direction. Any thread; positions count the bytes that pass from now on."""

    def __init__(self, seed: object = 0) -> None:
        self._lock = threading.Lock()
        self._position = 0
        self._rates = Rates()
        self._random = {kind: Random(f"{seed}/{kind}") for kind in KINDS}
        # The position at which each kind strikes next, and for "ber" the bit's (8 to a byte).
        self._due: dict[str, float] = dict.fromkeys(KINDS, math.inf)
        self._bit = 0
        self._burst_end = 0
        self._flips: dict[int, int] = {}
        self._drops: set[int] = set()
        self._inserts: dict[int, bytes] = {}
        self._exact: list[int] = []  # a heap of the positions in the three above
        self._next = math.inf  # the first position at which anything happens
        self._hits = dict.fromkeys(KINDS, 0)
        self.muted = False
        """While true, everything is lost."""

    def set_rates(self, rates: Rates) -> None:
        """From now on; kinds whose rate stays keep the place of their next fault."""
        with self._lock:
            old, self._rates = self._rates, rates
            for kind in KINDS:
                if getattr(old, kind) != getattr(rates, kind):
                    self._bit = 8 * self._position - 1 if kind == "ber" else self._bit
                    self._due[kind] = self._position - 1
                    self._draw(kind)
            self._seek()

    def flip(self, at: int, mask: int = 0x01) -> None:
        """Exclusive-or byte ``at`` with ``mask``."""
        with self._lock:
            self._flips[self._place(at)] = mask

    def drop(self, at: int, count: int = 1) -> None:
        """Lose ``count`` bytes from byte ``at`` on."""
        with self._lock:
            for one in range(at, at + count):
                self._drops.add(self._place(one))

    def insert(self, at: int, data: bytes) -> None:
        """Put ``data`` before byte ``at``."""
        with self._lock:
            self._inserts[self._place(at)] = data

    def hits(self) -> dict[str, int]:
        """What struck so far, by kind: bits, bursts, and bytes dropped, inserted, duplicated."""
        with self._lock:
            return dict(self._hits)

    def apply(self, data: bytes) -> bytes:
        """Return what becomes of ``data``, which has passed then."""
        with self._lock:
            first, end = self._position, self._position + len(data)
            self._position = end
            if self._next >= end:
                return b"" if self.muted else bytes(data)
            result = bytearray()
            copied = first
            while self._next < end:
                place = int(self._next)
                result += data[copied - first : place - first]
                result += self._strike(place, data[place - first])
                copied = place + 1
                self._seek()
            result += data[copied - first :]
            return b"" if self.muted else bytes(result)

    def _place(self, at: int) -> int:
        """The position of byte ``at``, where something will happen."""
        if at < 0:
            raise ConfigError(f"a fault at byte {at} would be in the past; give 0 or more")
        self._strike_at(self._position + at)
        return self._position + at

    def _strike_at(self, place: int) -> None:
        heapq.heappush(self._exact, place)
        self._next = min(self._next, place)

    def _draw(self, kind: str) -> None:
        """Move the place of the next fault on, by a geometric distance."""
        rate = getattr(self._rates, kind)
        if rate == 0:
            self._due[kind] = math.inf
            return
        distance = 0
        if rate < 1:
            distance = int(math.log(1 - self._random[kind].random()) / math.log1p(-rate))
        if kind == "ber":
            self._bit += 1 + distance
            self._due[kind] = self._bit // 8
        else:
            self._due[kind] += 1 + distance

    def _seek(self) -> None:
        """Find the first place at which anything happens."""
        self._next = min(self._due.values())
        if self._exact:
            self._next = min(self._next, self._exact[0])

    def _strikes(self, kind: str, place: int) -> bool:
        if self._due[kind] != place:
            return False
        self._hits[kind] += 1
        self._draw(kind)
        return True

    def _strike(self, place: int, value: int) -> bytes:
        """What becomes of the byte at ``place``."""
        while self._exact and self._exact[0] == place:
            heapq.heappop(self._exact)
        before = self._inserts.pop(place, b"")
        self._hits["insert"] += len(before)
        if self._strikes("insert", place):
            before += self._random["insert"].randbytes(1)
        mask = self._flips.pop(place, 0)
        while self._due["ber"] == place:
            mask ^= 1 << self._bit % 8
            self._draw("ber")
        self._hits["ber"] += mask.bit_count()
        if self._strikes("burst", place):
            self._burst_end = place + self._random["burst"].randint(
                1, 2 * self._rates.burst_bytes - 1
            )
        if place < self._burst_end:
            mask = self._random["burst"].randrange(256)
            if place + 1 < self._burst_end:
                self._strike_at(place + 1)
        copies = 1
        if self._strikes("duplicate", place):
            copies = 2
        if place in self._drops:
            self._drops.remove(place)
            self._hits["drop"] += 1
            copies = 0
        if self._strikes("drop", place):
            copies = 0
        return before + bytes([value ^ mask]) * copies
