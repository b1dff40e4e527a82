# SPDX-License-Identifier: MIT
"""What stands between the bytes of a line and a call: frames, envelopes, sessions at both ends."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter

from fuzz.script import Script

from serial_runtime.errors import LinkTimeout, ProtocolError, SerialRuntimeError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.baud_switch import SILENCE_S, TRIAL_S, BoardRate
from serial_runtime.protocol.client_session import ClientSession, Request
from serial_runtime.protocol.envelope import Envelope
from serial_runtime.protocol.frame import HEADER_SIZE, MAX_BODY, Frame, FrameDecoder, encode_frame
from serial_runtime.protocol.plain_session import PlainSession
from serial_runtime.protocol.refusal import decode_refusal, encode_refusal
from serial_runtime.protocol.session import MAX_SESSIONS, WINDOW, ServerSessions
from serial_runtime.protocol.timing import Line
from serial_runtime.rpc.message_text import describe

IDLE_S = 0.1
STATUS = encode_frame(bytes.fromhex("0004010101000000"))


def stream(script: Script) -> bytes:
    """Frames, whole and damaged, between bytes that are none."""
    parts = []
    while script:
        kind, body = script.number(), script.piece()
        whole = body if kind % 4 == 0 else encode_frame(body)
        if kind % 4 == 2:
            at = script.number(2) % len(whole)
            whole = whole[:at] + bytes([whole[at] ^ (script.number() or 1)]) + whole[at + 1 :]
        elif kind % 4 == 3:
            whole = whole[: script.number(2) % len(whole)]
        parts.append(whole)
    return b"".join(parts)


def frame(data: bytes) -> None:
    """FrameDecoder on a line that damages."""
    script = Script(data)
    max_body = 4200 if script.number() & 1 else 64
    sent = stream(script)
    at_once = FrameDecoder(max_body, IDLE_S)
    found = at_once.feed(sent, 0.0)
    found += at_once.tick(1.0)
    by_byte = FrameDecoder(max_body, IDLE_S)
    found_by_byte: list[Frame] = []
    for byte in sent:
        found_by_byte += by_byte.feed(bytes([byte]), 0.0)
        assert len(by_byte._buffer) <= HEADER_SIZE + MAX_BODY
    found_by_byte += by_byte.tick(1.0)
    for one in found:
        start = one.end - len(one.body) - HEADER_SIZE
        assert sent[start : one.end] == encode_frame(one.body)
    assert [one for one in found if one.trusted] == [one for one in found_by_byte if one.trusted]
    assert not Counter(found) - Counter(found_by_byte)
    for decoder in (at_once, by_byte):
        assert decoder.in_sync
        assert [one.trusted for one in decoder.feed(STATUS, 2.0)] == [True]


def stream_frame(data: bytes) -> None:
    """FrameDecoder on a link that damages nothing."""
    script = Script(data)
    decoder = FrameDecoder(4200, IDLE_S, resync=False)
    while script:
        try:
            found = decoder.feed(stream(Script(script.piece())), 0.0)
        except ProtocolError:
            break
        assert all(one.trusted for one in found)
        assert len(decoder._buffer) <= HEADER_SIZE + 4200
    else:
        return
    try:
        decoder.feed(STATUS, 0.0)
    except ProtocolError:
        return
    raise AssertionError("it goes on after an error")


def envelope_bytes(data: bytes) -> None:
    """The envelope, and messages in words."""
    assert describe(data)
    with contextlib.suppress(ProtocolError):
        found = envelope.decode(data)
        assert envelope.encode(*found) == data
    script = Script(data)
    head = [script.number(4) for _ in range(3)], [script.number(), script.number()]
    word = (envelope.CALL, envelope.ONEWAY, envelope.REPLY)[script.number() % 3]
    built = envelope.encode(word, *head[0], *head[1], script.number(2), script.rest())
    assert envelope.encode(*envelope.decode(built)) == built
    assert describe(built)


def refusal(data: bytes) -> None:
    """Refusals, and the reply to HELLO."""
    error = decode_refusal(data)
    again = decode_refusal(encode_refusal(error))
    assert type(again) is type(error)
    assert str(error).startswith(str(again).rstrip("\ufffd"))
    with contextlib.suppress(ProtocolError):
        hello = envelope.decode_hello_reply(data)
        assert hello.window > 0
        assert hello.max_frame >= envelope.LEAST_FRAME
    envelope.decode_hello_call(data)


def server_sessions(data: bytes) -> None:
    """The board's half: each call of a session executes once at most, and memory is bounded."""
    script, sessions = Script(data), ServerSessions(7, cache_bytes=2000)
    executed: set[tuple[int, int]] = set()
    alive: list[object] = []  # sessions, so that none has the id of another
    running: list[Envelope] = []
    while script:
        op = script.number()
        if op & 1 and running:
            call = running.pop(op >> 1 & 0x3F if op >> 1 & 0x3F < len(running) else 0)
            actions = sessions.finish(call, script.number() % 8, script.piece(), script.number())
        else:
            word = (envelope.CALL, envelope.ONEWAY, envelope.REPLY)[op >> 1 & 3 & 2]
            service, method = (2, 0) if op & 8 else (2, 255) if op & 48 == 48 else (1, 4)
            actions = sessions.receive(
                Envelope(
                    word, script.number(), script.number() % 40, 7 if op < 240 else 8,
                    service, method, script.number(2), script.piece(),
                ),
                4200,
            )  # fmt: skip
        for action in actions:
            if isinstance(action, bytes):
                envelope.decode(action)
                continue
            session = sessions._sessions[action.session]
            alive.append(session)
            assert (id(session), action.number) not in executed
            executed.add((id(session), action.number))
            running.append(action)
        sessions.take_closed()
        assert sessions.count <= MAX_SESSIONS
        held = [entry for one in sessions._sessions.values() for entry in one.entries.values()]
        assert len(held) <= MAX_SESSIONS * WINDOW
        assert sessions._cached == sum(len(entry) for entry in held if isinstance(entry, bytes))


def client_session(data: bytes) -> None:
    """The client's half: every call ends, whatever the peer answers."""
    script, draw = Script(data), itertools.count(1)
    session = ClientSession(Line(11520.0 if script.number() & 1 else None, 0.1), lambda: next(draw))
    requests: list[Request] = []
    now_s = 0.0
    while script:
        op = script.number()
        kind, which = op % 8, op >> 3
        flying = list(session._flying.values())
        if kind == 0:
            requests.append(
                session.submit(
                    1, 4, script.piece(), deadline_s=now_s + 10.0, idempotent=bool(which & 1),
                    ordered=bool(which & 2), bulk=bool(which & 4),
                )
            )  # fmt: skip
        elif kind == 1:
            now_s += which / 8
            for body in session.send(now_s):
                envelope.decode(body)
        elif kind == 2 and flying:
            one = flying[which % len(flying)]
            boot = one.boot_id + (which == 31)
            status, payload = script.number(2), script.piece()
            session.receive(
                envelope.encode(
                    envelope.REPLY, one.number, one.session, boot, 1, 4, status, payload
                ),
                now_s,
            )
        elif kind == 3:
            status, payload = script.number(2), script.piece()
            if which & 1:
                payload = envelope.encode_hello_reply(envelope.Hello(1, 16, 16384, 4200))
            hello = envelope.encode(
                envelope.REPLY, 0, session._session, which, 2, 0, status, payload
            )
            session.receive(hello, now_s)
        elif kind == 4:
            session.receive(script.piece(), now_s)
        elif kind == 5:
            session.link_lost(which / 8)
        elif kind == 6 and session.waiting:
            waiting = session.waiting
            session.give_up(waiting[which % len(waiting)], LinkTimeout("given up"))
        else:
            session.heard(now_s)
        assert session.queued_bytes >= 0
    ends_all(session, requests, now_s + 10.0 + len(data) * 4.0)


def plain_session(data: bytes) -> None:
    """The same towards a stock server."""
    script, session = Script(data), PlainSession(Line(None, 0.1))
    requests: list[Request] = []
    now_s = 0.0
    while script:
        op = script.number()
        kind, which = op % 4, op >> 2
        if kind == 0:
            requests.append(
                session.submit(
                    1 + (which == 63), which & 15, script.piece(), deadline_s=now_s + 10.0,
                    idempotent=bool(which & 16), bulk=bool(which & 32),
                )
            )  # fmt: skip
        elif kind == 1:
            now_s += which / 16
            session.send(now_s)
        elif kind == 2 and session.waiting:
            one = session.waiting[0]
            head = (2 | one.method << 8 | one.service << 16 | 1 << 24) + (which == 63)
            body = head.to_bytes(4, "little") + one.number.to_bytes(4, "little") + script.piece()
            session.receive(body, now_s)
        elif kind == 3 and which == 0:
            session.link_lost(0.5)
        else:
            session.receive(script.piece(), now_s)
    ends_all(session, requests, now_s + 10.0 + len(data))


def ends_all(session: ClientSession | PlainSession, requests: list[Request], late_s: float) -> None:
    """When the deadlines have passed, nothing is under way."""
    session.send(late_s)
    assert session.idle
    for request in requests:
        assert request.done
        assert isinstance(request.error, SerialRuntimeError | None)


def baud_switch(data: bytes) -> None:
    """Whatever arrives or not, the board finds back to its home rate."""
    script, rate, now_s = Script(data), BoardRate(115200), 0.0
    wanted = {115200}
    while script:
        op = script.number()
        kind, which = op % 5, op // 5
        if kind == 0:
            wanted.add(script.number(4) or 115200)
            rate.ask(max(wanted), which % 3)
        elif kind == 1:
            rate.heard(which % 3, now_s)
        elif kind == 2:
            rate.ended(which % 3)
        elif kind == 3 and rate.wanted != rate.baud:
            rate.switched(now_s)
        else:
            now_s += which / 8
            rate.tick(now_s)
        assert {rate.wanted, rate.baud} <= wanted
    now_s += max(SILENCE_S, TRIAL_S) + 0.1
    if rate.wanted != rate.baud:
        rate.switched(now_s)
    rate.tick(now_s + SILENCE_S)
    assert rate.wanted == 115200
