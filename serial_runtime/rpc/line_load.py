# SPDX-License-Identifier: MIT
"""What a line really carries: echo calls, several under way, for a given time."""

from __future__ import annotations

import os
import time
from collections import deque

from serial_runtime.errors import ProtocolError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.protocol.client_session import Request
from serial_runtime.protocol.codec import Codec
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.link import Link

_UNDER_WAY = 3  # keeps both directions busy
_MOST, _LEAST = 1000, 100
_CALL_S = 0.2  # less than what bounds a reply


class Carried(NamedTuple):
    """The result of a measurement."""

    bytes: int  # of data, each way
    took_s: float
    again: int  # transmissions repeated meanwhile

    @property
    def goodput_Bps(self) -> float:
        """Data a second, each way."""
        return self.bytes / self.took_s


def echo_size(link: Link) -> int:
    """How many bytes an echo call of this link should have: both ways alike."""
    rate_Bps = link.transport.line_rate_Bps
    return _MOST if rate_Bps is None else max(_LEAST, min(_MOST, int(rate_Bps * _CALL_S)))


def echo_for(link: Link, seconds: float, size: int) -> Carried:
    """Send random data and have it sent back for at least so long, `size` bytes a call.

    Fewer bytes a call where a reply has no room for so many.

    Raises ProtocolError when other data comes back, else as a call does.
    """
    again = link.figures.retransmissions
    begin_s = time.monotonic()
    waiting: deque[tuple[Request, bytes]] = deque()
    done = 0
    while waiting or time.monotonic() - begin_s < seconds:
        while len(waiting) < _UNDER_WAY and time.monotonic() - begin_s < seconds:
            data = os.urandom(size)
            codec = Codec()
            codec.write_binary(data)
            request = link.submit(
                IBoardService.SERVICE_ID, IBoardService.ECHO_ID, bytes(codec.buffer), bulk=True
            )
            waiting.append((request, data))
        request, data = waiting.popleft()
        codec = Codec()
        codec.buffer = link.wait(request)
        same = codec.read_binary()
        if not same or not data.startswith(same):
            raise ProtocolError("the board sent other data back than it was sent")
        done += len(same)
        size = min(size, len(same))
    took_s = time.monotonic() - begin_s
    return Carried(done, took_s, link.figures.retransmissions - again)
