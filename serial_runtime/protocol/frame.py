# SPDX-License-Identifier: MIT
"""The stock eRPC frame, with resynchronisation. Sans-IO: bytes and times in, frames out.

Theory of operation
===================

A frame is ``u16 header_crc, u16 length, u16 body_crc, body[length]``, little-endian, with
``header_crc = crc16(length) + crc16(body_crc)`` (mod 2**16). There is no start mark and no escape:
any byte may follow any other, so a receiver that has lost its place can only try positions.

*In sync.* As long as every frame follows the one before it, the decoder reads a header, waits for
that many bytes, checks the body's CRC and hands the frame out as **trusted**. One pass; nothing is
looked at byte by byte. An in-sync frame may have any length up to 65535, but a length above
``max_body`` (only a stock client sends such frames) also needs a plausible message word, and
while it is incomplete the search described next runs inside it, so that a forged length holds
nothing up.

*Out of sync.* A wrong header CRC or body CRC ends the trust. From the byte after the start of the
bad frame on, every position is a possible header: one whose CRC is right, whose length is at least
a message header and at most ``max_body``, and whose message word is plausible (codec version 1,
service 1 or 2, message type 0 to 3) becomes a *candidate*. All candidates are followed in parallel,
none blocks another, and each ends when its body is complete: the CRC tells. Random data holds a
false header about every 64 KiB, one with a plausible word every 2**37 bytes. Memory is bounded by
the longest candidate. Frames found this way are handed out as **not trusted**.

*Packet in packet.* Data being uploaded can contain a whole valid frame. When the header of the
frame around it is damaged, the inner one is found by the search and looks like any other. Hence
the consumer must execute nothing from an untrusted frame unless the frame itself proves where it
comes from: an envelope of service 2 that carries the tag of a known session. When it does, the
consumer says so with :meth:`FrameDecoder.confirm` and the decoder is in sync behind that frame.

*Silence.* Otherwise only a pause of the line restores the trust. ``idle_s`` without a byte ends
every partial frame (and frames hidden inside it are found and handed out, untrusted); whatever
comes next starts at a frame boundary. The pause must be much longer than a character: USB adapters
and loaded hosts pause in the middle of frames. And it must have been observed: a late call of
:meth:`FrameDecoder.feed` may just as well mean that the reader was late, with a frame's second half
in the tty's buffer since long. So silence is what :meth:`FrameDecoder.tick` says it is. A driver
waits for bytes no longer than until :attr:`FrameDecoder.deadline_s`, then calls ``feed`` with what
came, or ``tick`` when nothing did.

On a reliable stream (``resync=False``: TCP) an error cannot be noise: the peer speaks something
else, and :class:`~serial_runtime.errors.ProtocolError` tells to close the connection.
"""

from __future__ import annotations

import re
from struct import Struct

from serial_runtime.errors import ProtocolError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.protocol.crc import crc16

HEADER_SIZE = 6
MAX_BODY = 0xFFFF
# A message is at least its word and its sequence number.
_MIN_BODY = 8
# A position can be judged once its header and message word are there.
_JUDGED_SIZE = HEADER_SIZE + 4

_HEADER = Struct("<HHH")
_WORDS = Struct("<HH")
# type, method, service, codec version; a lookahead, for hits may overlap.
_PLAUSIBLE = re.compile(rb"(?s)(?=[\x00-\x03].[\x01\x02]\x01)")


def _header_check(length: int, body_check: int) -> int:
    words = _WORDS.pack(length, body_check)
    return (crc16(words[:2]) + crc16(words[2:])) & 0xFFFF


def encode_frame(body: bytes | bytearray | memoryview) -> bytes:
    """Return ``body`` (a message of at most 65535 bytes) as one frame. Any thread.

    Raises ProtocolError when the body is too long for the format.
    """
    length = len(body)
    if length > MAX_BODY:
        raise ProtocolError(f"message of {length} bytes: a frame holds at most {MAX_BODY}")
    body_check = crc16(body)
    return b"".join((_HEADER.pack(_header_check(length, body_check), length, body_check), body))


class Frame(NamedTuple):
    """A frame whose CRCs are right.

    ``trusted``: no error since the line was idle. Of an untrusted frame execute nothing unless it
    is an envelope of a known session. ``end`` is its place in the stream, for ``confirm``.
    """

    body: bytes
    trusted: bool
    end: int = 0


class FrameCounters:
    """What happened on one line since the decoder was made; plain integers, only growing."""

    __slots__ = (
        "body_errors",
        "discarded_bytes",
        "expired",
        "frames",
        "header_errors",
        "untrusted",
    )

    def __init__(self) -> None:
        self.frames = 0
        """Frames handed out, trusted or not."""
        self.untrusted = 0
        """Those of them that were not trusted."""
        self.header_errors = 0
        """Times the place was lost at a header."""
        self.body_errors = 0
        """Times the place was lost at a body."""
        self.discarded_bytes = 0
        """Bytes that belong to no frame handed out."""
        self.expired = 0
        """Partial frames ended by silence."""


class _Candidate(NamedTuple):
    start: int
    end: int
    body_check: int


class FrameDecoder:
    """Turns the bytes of one line into frames. Not thread-safe: one thread owns a decoder.

    ``max_body``: longest body expected, bytes (the negotiated maximum; on a UART about 4200).
    Longer ones are taken in sync only, and never with ``resync=False``.
    ``idle_s``: silence that ends a partial frame and restores trust, seconds;
    ``max(0.1, 4 * round trip)``. Both may be assigned later.
    ``resync=False``: any error raises ProtocolError, and silence means nothing.
    ``opened_s``: give the time when the line was opened if it may have been opened in the middle
    of a frame; the first frame is then trusted only after ``idle_s`` of silence.

    All times are monotonic seconds.
    """

    def __init__(
        self, max_body: int, idle_s: float, resync: bool = True, opened_s: float | None = None
    ) -> None:
        self.max_body = max_body
        self.idle_s = idle_s
        self.counters = FrameCounters()
        self._resync = resync
        self._failure = ""
        self._in_sync = opened_s is None
        self._last_s = opened_s if opened_s is not None else float("-inf")
        self._buffer = bytearray()
        # Offsets below are places in the stream; this is that of the buffer's first byte.
        self._base = 0
        # Fewer buffered bytes than this cannot change anything; 0 while searching.
        self._need = HEADER_SIZE if self._in_sync else 0
        # In sync, but search inside the incomplete frame all the same: its length is doubtful.
        self._doubt = False
        # The search: next position to judge, candidates by start, and the untrusted frames handed
        # out, start -> end: those with bytes still buffered, and those of the last call.
        self._scan = 0
        self._candidates: list[_Candidate] = []
        self._found: dict[int, int] = {}
        self._recent: dict[int, int] = {}

    @property
    def in_sync(self) -> bool:
        """Whether the next frame would be trusted."""
        return self._in_sync

    @property
    def is_empty(self) -> bool:
        """Whether all bytes were handed out in frames."""
        return not self._buffer

    @property
    def deadline_s(self) -> float | None:
        """When :meth:`tick` is due unless bytes come before, or None when it is not needed."""
        if self._failure:
            return self._last_s
        if not self._resync or (self._in_sync and not self._buffer):
            return None
        return self._last_s + self.idle_s

    def feed(self, data: bytes | bytearray | memoryview, now_s: float) -> list[Frame]:
        """Take bytes that arrived at ``now_s``; return the frames they complete, in order.

        Raises ProtocolError with ``resync=False`` only. Frames before an error are returned
        first; the next call then raises.
        """
        frames: list[Frame] = []
        if self._failure:
            raise ProtocolError(self._failure)
        if self._recent:
            self._recent.clear()
        if not data:
            return frames
        self._last_s = now_s
        self._buffer += data
        if len(self._buffer) >= self._need:
            if self._in_sync:
                self._read_in_sync(frames)
            if self._need == 0:
                self._search(frames)
        if self._failure and not frames:
            raise ProtocolError(self._failure)
        return frames

    def tick(self, now_s: float) -> list[Frame]:
        """A read at ``now_s`` found nothing: end what has waited for ``idle_s``.

        Returns complete frames that were hidden inside a partial one; they are not trusted.
        """
        frames: list[Frame] = []
        if self._failure:
            raise ProtocolError(self._failure)
        self._recent.clear()
        due_s = self.deadline_s
        if due_s is not None and now_s >= due_s:
            self._expire(frames)
        return frames

    def confirm(self, frame: Frame | None = None) -> None:
        """The consumer verified an untrusted frame of the last call: in sync behind it.

        Without an argument: the only one, or any of a gapless chain of them. Does nothing when an
        error followed the frame, or when it is not clear which frame is meant.
        """
        ends = self._recent.values() if frame is None else (frame.end,)
        places = {self._chain_end(end) for end in ends}
        if len(places) != 1 or (self._in_sync and self._need):
            return
        place = places.pop()
        if place < self._scan and all(place != one.start for one in self._candidates):
            return
        if place < self._base:
            return
        self._drop(place)
        self._regain()

    def reset(self) -> None:
        """Forget everything but the counters: the line was closed and opened again."""
        self._drop(self._base + len(self._buffer))
        self._failure = ""
        self._last_s = float("-inf")
        self._recent.clear()
        self._regain()

    # Everything below works on the buffer; none of it knows the time.

    def _read_in_sync(self, frames: list[Frame]) -> None:
        buffer = self._buffer
        size = len(buffer)
        start = 0
        self._need = HEADER_SIZE
        while size - start >= HEADER_SIZE:
            check, length, body_check = _HEADER.unpack_from(buffer, start)
            if _header_check(length, body_check) != check:
                self.counters.header_errors += 1
                self._lose(start, "wrong header CRC")
                return
            end = start + HEADER_SIZE + length
            if length > self.max_body and not self._may_be_large(start):
                self.counters.header_errors += 1
                self._lose(start, f"frame of {length} bytes where at most {self.max_body} fit")
                return
            if end > size:
                self._doubt = self._doubt or length > self.max_body
                self._need = 0 if self._doubt else end - start
                self._scan = max(self._scan, self._base + start + 1)
                break
            body = bytes(memoryview(buffer)[start + HEADER_SIZE : end])
            if crc16(body) != body_check:
                self.counters.body_errors += 1
                self._lose(start, "wrong body CRC")
                return
            self.counters.frames += 1
            frames.append(Frame(body, True, self._base + end))
            if self._doubt:
                self._doubt = False
                self._candidates.clear()
                self._found.clear()
            start = end
            self._scan = self._base + end
        if start:
            del buffer[:start]
            self._base += start

    def _may_be_large(self, start: int) -> bool:
        if not self._resync:
            return False
        word = start + HEADER_SIZE
        return len(self._buffer) < word + 4 or _PLAUSIBLE.match(self._buffer, word) is not None

    def _lose(self, start: int, reason: str) -> None:
        """An error at ``start`` (in the buffer): search from the byte behind it."""
        place = self._base + start
        del self._buffer[:start]
        self._base = place
        if not self._resync:
            self._failure = f"{reason}: the peer does not speak eRPC frames"
            self._buffer.clear()
            return
        self._in_sync = False
        self._doubt = False
        self._need = 0
        self._scan = max(self._scan, place + 1)

    def _search(self, frames: list[Frame]) -> None:
        """Find candidates among the new bytes and hand out those that are complete."""
        buffer, base = self._buffer, self._base
        stop = base + len(buffer)
        for hit in _PLAUSIBLE.finditer(buffer, self._scan - base + HEADER_SIZE):
            at = hit.start() - HEADER_SIZE
            check, length, body_check = _HEADER.unpack_from(buffer, at)
            if _MIN_BODY <= length <= self.max_body and check == _header_check(length, body_check):
                start = base + at
                self._candidates.append(_Candidate(start, start + HEADER_SIZE + length, body_check))
        covered = 0
        waiting: list[_Candidate] = []
        # By start, so an outer frame goes before what is inside it, and takes it along.
        for one in self._candidates:
            if one.start < covered:
                continue
            if one.end > stop:
                waiting.append(one)
                continue
            body = bytes(memoryview(buffer)[one.start - base + HEADER_SIZE : one.end - base])
            if crc16(body) == one.body_check:
                covered = one.end
                self._found[one.start] = one.end
                self._recent[one.start] = one.end
                self.counters.frames += 1
                self.counters.untrusted += 1
                frames.append(Frame(body, False, one.end))
        self._candidates = waiting
        self._scan = max(self._scan, stop - _JUDGED_SIZE + 1, covered)
        if not self._in_sync:
            self._drop(min(waiting[0].start, self._scan) if waiting else self._scan)

    def _expire(self, frames: list[Frame]) -> None:
        """Silence: nothing that began before it will be completed."""
        if self._candidates or (self._in_sync and self._buffer):
            self.counters.expired += 1
        if self._in_sync:
            self._lose(0, "silence")
            self._search(frames)
        self._drop(self._base + len(self._buffer))
        self._regain()

    def _drop(self, place: int) -> None:
        """Forget the bytes before ``place``; count those that were in no frame."""
        discarded, done = place - self._base, self._base
        for start in sorted(self._found):
            end = self._found[start]
            discarded -= max(0, min(end, place) - max(start, done))
            done = max(done, end)
            if end <= place:
                del self._found[start]
        self.counters.discarded_bytes += discarded
        del self._buffer[: place - self._base]
        self._base = place

    def _regain(self) -> None:
        self._in_sync = True
        self._doubt = False
        self._need = HEADER_SIZE
        self._scan = self._base
        self._candidates.clear()
        self._found.clear()

    def _chain_end(self, end: int) -> int:
        """Follow untrusted frames that begin exactly where the one before ends."""
        while end in self._recent:
            end = self._recent[end]
        return end
