# SPDX-License-Identifier: MIT
"""The board's log as the client puts it together from its lines, each of which is a call."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from serial_runtime.errors import CallRefused, StateError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.protocol.codec import Codec
from serial_runtime.rpc.ide.common import LogMessage
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.link import Link
from serial_runtime.rpc.plain_refusal import check_value


class LogLine(NamedTuple):
    """One line of the board's log; sec and nsec are the board's CLOCK_REALTIME."""

    level: int  # 0 critical, 1 warning, 2 info, 3 debug
    number: int  # of this level, from 0
    tick: int
    sec: int
    nsec: int
    text: str


def read_log(
    link: Link, levels: Sequence[int], first: Sequence[int], counts: Sequence[int]
) -> list[LogLine]:
    """Lines by time; of each level those from number `first` on, of as many as it `counts`."""
    lines: list[LogLine] = []
    for level in levels:
        lines += _read_level(link, level, first[level], counts[level])
    return sorted(lines, key=lambda line: (line.sec, line.nsec, line.level, line.number))


def _read_level(link: Link, level: int, first: int, count: int) -> list[LogLine]:
    """From the newest back, a window at a time, to the first that is forgotten."""
    lines: list[LogLine] = []
    batch = link.session.hello.window if link.ours else 1
    for top in range(count, first, -batch):
        requests = [
            link.submit(Ide.SERVICE_ID, Ide.GETLOGMESSAGE_ID, struct.pack("<BI", level, number))
            for number in range(top - 1, max(first, top - batch) - 1, -1)
        ]
        try:
            for number, request in zip(range(top - 1, -1, -1), requests, strict=False):
                codec = Codec()
                codec.buffer = link.wait(request)
                line = LogMessage()._read(codec)
                check_value("GetLogMessage", codec.read_uint32())
                lines.append(LogLine(level, number, line.tick, line.sec, line.nsec, line.msg))
        except (StateError, CallRefused):
            return lines
        finally:
            link.drop(requests)
    return lines
