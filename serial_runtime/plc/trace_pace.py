# SPDX-License-Identifier: MIT
"""By how much a trace is decimated when the line is too slow for every tick.

Of the ticks the board then keeps those that a power of two divides: a stated factor, not what
happened to get through. The factor rises

- when the client is more than `LAG_S` behind and has not gained on the board for `WINDOW_S`: by as
  much as the line is too slow, in one step. A client that catches up, or that was away for a while
  (an unplugged line), changes nothing;
- when the buffer fills beyond three quarters, whatever the reason.

It is halved after the client had everything at every fetch for a while; that while doubles when
the factor had to rise again soon after, so it does not swing. What rises applies to the records
that wait, too: the client is up to date again at once, and the buffer has room.

Lag and speed are measured in ticks, so nothing here knows the period of the program.
"""

from __future__ import annotations

LAG_S = 2.0
WINDOW_S = 2.0
MOST = 1 << 16
_GAP_S = 1.0  # between two fetches; longer: the client was away, that tells nothing of the line
_PATIENCE_S = 10.0
_LONGEST_PATIENCE_S = 320.0
_SOON_S = 60.0
_MASK = 0xFFFFFFFF
_BACKWARDS = 1 << 31  # ticks began again at 0


class Pace:
    """The factor of decimation of one trace that the board decides."""

    def __init__(self, now_s: float) -> None:
        self.every = 1
        self._fetched_s = now_s
        self._since: tuple[float, int, int] | None = None  # time, newest tick, waiting tick
        self._all_since_s: float | None = None
        self._patience_s = _PATIENCE_S
        self._lowered_s = -_SOON_S

    def fetching(self, now_s: float, newest: int, waiting: int) -> bool:
        """Called when the client fetches: ticks of the newest record, and of the oldest waiting.

        True: the factor rises.
        """
        away = now_s - self._fetched_s > _GAP_S
        self._fetched_s = now_s
        if away or self._since is None:
            self._since = (now_s, newest, waiting)
            return False
        since_s, newest_then, waiting_then = self._since
        elapsed_s = now_s - since_s
        if elapsed_s < WINDOW_S:
            return False
        self._since = (now_s, newest, waiting)
        came = (newest - newest_then) & _MASK
        went = (waiting - waiting_then) & _MASK
        lag = (newest - waiting) & _MASK
        if max(came, went, lag) >= _BACKWARDS or not went:
            return False
        if lag * elapsed_s <= LAG_S * came or went > came:
            return False
        factor = 2
        while factor * went < came:
            factor *= 2
        return self.rise(now_s, factor)

    def rise(self, now_s: float, factor: int = 2) -> bool:
        """Raise the factor; False when it is the highest already."""
        if now_s - self._lowered_s < _SOON_S:
            self._patience_s = min(2 * self._patience_s, _LONGEST_PATIENCE_S)
            self._lowered_s = now_s - _SOON_S
        before = self.every
        self.every = min(before * factor, MOST)
        self._all_since_s = None
        return self.every > before

    def fetched(self, now_s: float, everything: bool) -> bool:
        """Called when a batch was handed out, with or without all there was.

        True: the factor falls.
        """
        if not everything:
            self._all_since_s = None
        elif self._all_since_s is None:
            self._all_since_s = now_s
        elif self.every > 1 and now_s - self._all_since_s > self._patience_s:
            self.every //= 2
            self._all_since_s = self._lowered_s = now_s
            return True
        return False

    def forget(self) -> None:
        """The ticks begin again at 0."""
        self._since = None
