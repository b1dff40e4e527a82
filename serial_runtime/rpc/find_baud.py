# SPDX-License-Identifier: MIT
"""At which rate is the board? Tries the likely ones with the harmless probe.

What is sent at a wrong rate arrives as garbage. Our board resynchronises and answers a plain call
again after a pause, so each probe follows one. (A stock server may not survive garbage.)
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable

from serial_runtime.errors import ConfigError, LinkClosed, LinkError, LinkTimeout
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.transport.base import RatedTransport

_ROUNDS = 2  # a probe may be lost
_PAUSE_S = 0.15  # for the board to trust the line again (it waits 0.1 s)
_NOISE_S = 1.0  # no longer is waited for a pause
_ANSWER_S = 0.3
_CALL, _REPLY = (1 << 24 | Ide.SERVICE_ID << 16 | Ide.MATCHMD5_ID << 8 | kind for kind in (0, 2))
_LONGEST = 4200


def find_baud(
    transport: RatedTransport,
    rates: tuple[int, ...],
    digest: str,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], object] = lambda text: None,
) -> int:
    """Leave the line at the rate where a runtime answers, and return it.

    `rates` are tried in their order, those the port lacks left out; `digest` begins as that of the
    probe. Takes up to about a second for each; `tell` is told when the first was not it. Raises
    LinkTimeout when nobody answers, LinkClosed.
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
            if _answers(transport, digest, clock):
                return baud
            if len(tried) == 1:
                tell(f"no runtime answers at {baud} baud; trying others")
    shown = ", ".join(map(str, dict.fromkeys(tried)))
    port = transport.name.removesuffix(f" at {transport.baud} baud")
    raise LinkTimeout(f"{port}: no runtime answers at any of {shown} baud")


def _answers(transport: RatedTransport, digest: str, clock: Callable[[], float]) -> bool:
    limit_s = clock() + _NOISE_S
    while transport.read(_PAUSE_S) and clock() < limit_s:
        pass
    sequence = secrets.randbelow(1 << 31)
    text = (digest + secrets.token_hex(8)).encode()
    frame = encode_frame(struct.pack("<III", _CALL, sequence, len(text)) + text)
    decoder = FrameDecoder(_LONGEST, _ANSWER_S, resync=True)
    transport.write(frame)
    limit_s = clock() + _ANSWER_S + 2 * len(frame) * 10 / transport.baud
    while (left_s := limit_s - clock()) > 0:
        data = transport.read(left_s)
        for found in decoder.feed(data, clock()) if data else ():
            if found.body.startswith(struct.pack("<II", _REPLY, sequence)):
                return True
    return False
