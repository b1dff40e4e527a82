# SPDX-License-Identifier: MIT
"""Frames: every case fed whole, byte by byte, split at every byte, in garbage and back to back."""

from __future__ import annotations

import itertools
import json
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serial_runtime.errors import ProtocolError
from serial_runtime.protocol.crc import crc16
from serial_runtime.protocol.frame import MAX_BODY, Frame, FrameDecoder, encode_frame

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "wire-vectors.json").read_text())
STATUS = bytes.fromhex("278a0800dadf0004010101000000")
IDLE_S = 0.1
MAX = 4200


def message(
    service: int, method: int, sequence: int, arguments: bytes = b"", kind: int = 0
) -> bytes:
    return struct.pack("<BBBBI", kind, method, service, 1, sequence) + arguments


def header(length: int, body_check: int) -> bytes:
    check = crc16(struct.pack("<H", length)) + crc16(struct.pack("<H", body_check)) & 0xFFFF
    return struct.pack("<HHH", check, length, body_check)


def bodies(frames: Iterable[Frame], trusted: bool = True) -> list[bytes]:
    return [frame.body for frame in frames if frame.trusted is trusted]


def decoder(max_body: int = MAX, resync: bool = True) -> FrameDecoder:
    return FrameDecoder(max_body, IDLE_S, resync)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that hold no plausible header, so nothing in them can be taken for a frame."""
    return bytes(one | 0x80 for one in random.Random(seed).randbytes(size))


STOP = message(1, 14, 5)
CHUNK = message(1, 1, 9, struct.pack("<I", 64) + noise(64) + struct.pack("<I", 16) + noise(16, 2))
ENVELOPE = message(2, 0, 77, noise(40, 3))
CASES = {
    "smallest": message(1, 4, 1),
    "chunk": CHUNK,
    "envelope": ENVELOPE,
    "reply": message(1, 4, 1, bytes(24), kind=2),
    "zeros": message(1, 2, 0, bytes(300)),
    "frame inside": message(1, 1, 3, encode_frame(STOP) + noise(9)),
}

# How a stream is cut into reads.
Cut = Callable[[bytes], Iterator[bytes]]


def whole(stream: bytes) -> Iterator[bytes]:
    yield stream


def singly(stream: bytes) -> Iterator[bytes]:
    return (stream[at : at + 1] for at in range(len(stream)))


def every_cut(stream: bytes) -> list[list[bytes]]:
    cuts = [[stream], list(singly(stream))]
    return cuts + [[stream[:at], stream[at:]] for at in range(1, len(stream))]


def run(chunks: Iterable[bytes], of: FrameDecoder, now_s: float = 1.0) -> list[Frame]:
    return [frame for chunk in chunks for frame in of.feed(chunk, now_s)]


def silence(of: FrameDecoder) -> list[Frame]:
    """The driver's part: a read until the deadline that finds nothing."""
    return of.tick(of.deadline_s) if of.deadline_s is not None else []


case = pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())


# Encoding


def test_vector() -> None:
    assert encode_frame(message(1, 4, 1)) == STATUS


@pytest.mark.parametrize("kind", ["request", "reply"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["call"])
def test_recorded_frames(vector: dict[str, str], kind: str) -> None:
    frame = bytes.fromhex(vector[kind])
    found = decoder().feed(frame, 0.0)
    assert bodies(found) == [frame[6:]]
    assert encode_frame(frame[6:]) == frame


def test_longest_body() -> None:
    body = bytes(MAX_BODY)
    assert bodies(decoder(MAX_BODY).feed(encode_frame(body), 0.0)) == [body]
    with pytest.raises(ProtocolError, match="65536 bytes: a frame holds at most 65535"):
        encode_frame(bytes(MAX_BODY + 1))


@given(st.lists(st.binary(max_size=80), max_size=6), st.data())
def test_decode_of_encode_however_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode_frame, sent))
    marks = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    chunks = [stream[a:b] for a, b in itertools.pairwise([0, *marks, len(stream)])]
    of = decoder()
    assert bodies(run(chunks, of)) == sent
    assert of.counters.frames == len(sent)
    assert of.counters.discarded_bytes == 0
    assert of.deadline_s is None


@given(st.binary(max_size=80))
def test_any_buffer_type(body: bytes) -> None:
    for kind in (bytes, bytearray, memoryview):
        (frame,) = decoder().feed(kind(encode_frame(kind(body))), 0.0)
        assert type(frame.body) is bytes
        assert frame.body == body


# In sync


@case
def test_every_cut_of_one_frame(body: bytes) -> None:
    for chunks in every_cut(encode_frame(body)):
        assert run(chunks, decoder()) == [Frame(body, True, len(body) + 6)]


@case
def test_every_cut_of_two_frames_back_to_back(body: bytes) -> None:
    for chunks in every_cut(encode_frame(body) + encode_frame(STOP)):
        assert bodies(run(chunks, decoder())) == [body, STOP]


@case
def test_every_cut_with_garbage_behind(body: bytes) -> None:
    for chunks in every_cut(encode_frame(body) + noise(20)):
        assert bodies(run(chunks, decoder())) == [body]


@case
def test_garbage_before_then_idle(body: bytes) -> None:
    for chunks in every_cut(noise(20)):
        of = decoder()
        assert run(chunks, of) == []
        assert silence(of) == []
        assert bodies(run([encode_frame(body)], of, 1.0 + IDLE_S)) == [body]
        assert of.counters.discarded_bytes == 20


def test_a_frame_longer_than_expected_is_taken_in_sync() -> None:
    """A stock client's largest chunk on a UART, its requests not separated by idle time."""
    body = message(1, 1, 3, noise(6106))
    of = decoder()
    assert bodies(run([encode_frame(body) * 2], of)) == [body, body]
    assert bodies(run(singly(encode_frame(body)), of)) == [body]


def test_a_frame_longer_than_expected_is_not_taken_out_of_sync() -> None:
    body = message(1, 1, 3, noise(6106))
    of = decoder()
    assert run([noise(3) + encode_frame(body)], of) == []
    silence(of)
    assert bodies(run([encode_frame(body)], of, 2.0)) == [body]


def test_an_empty_body_is_a_frame() -> None:
    assert decoder().feed(encode_frame(b""), 0.0) == [Frame(b"", True, 6)]


# Out of sync


@case
def test_after_garbage_without_idle_nothing_is_trusted(body: bytes) -> None:
    for chunks in every_cut(noise(20) + encode_frame(body)):
        of = decoder()
        found = run(chunks, of)
        assert bodies(found) == []
        assert body in bodies(found, trusted=False)
        assert of.counters.untrusted == len(found)


@case
def test_a_valid_frame_behind_an_invalid_one_in_the_same_read(body: bytes) -> None:
    bad = bytearray(encode_frame(CHUNK))
    for at in range(len(bad)):
        bad[at] ^= 0x10
        found = decoder().feed(bytes(bad) + encode_frame(body), 0.0)
        assert [frame for frame in found if frame.body == body] == [
            Frame(body, False, len(bad) + len(body) + 6)
        ]
        bad[at] ^= 0x10


def damaged(frame: bytes) -> Iterator[bytes]:
    """One byte flipped, dropped or inserted at every position."""
    for at in range(len(frame)):
        for mask in (0x01, 0x80, 0xFF):
            yield frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :]
        yield frame[:at] + frame[at + 1 :]
        for byte in (0x00, 0x41, frame[at]):
            yield frame[:at] + bytes([byte]) + frame[at:]


@case
@pytest.mark.parametrize("cut", [whole, singly])
def test_a_good_frame_after_a_damaged_one_and_idle_always_arrives(body: bytes, cut: Cut) -> None:
    good = encode_frame(message(1, 4, 8))
    for bad in damaged(encode_frame(body)):
        of = decoder()
        run(cut(bad), of, 1.0)
        silence(of)
        assert bodies(run(cut(good), of, 2.0)) == [message(1, 4, 8)]


@case
def test_a_damaged_frame_is_never_handed_out(body: bytes) -> None:
    for bad in damaged(encode_frame(body)):
        if not bad.startswith(encode_frame(body)):
            of = decoder()
            found = run([bad], of)
            found += of.tick(9.0)
            # An inserted byte in front leaves a good frame, out of sync.
            assert body not in bodies(found)
            assert set(bodies(found, trusted=False)) <= {STOP, body}


@pytest.mark.parametrize("cut", [whole, singly])
def test_packet_in_packet_is_never_trusted(cut: Cut) -> None:
    """A StopPLC inside uploaded data, the frame around it damaged at every position."""
    inner = encode_frame(STOP)
    for data in (inner, noise(30) + inner + noise(7), inner * 3):
        outer = encode_frame(message(1, 1, 3, struct.pack("<I", len(data)) + data + bytes(20)))
        for bad in damaged(outer):
            of = decoder()
            found = run(cut(bad), of)
            found += of.tick(1.0 + IDLE_S)
            assert STOP not in bodies(found)
        assert bodies(run(cut(outer), decoder())) == [outer[6:]]


def test_an_outer_frame_outlives_the_inner_one() -> None:
    """Back to back after an error: the real frame arrives although one inside it is complete."""
    outer = message(2, 0, 1, noise(10) + encode_frame(STOP) + noise(10))
    for chunks in every_cut(b"\xff" + encode_frame(outer)):
        of = decoder()
        found = run(chunks, of)
        assert bodies(found) == []
        assert set(bodies(found, trusted=False)) <= {STOP, outer}
        assert found[-1].body == outer
        assert of.counters.discarded_bytes == 1


def test_a_complete_outer_frame_takes_the_inner_one_along() -> None:
    outer = message(2, 0, 1, encode_frame(STOP))
    assert bodies(run([b"\xff" + encode_frame(outer)], decoder()), trusted=False) == [outer]


@pytest.mark.parametrize("length", [200, MAX, MAX + 1, 31000, MAX_BODY])
@pytest.mark.parametrize("start", [b"", b"\xff"], ids=["in sync", "out of sync"])
@pytest.mark.parametrize("word", [b"\0\1\1\1", b"\xf0\1\1\1"], ids=["plausible", "implausible"])
@pytest.mark.parametrize("cut", [whole, singly])
def test_a_false_header_never_blocks(length: int, start: bytes, word: bytes, cut: Cut) -> None:
    of = decoder()
    false = start + header(length, 0x1234) + word
    found = run(cut(false + encode_frame(ENVELOPE) * 2), of)
    if start or length > MAX:
        assert bodies(found, trusted=False) == [ENVELOPE, ENVELOPE]
    # In sync and not longer than expected, at most its own length or the idle time hides others.
    found += of.tick(1.0 + IDLE_S)
    assert bodies(found, trusted=False) == [ENVELOPE, ENVELOPE]
    assert bodies(run(cut(STATUS), of, 2.0)) == [message(1, 4, 1)]


def test_many_false_headers_need_bounded_memory() -> None:
    of = decoder()
    run([b"\xff"], of)
    flood = (header(MAX, 0x1234) + b"\0\1\1\1") * 2000
    for at in range(0, len(flood), 500):
        run([flood[at : at + 500]], of)
        assert len(of._buffer) <= MAX + 6 + 500
        assert len(of._candidates) <= (MAX + 506) // 10
    assert bodies(run([encode_frame(ENVELOPE)], of), trusted=False) == [ENVELOPE]


@given(st.lists(st.binary(min_size=1, max_size=40) | st.just(STATUS), max_size=20), st.data())
def test_any_bytes_give_frames_or_are_discarded(chunks: list[bytes], data: st.DataObject) -> None:
    """Never an exception, and every byte is accounted for."""
    of, now_s, frames = decoder(), 0.0, []
    for chunk in chunks:
        now_s += data.draw(st.sampled_from([0.0, 0.01, IDLE_S, 1.0]))
        if data.draw(st.booleans()):
            frames += of.tick(now_s)
        frames += of.feed(chunk, now_s)
        if data.draw(st.booleans()):
            of.confirm()
    frames += of.tick(now_s + IDLE_S)
    assert of.in_sync
    assert of.deadline_s is None
    assert of.counters.frames == len(frames)
    starts = [frame.end - len(frame.body) - 6 for frame in frames]
    covered = set().union(*(range(s, f.end) for s, f in zip(starts, frames, strict=True)))
    stream = b"".join(chunks)
    assert of.counters.discarded_bytes == len(stream) - len(covered)
    for start, frame in zip(starts, frames, strict=True):
        assert stream[start : frame.end] == encode_frame(frame.body)


@given(st.binary(max_size=60), st.lists(st.sampled_from([STOP, ENVELOPE, CHUNK]), max_size=3))
@example(b"", [STOP])
def test_trusted_frames_do_not_depend_on_the_cut(garbage: bytes, sent: list[bytes]) -> None:
    stream = b"".join(map(encode_frame, sent)) + garbage + b"".join(map(encode_frame, sent))
    assert bodies(run([stream], decoder())) == bodies(run(singly(stream), decoder()))


# Silence


def test_a_partial_frame_expires_only_after_the_idle_time() -> None:
    of = decoder()
    run([STATUS[:9]], of, 1.0)
    assert of.deadline_s == 1.0 + IDLE_S
    assert of.tick(1.0 + IDLE_S / 2) == []
    assert bodies(run([STATUS[9:]], of, 1.09)) == [message(1, 4, 1)]
    run([STATUS[:8]], of, 2.0)
    of.tick(2.0 + IDLE_S)
    assert of.counters.expired == 1
    assert of.counters.discarded_bytes == 8
    assert of.deadline_s is None
    assert run([STATUS[8:]], of, 2.2) == []
    assert of.counters.header_errors == 1


def test_frames_hidden_in_an_expired_one_come_out_untrusted() -> None:
    of = decoder()
    run([header(100, 1) + encode_frame(ENVELOPE) + encode_frame(STOP)], of)
    assert bodies(of.tick(1.0 + IDLE_S), trusted=False) == [ENVELOPE, STOP]
    assert of.in_sync
    assert of.counters.discarded_bytes == 6


def test_out_of_sync_the_deadline_is_the_end_of_the_silence() -> None:
    of = decoder()
    run([noise(30)], of, 1.0)
    assert not of.in_sync
    deadline_s = of.deadline_s
    assert deadline_s == 1.0 + IDLE_S
    assert of.tick(deadline_s) == []
    assert of.in_sync
    assert bodies(run([STATUS], of, deadline_s)) == [message(1, 4, 1)]


def test_a_late_reader_loses_nothing() -> None:
    """It found bytes, so it knows nothing of a pause; the line went on while it did not."""
    for chunks in every_cut(encode_frame(CHUNK) + STATUS):
        of = decoder()
        found = [one for n, chunk in enumerate(chunks) for one in of.feed(chunk, n * 10.0)]
        assert bodies(found) == [CHUNK, message(1, 4, 1)]


def test_a_late_reader_is_no_pause() -> None:
    """Else a frame inside data would be taken for a real one where the reads were cut."""
    outer = encode_frame(message(1, 1, 3, encode_frame(STOP) * 4))
    for start in (outer, b"\xff" + outer):
        for at in range(len(start)):
            of = decoder()
            found = [*of.feed(start[:at], 1.0), *of.feed(start[at:], 60.0)]
            assert STOP not in bodies(found)


def test_the_idle_time_may_change() -> None:
    of = decoder()
    of.idle_s = 0.5
    run([STATUS[:9]], of, 1.0)
    assert of.deadline_s == 1.5
    assert bodies(run([STATUS[9:]], of, 1.4)) == [message(1, 4, 1)]


def test_a_line_opened_in_the_middle_of_a_frame() -> None:
    of = FrameDecoder(MAX, IDLE_S, opened_s=5.0)
    assert of.deadline_s == 5.0 + IDLE_S
    assert bodies(of.feed(STATUS, 5.01), trusted=False) == [message(1, 4, 1)]
    assert of.tick(5.105) == []
    assert not of.in_sync
    silence(of)
    assert bodies(of.feed(STATUS, 5.2)) == [message(1, 4, 1)]


def test_reset_forgets_what_was_under_way() -> None:
    for start in (STATUS[:9], noise(9)):
        of = decoder()
        run([start], of)
        of.reset()
        assert bodies(run([STATUS], of)) == [message(1, 4, 1)]
        assert of.counters.discarded_bytes == 9


# Confirmation


def test_confirm_puts_in_sync_behind_the_frame() -> None:
    for chunks in every_cut(b"\xff" + encode_frame(ENVELOPE)):
        of = decoder()
        (frame,) = run(chunks, of)
        of.confirm(frame)
        assert of.in_sync
        assert bodies(run([STATUS], of)) == [message(1, 4, 1)]


def test_confirm_with_the_next_frame_under_way() -> None:
    for at in range(len(STATUS)):
        of = decoder()
        (frame,) = run([b"\xff" + encode_frame(ENVELOPE) + STATUS[:at]], of)
        of.confirm(frame)
        assert bodies(run([STATUS[at:]], of)) == [message(1, 4, 1)]
        assert of.counters.discarded_bytes == 1


def test_confirm_without_an_argument_means_an_unbroken_chain() -> None:
    of = decoder()
    assert len(run([b"\xff" + encode_frame(ENVELOPE) * 2], of)) == 2
    of.confirm()
    assert of.in_sync


@pytest.mark.parametrize("behind", [noise(12), noise(12) + encode_frame(STOP)])
def test_confirm_does_nothing_when_an_error_followed(behind: bytes) -> None:
    of = decoder()
    frame = run([b"\xff" + encode_frame(ENVELOPE) + behind], of)[0]
    of.confirm(frame)
    of.confirm()
    assert not of.in_sync
    assert bodies(run([STATUS], of)) == []


def test_confirm_of_a_frame_inside_a_doubtful_one() -> None:
    of = decoder()
    false = header(30000, 1) + b"\0\1\1\1"
    (frame,) = run([false + encode_frame(ENVELOPE)], of)
    of.confirm(frame)
    assert bodies(run([STATUS], of)) == [message(1, 4, 1)]
    assert of.counters.discarded_bytes == 10


def test_confirm_in_sync_does_nothing() -> None:
    of = decoder()
    (frame,) = run([STATUS], of)
    run([STATUS[:8]], of)
    of.confirm(frame)
    of.confirm()
    assert bodies(run([STATUS[8:]], of)) == [message(1, 4, 1)]


# A reliable stream


@case
def test_a_stream_needs_no_time(body: bytes) -> None:
    for chunks in every_cut(encode_frame(body)):
        of = decoder(resync=False)
        found = []
        for n, chunk in enumerate(chunks):
            found += of.feed(chunk, n * 100.0)
            assert of.deadline_s is None
            assert of.tick(n * 100.0 + 99) == []
        assert bodies(found) == [body]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "wrong header CRC"),
        (STATUS[:-1] + b"\1", "wrong body CRC"),
        (header(MAX + 1, 0), "frame of 4201 bytes where at most 4200 fit"),
    ],
)
def test_an_error_on_a_stream(data: bytes, reason: str) -> None:
    of = decoder(resync=False)
    with pytest.raises(ProtocolError, match=reason):
        of.feed(data, 0.0)
    with pytest.raises(ProtocolError, match=reason):
        of.feed(STATUS, 0.0)


def test_frames_before_an_error_on_a_stream_come_first() -> None:
    of = decoder(resync=False)
    assert bodies(of.feed(STATUS + noise(20), 3.0)) == [message(1, 4, 1)]
    assert of.deadline_s == 3.0
    with pytest.raises(ProtocolError, match="wrong header CRC"):
        of.tick(3.0)


def test_reset_ends_a_failure() -> None:
    of = decoder(resync=False)
    with pytest.raises(ProtocolError):
        of.feed(noise(20), 0.0)
    of.reset()
    assert bodies(of.feed(STATUS, 0.0)) == [message(1, 4, 1)]
