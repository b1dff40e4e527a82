# SPDX-License-Identifier: MIT
"""What a link tells of itself: its last messages, and figures of all it has been through."""

from __future__ import annotations

from serial_runtime.named_tuple import NamedTuple


class Message(NamedTuple):
    """A frame body that was sent or received, for an error report."""

    time_s: float  # time.monotonic()
    direction: str  # ">" to the board, "<" from it
    body: bytes
    note: str  # "" or "untrusted"


class LinkFigures(NamedTuple):
    """What a link has been through since it was made; counters only grow."""

    rtt_s: float  # last turnaround: without the line time of the frames and the board's work
    smoothed_s: float
    rto_s: float  # retransmission timeout, likewise without line time
    transmissions: int
    retransmissions: int
    frames: int
    untrusted_frames: int
    header_errors: int
    body_errors: int
    discarded_bytes: int
    sent_bytes: int
    received_bytes: int
    reconnects: int
    window: int  # requests under way at most
    chunk: int  # bytes of data in a request of an upload, at present
