# SPDX-License-Identifier: MIT
"""A higher rate for the time a line is used: the agreement, and how both ends find back.

Theory of operation
-------------------

A line has a *home* rate, which the board's profile names and every client begins with. A client
may ask for another one, `SetBaud(baud)`, with no other call under way:

    client, at home                        board, at home
      | SetBaud(921600) ---------------------> | can the line do it? else refused
      | <----------------------------- done    | drains, switches: on trial
      | drains, switches                       |
      | any call of this session, at 921600 -> | confirmed
      | <------------------------------ done   |

Everything that may go wrong ends with both at home:

- The request is lost: it is repeated at home, as any call.
- The reply is lost, or the line does not carry the new rate: the board hears no envelope of that
  session within `TRIAL_S` and goes home. The client's call is not answered at the new rate within
  `CONFIRM_S`; it goes home, and stays silent there until the board must have come home too.
- Later, neither end may be away without hearing the other: after `SILENCE_S` without an envelope
  the board goes home, after the same time without an answer so does the client. A client with
  nothing to ask would be silent, so it counts on the rate for `IDLE_S` only and then agrees anew.
- BYE of the session takes the board home at once; so does opening the port again, at either end.

At another rate than home the board answers envelopes only: a plain call found there is noise or
belongs to a client that looks for the rate, and that one shall find the home rate.

Sans-IO; times are seconds of any monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

TRIAL_S = 3.0
CONFIRM_S = 1.5
SILENCE_S = 5.0
IDLE_S = 4.0
_AGAIN_S = 60.0  # after a rate did not work


class BoardRate:
    """The board's end: which rate the line runs at, and until when. For one thread at a time."""

    def __init__(self, home: int, baud: int = 0, now_s: float = 0.0) -> None:
        """`baud`: at which the line runs already, when a re-executed process takes it over."""
        self.home = home
        self.baud = baud or home
        self.wanted = self.baud
        """The rate to switch to as soon as all replies are written."""
        self._session: Hashable = 0
        self._confirmed = True
        self._heard_s = now_s

    @property
    def is_away(self) -> bool:
        """Whether the line runs at another rate than home: then answer envelopes only."""
        return self.baud != self.home

    @property
    def due_s(self) -> float:
        """When to call `tick` though nothing arrives."""
        if not self.is_away:
            return math.inf
        return self._heard_s + (SILENCE_S if self._confirmed else TRIAL_S)

    def ask(self, baud: int, session: Hashable) -> None:
        """A client asks for a rate that the line can run at."""
        self.wanted = baud
        self._session = session

    def switched(self, now_s: float) -> None:
        """The line runs at `wanted` now."""
        self.baud = self.wanted
        self._heard_s = now_s
        self._confirmed = not self.is_away

    def heard(self, session: int, now_s: float) -> None:
        """A whole envelope has arrived."""
        if self._confirmed or session == self._session:
            self._confirmed = True
            self._heard_s = now_s

    def ended(self, session: int) -> None:
        """A session was closed."""
        if session == self._session:
            self.wanted = self.home

    def tick(self, now_s: float) -> None:
        """Time has passed without an envelope."""
        if now_s >= self.due_s:
            self.wanted = self.home


class ClientRate:
    """The client's end. `fast` 0: it stays at home. `heard_s`: when a frame came from the board."""

    def __init__(self, home: int, fast: int = 0) -> None:
        self.home = home
        self.fast = fast
        self.baud = home  # at which the line runs now
        self._again_s = -math.inf

    @property
    def is_away(self) -> bool:
        """Whether the line runs at another rate than home."""
        return self.baud != self.home

    def wants_fast(self, now_s: float) -> bool:
        """Whether to ask for the fast rate, before a call when none is under way."""
        return bool(self.fast) and not self.is_away and now_s >= self._again_s

    def is_forgotten(self, now_s: float, heard_s: float) -> bool:
        """Whether the board may have gone home, as it heard nothing; when no call is under way."""
        return self.is_away and now_s >= heard_s + IDLE_S

    def lost_s(self, heard_s: float) -> float:
        """When to go home, while calls are under way and nothing is heard."""
        return heard_s + SILENCE_S if self.is_away else math.inf

    def failed(self, now_s: float) -> None:
        """The fast rate was refused or did not work: not again for a while."""
        self._again_s = now_s + _AGAIN_S
