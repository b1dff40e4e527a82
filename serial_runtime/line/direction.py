# SPDX-License-Identifier: MIT
"""One direction of the cable, from the sender's tty to the receiver's.

::

    sender's tty → pace → damage → latency → adapter → outbox → receiver's tty

The outbox holds what the receiver's tty does not take at once. While it is not empty the line
stands still (the receiver pushes back), or, with an overrun, the line goes on and what is too much
is dropped.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from random import Random

from serial_runtime.damage import Damage
from serial_runtime.line.adapter import Adapter
from serial_runtime.line.conditions import Conditions, Counters
from serial_runtime.line.end import TTY_HOLDS, End
from serial_runtime.line.pace import Pace

# How often a reader that is behind is looked at; a tty does not tell when it was read.
_LOOK_S = 0.001
_BREAK, _STALL, _DISCONNECT, _GARBAGE = "breaks", "stalls", "disconnects", "garbage"
# How far two UARTs may be apart, start bit to stop bit.
_RATE_TOLERANCE = 0.04
# A slow byte has at most so many edges that a fast receiver takes for start bits.
_MOST_BYTES_OF_ONE = 5


class Direction:
    """Used by the cable's thread alone. Times are monotonic seconds."""

    def __init__(
        self, source: str, target: str, baud: float | None, seed: str, follow: bool = False
    ) -> None:
        self.source, self.target = source, target
        """Names of the ends."""
        self.pace = Pace(baud)
        self.damage = Damage(seed)
        self.conditions = Conditions()
        self._adapter = Adapter()
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._outbox = bytearray()
        self._counters = Counters()
        self._look_s = 0.0
        self._unread = 0  # at most so much of what was delivered is still unread
        kinds = (_BREAK, _STALL, _DISCONNECT)
        self._random = {kind: Random(f"{seed}/{kind}") for kind in (*kinds, _GARBAGE)}
        self._event_s = dict.fromkeys(kinds, math.inf)
        self._follow = follow
        self._baud = 0  # of the sender, when it is followed

    def set_conditions(self, conditions: Conditions, now_s: float) -> None:
        """From now on. What is on its way keeps its latency."""
        old, self.conditions = self.conditions, conditions
        self.damage.set_rates(conditions)
        if not conditions.turnaround_s:
            self._outbox += self._adapter.pass_on(b"", now_s)
        self._adapter.timer_s = conditions.turnaround_s
        for kind in self._event_s:
            if getattr(old, f"{kind}_per_s") != getattr(conditions, f"{kind}_per_s"):
                self._event_s[kind] = now_s
                self._draw(kind)

    def counters(self) -> Counters:
        """What happened so far."""
        hits = self.damage.hits()
        return replace(
            self._counters,
            bit_errors=hits["ber"],
            bursts=hits["burst"],
            dropped=hits["drop"],
            inserted=hits["insert"],
            duplicated=hits["duplicate"],
        )

    def clear(self) -> None:
        """An end was pulled out: what is under way is lost."""
        held = len(self.pace.queue) + len(self._adapter.held) + len(self._outbox)
        self._counters.lost += held + sum(len(data) for _, data in self._delayed)
        self.pace.clear()
        self._delayed.clear()
        self._adapter.held.clear()
        self._outbox.clear()

    def upset(self, now_s: float) -> bool:
        """Let the breaks and stalls happen that are due; return whether a disconnect is."""
        if now_s >= self._event_s[_BREAK]:
            self._draw(_BREAK)
            self.send_break(now_s)
        if now_s >= self._event_s[_STALL]:
            self._draw(_STALL)
            self.stall(self.conditions.stall_s, now_s)
        if now_s < self._event_s[_DISCONNECT]:
            return False
        self._draw(_DISCONNECT)
        return True

    def send_break(self, now_s: float) -> None:
        """The byte under way is lost, and a zero byte arrives: what a raw tty shows of a break."""
        self._counters.breaks += 1
        self._counters.lost += len(self.pace.take(1))
        self._delayed.append((now_s + self.conditions.latency_s, b"\0"))

    def stall(self, duration_s: float, now_s: float) -> None:
        """Nothing moves for a while."""
        self._counters.stalls += 1
        self.pace.hold(now_s + duration_s)

    def disconnected(self) -> None:
        """The receiving end was pulled out since a disconnect was due."""
        self._counters.disconnects += 1

    def next_s(self) -> float:
        """When there is something to do again, as far as time is concerned."""
        next_s = min(self._event_s.values())
        if self._delayed:
            next_s = min(next_s, self._delayed[0][0])
        if self._adapter.held:
            next_s = min(next_s, self._adapter.next_s())
        if self._outbox and self.conditions.overrun_bytes:
            next_s = min(next_s, self._look_s)
        if self.pace.queue and (not self._outbox or self.conditions.overrun_bytes):
            next_s = min(next_s, self.pace.next_s())
        return next_s

    def carry(self, source: End | None, target: End | None, now_s: float) -> int | None:
        """Take bytes in and deliver what is due; return the descriptor that is full, if it is."""
        pace, counters = self.pace, self._counters
        if source is not None:
            # Before delivering, so that a late wake-up sees no gap where the sender made none.
            room = pace.room - len(pace.queue) + pace.due(now_s)
            if room > 0 and (data := source.read(room)):
                if self._follow and (baud := source.baud()) != self._baud:
                    self._baud = baud
                    pace.set_baud(baud, now_s)
                pace.put(data, now_s)
        if self._outbox and not self.conditions.overrun_bytes:
            pace.hold(now_s)
        elif due := pace.due(now_s):
            counters.carried += due
            arriving = self.damage.apply(pace.take(due))
            if self._follow and target is not None:
                arriving = self._sampled(arriving, target.baud())
            self._delayed.append((pace.passed_s() + self.conditions.latency_s, arriving))
        while self._delayed and self._delayed[0][0] <= now_s:
            at_s, arriving = self._delayed.popleft()
            self._outbox += self._adapter.pass_on(arriving, at_s)
        if self._adapter.held and self._adapter.next_s() <= now_s:
            self._outbox += self._adapter.pass_on(b"", now_s)
        if not self._outbox:
            return None
        if target is None or not target.is_open():
            counters.lost += len(self._outbox)
            self._outbox.clear()
            self._unread = 0
            return None
        if self.conditions.overrun_bytes:
            # A group comes at once, a UART's bytes one by one: the reader must have a chance.
            most = max(self.conditions.overrun_bytes, 2 * pace.group)
            self._deliver_or_drop(target, most, now_s)
            return None
        self._write(target, len(self._outbox))
        return target.master if self._outbox else None

    def _sampled(self, data: bytes, baud: int) -> bytes:
        """What a receiver that runs at this rate makes of it."""
        if abs(baud - self._baud) <= _RATE_TOLERANCE * baud or not data:
            return data
        self._counters.garbled += len(data)
        count = min(len(data) * baud // max(1, self._baud), len(data) * _MOST_BYTES_OF_ONE)
        return self._random[_GARBAGE].randbytes(max(1, count))

    def _write(self, target: End, count: int) -> None:
        taken = target.write(self._outbox[:count])
        del self._outbox[:taken]
        self._counters.delivered += taken
        self._unread += taken

    def _deliver_or_drop(self, target: End, most: int, now_s: float) -> None:
        """Fill the tty as far as it tells what is unread, and keep the rest up to ``most``."""
        tty_most = min(most, TTY_HOLDS)
        if self._unread + len(self._outbox) > tty_most:
            self._unread = target.unread()
        room = max(0, tty_most - self._unread)
        if room:
            self._write(target, room)
        beyond = self._unread + len(self._outbox) - most
        if beyond > 0:
            del self._outbox[-beyond:]
            self._counters.overrun += beyond
        self._look_s = now_s + _LOOK_S

    def _draw(self, kind: str) -> None:
        """When the next event of this kind happens."""
        rate = getattr(self.conditions, f"{kind}_per_s")
        self._event_s[kind] += self._random[kind].expovariate(rate) if rate else math.inf
