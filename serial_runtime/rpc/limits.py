# SPDX-License-Identifier: MIT
"""What one link bears: how long its requests and replies may be."""

from __future__ import annotations

from serial_runtime.protocol.timing import LINE_FRAME, LONGEST_FRAME, REPLY_S, LossMeter

REPLY_OVERHEAD = 64
"""Bytes of a reply beside its one output of variable length: envelope and other outputs."""
_LEAST_REPLY = 300  # bytes, or nothing fits at 300 baud
_LEAST_LONG_REPLY = 512
# What a long reply costs beside its data: envelope and request, and the pause before the next one.
_REPLY_COST, _REPLY_GAP_S = 80.0, 0.005


class Limits:
    """What one link bears.

    `max_frame` is the longest request the board takes. Replies of variable length keep to
    `reply_bytes`, frame header not counted: at most `most_reply`, and less on a line that damages
    long ones, see `loss`.
    """

    def __init__(self, most_reply: int, max_frame: int, reply_cost: float = 0.0) -> None:
        """`reply_cost`: the bytes of line that a reply takes beside its data; 0: loses nothing."""
        self.max_frame = max_frame
        self.loss = LossMeter()
        self.most_reply = most_reply
        self._reply_cost = reply_cost

    def become(self, other: Limits) -> None:
        """The line runs at another rate now, which bears this."""
        self.most_reply, self._reply_cost = other.most_reply, other._reply_cost

    @property
    def reply_bytes(self) -> int:
        """The longest reply at present."""
        if not self._reply_cost:
            return self.most_reply
        best = self.loss.best_bytes(self._reply_cost)
        return max(min(_LEAST_LONG_REPLY, self.most_reply), min(self.most_reply, best))


def limits_of(line_rate_Bps: float | None, reliable: bool) -> Limits:
    """What a link of this rate (None: not paced) bears."""
    if reliable or line_rate_Bps is None:
        return Limits(LONGEST_FRAME, LONGEST_FRAME)
    most = max(_LEAST_REPLY, min(LONGEST_FRAME, int(line_rate_Bps * REPLY_S)))
    return Limits(most, LINE_FRAME, _REPLY_COST + line_rate_Bps * _REPLY_GAP_S)
