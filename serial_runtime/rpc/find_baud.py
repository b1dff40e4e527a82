# SPDX-License-Identifier: MIT
"""At which rate is the board? Tries the likely ones with the harmless probe.

What is sent at a wrong rate arrives as garbage. Our board resynchronises and answers a plain call
again after a pause, so each probe follows one. (A stock server may not survive garbage.)
"""

from __future__ import annotations

import time
from collections.abc import Callable

from serial_runtime.errors import ConfigError, LinkClosed, LinkError, LinkTimeout
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.protocol.plain_session import PlainSession
from serial_runtime.protocol.timing import LINE_FRAME, Line
from serial_runtime.rpc.probe import probe_call
from serial_runtime.transport.interface import RatedTransport

_ROUNDS = 2  # a probe may be lost
_PAUSE_S = 0.15  # for the board to trust the line again (it waits 0.1 s)
_NOISE_S = 1.0  # no longer is waited for a pause
_ANSWER_S = 0.3


def find_baud(
    transport: RatedTransport,
    rates: tuple[int, ...],
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], object] = lambda text: None,
) -> int:
    """Leave the line at the rate where a runtime answers, and return it.

    `rates` are tried in their order, those the port lacks left out. Takes up to about a second
    for each; `tell` is told when the first was not it. Raises LinkTimeout when nobody answers,
    LinkClosed.
    """
    tried = []
    for _ in range(_ROUNDS):
        for baud in rates:
            try:
                transport.switch_rate(baud)
            except LinkClosed:
                raise
            except (ConfigError, LinkError):
                continue
            tried.append(baud)
            if _answers(transport, clock):
                return baud
            if len(tried) == 1:
                tell(f"no runtime answers at {baud} baud; trying others")
    shown = ", ".join(map(str, dict.fromkeys(tried)))
    port = transport.name.removesuffix(f" at {transport.baud} baud")
    raise LinkTimeout(f"{port}: no runtime answers at any of {shown} baud")


def _answers(transport: RatedTransport, clock: Callable[[], float]) -> bool:
    limit_s = clock() + _NOISE_S
    while transport.read(_PAUSE_S) and clock() < limit_s:
        pass
    session = PlainSession(Line(transport.line_rate_Bps, _ANSWER_S))
    request = session.submit(*probe_call())
    frame = b"".join(map(encode_frame, session.send(clock())))
    decoder = FrameDecoder(LINE_FRAME, _ANSWER_S, resync=True)
    transport.write(frame)
    limit_s = clock() + _ANSWER_S + 2 * len(frame) * 10 / transport.baud
    while not request.done and (left_s := limit_s - clock()) > 0:
        data = transport.read(left_s)
        for found in decoder.feed(data, clock()) if data else ():
            session.receive(found.body, clock())
    return request.done
