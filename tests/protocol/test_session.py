# SPDX-License-Identifier: MIT
"""Both halves of a session, case by case; the model tests the rest."""

from __future__ import annotations

from itertools import count

import pytest

from serial_runtime import errors
from serial_runtime.protocol import envelope, refusal
from serial_runtime.protocol.client_session import ClientSession
from serial_runtime.protocol.envelope import Envelope, decode, encode
from serial_runtime.protocol.session import MAX_SESSIONS, WINDOW, WINDOW_BYTES, ServerSessions
from serial_runtime.protocol.timing import Line

BOOT = 0xB007
MAX_FRAME = 4200


def call(
    number: int,
    payload: bytes = b"",
    *,
    session: int = 7,
    boot: int = BOOT,
    flags: int = 0,
    method: int = 9,
) -> Envelope:
    return Envelope(envelope.CALL, number, session, boot, 1, method, flags, payload)


def hello(session: int = 7) -> Envelope:
    return Envelope(envelope.CALL, 0, session, 0, envelope.SERVICE, envelope.HELLO, 0, b"")


def status(body: object) -> int:
    assert isinstance(body, bytes)
    return decode(body).status


@pytest.fixture
def server() -> ServerSessions:
    server = ServerSessions(BOOT)
    server.receive(hello(), MAX_FRAME)
    return server


def test_a_finished_call_is_answered_from_the_cache(server: ServerSessions) -> None:
    request = call(1, b"x")
    assert server.receive(request, MAX_FRAME) == [request]
    assert status(server.receive(request, MAX_FRAME)[0]) == envelope.IN_PROGRESS
    (reply,) = server.finish(request, envelope.DONE, b"out")
    assert isinstance(reply, bytes)
    assert decode(reply).payload == b"out"
    assert server.receive(request, MAX_FRAME) == [reply]


def test_a_call_the_client_has_given_up_is_ignored(server: ServerSessions) -> None:
    assert server.receive(call(5), MAX_FRAME) == [call(5)]
    assert server.receive(call(4), MAX_FRAME) == []


def test_beyond_the_window_is_busy(server: ServerSessions) -> None:
    last = WINDOW + 1
    for number in range(1, last):
        server.receive(call(number, flags=number - 1), MAX_FRAME)
    assert status(server.receive(call(last, flags=last - 1), MAX_FRAME)[0]) == envelope.BUSY
    later = call(last, flags=last - 2)  # the first is answered
    assert server.receive(later, MAX_FRAME) == [later]


def test_unknown_session_and_other_boot_are_not_executed(server: ServerSessions) -> None:
    stranger = server.receive(call(1, session=8), MAX_FRAME)
    assert [status(body) for body in stranger] == [envelope.UNKNOWN_SESSION]
    (reply,) = server.receive(call(1, boot=BOOT + 1), MAX_FRAME)
    assert status(reply) == envelope.OTHER_BOOT
    assert isinstance(reply, bytes)
    assert decode(reply).boot_id == BOOT


def test_ordered_calls_wait_for_those_below(server: ServerSessions) -> None:
    ordered = envelope.ORDERED
    second, third = call(2, flags=1 | ordered), call(3, flags=2 | ordered)
    assert status(server.receive(third, MAX_FRAME)[0]) == envelope.IN_PROGRESS
    assert status(server.receive(second, MAX_FRAME)[0]) == envelope.IN_PROGRESS
    first = call(1, flags=ordered)
    assert server.receive(first, MAX_FRAME) == [first]
    assert server.finish(first, envelope.DONE, b"")[1:] == [second]
    assert server.finish(second, envelope.DONE, b"")[1:] == [third]
    assert server.finish(third, envelope.DONE, b"")[1:] == []


def test_a_risen_floor_releases_a_held_call(server: ServerSessions) -> None:
    held = call(3, flags=2 | envelope.ORDERED)
    server.receive(held, MAX_FRAME)
    again = call(3, flags=envelope.ORDERED)  # the client has given up 1 and 2
    assert server.receive(again, MAX_FRAME) == [held]


def test_hello_again_keeps_the_session(server: ServerSessions) -> None:
    server.receive(call(1), MAX_FRAME)
    server.receive(hello(), MAX_FRAME)
    assert status(server.receive(call(1), MAX_FRAME)[0]) == envelope.IN_PROGRESS


def test_bye_ends_it(server: ServerSessions) -> None:
    bye = Envelope(envelope.ONEWAY, 9, 7, BOOT, envelope.SERVICE, envelope.BYE, 0, b"")
    assert server.receive(bye, MAX_FRAME) == []
    assert server.take_closed() == [7]
    assert status(server.receive(call(1), MAX_FRAME)[0]) == envelope.UNKNOWN_SESSION


def test_the_session_unused_longest_goes_but_not_a_busy_one() -> None:
    server = ServerSessions(BOOT)
    for session in range(1, MAX_SESSIONS + 1):
        server.receive(hello(session), MAX_FRAME)
    server.receive(call(1, session=1), MAX_FRAME)  # runs on
    server.receive(hello(100), MAX_FRAME)
    assert server.take_closed() == [2]
    for session in range(3, MAX_SESSIONS + 1):
        server.receive(call(1, session=session), MAX_FRAME)
    server.receive(call(1, session=100), MAX_FRAME)
    assert status(server.receive(hello(101), MAX_FRAME)[0]) == envelope.REFUSED


def test_a_session_is_its_peers_alone(server: ServerSessions) -> None:
    server.receive(hello(8), MAX_FRAME, peer="tls")
    request = call(1, session=8)
    assert server.receive(request, MAX_FRAME, peer="tls") == [request]
    server.finish(request, envelope.DONE, b"a secret")
    held = call(3, session=8, flags=2 | envelope.ORDERED)
    for peer in ("tcp", None):
        bye = Envelope(envelope.ONEWAY, 9, 8, BOOT, envelope.SERVICE, envelope.BYE, 0, b"")
        assert server.receive(bye, MAX_FRAME, peer=peer) == []
        assert not server.knows(request, peer)
        for one in (request, held, call(2, session=8)):
            (answer,) = server.receive(one, MAX_FRAME, peer=peer)
            assert status(answer) == envelope.UNKNOWN_SESSION
        (answer,) = server.receive(hello(8), MAX_FRAME, peer=peer)
        assert status(answer) == envelope.REFUSED
    assert server.knows(request, "tls")
    (answer,) = server.receive(request, MAX_FRAME, peer="tls")
    assert isinstance(answer, bytes)
    assert decode(answer).payload == b"a secret"


def test_who_opens_many_sessions_loses_his_own() -> None:
    server = ServerSessions(BOOT)
    server.receive(hello(1), MAX_FRAME, peer="tls")
    server.receive(hello(2), MAX_FRAME, peer="serial")
    for session in range(100, 300):
        server.receive(hello(session), MAX_FRAME, peer="tcp")
    assert server.count == MAX_SESSIONS
    server.receive(hello(3), MAX_FRAME, peer="tls")
    assert not {1, 2, 3}.intersection(server.take_closed())


def test_the_bytes_of_held_calls_are_bounded(server: ServerSessions) -> None:
    payload = bytes(WINDOW_BYTES // 2)
    answers = []
    for number in range(2, 5):
        flags = number - 1 | envelope.ORDERED
        answers += server.receive(call(number, payload, flags=flags), MAX_FRAME)
    assert list(map(status, answers)) == [envelope.IN_PROGRESS] * 2 + [envelope.BUSY]
    first = call(1, flags=envelope.ORDERED)
    assert server.receive(first, MAX_FRAME) == [first]
    server.finish(first, envelope.DONE, b"")
    again = call(4, payload, flags=3 | envelope.ORDERED)  # the second executes meanwhile
    assert status(server.receive(again, MAX_FRAME)[0]) == envelope.IN_PROGRESS


def test_the_cache_is_bounded_and_forgets_replies_but_not_calls() -> None:
    server = ServerSessions(BOOT, cache_bytes=1000)
    requests = [call(1, session=session) for session in (1, 2, 3)]
    for request in requests:
        server.receive(hello(request.session), MAX_FRAME)
        server.receive(request, MAX_FRAME)
        server.finish(request, envelope.DONE, bytes(600))
    replies = [server.receive(request, MAX_FRAME)[0] for request in requests]
    assert [status(reply) for reply in replies] == [
        envelope.REFUSED, envelope.REFUSED, envelope.DONE,
    ]  # fmt: skip
    assert isinstance(replies[0], bytes)
    error = refusal.decode_refusal(decode(replies[0]).payload)
    assert isinstance(error, errors.OutcomeUnknown)
    assert decode(replies[0]).session == 1


def test_only_an_envelope_of_a_known_session_is_known(server: ServerSessions) -> None:
    assert server.knows(call(1))
    assert not server.knows(call(1, session=8))
    assert not server.knows(call(1, boot=1))
    assert not server.knows(hello())


def opened(client: ClientSession, server: ServerSessions) -> None:
    client.submit(1, 1, b"")
    (body,) = client.send(0.0)
    (answer,) = server.receive(decode(body), MAX_FRAME)
    assert isinstance(answer, bytes)
    client.receive(answer, 0.0)
    client.give_up(client.waiting[0], errors.LinkTimeout("enough"))


@pytest.fixture
def client(server: ServerSessions) -> ClientSession:
    numbers = count(1000)
    client = ClientSession(Line(1000.0, 0.25), lambda: next(numbers))
    opened(client, server)
    return client


def test_the_client_keeps_to_the_window(client: ClientSession) -> None:
    for _ in range(WINDOW + 2):
        client.submit(1, 1, b"")
    assert len(client.send(1.0)) == WINDOW
    assert client.send(1.0) == []


def test_the_client_keeps_to_the_bytes_of_the_window(client: ClientSession) -> None:
    for _ in range(4):
        client.submit(1, 1, bytes(7000))
    assert len(client.send(1.0)) == 2


def test_repeats_after_the_line_time_doubled_each_time(client: ClientSession) -> None:
    client.submit(1, 1, bytes(970))  # 1 s of line, with envelope and frame
    client.send(10.0)
    assert client.wake_s == pytest.approx(10 + 1.0 + 0.1 + 0.25)
    assert len(client.send(client.wake_s)) == 1
    assert client.wake_s == pytest.approx(11.35 + 1.0 + 2 * 0.35)
    assert client.retransmissions == 1


def test_the_timeout_doubles_once_for_all_that_is_repeated_together(client: ClientSession) -> None:
    """However many requests are under way: a round of repetitions is one silence."""
    for _ in range(4):
        client.submit(1, 1, bytes(70))  # 0.1 s of line each
    assert len(client.send(10.0)) == 4
    for times in (2, 4):
        now_s = client.wake_s + 1.0
        assert len(client.send(now_s)) == 4
        assert client.wake_s == pytest.approx(now_s + 0.1 + times * 0.35)


def answer(server: ServerSessions, body: bytes, took_s: float = 0.0) -> bytes:
    """The reply of the board to a request that it executes at once."""
    action = server.receive(decode(body), MAX_FRAME)[0]
    assert isinstance(action, Envelope)
    reply = server.finish(action, envelope.DONE, b"", took_s)[0]
    assert isinstance(reply, bytes)
    return reply


def test_short_calls_go_before_bulk(client: ClientSession) -> None:
    chunks = [client.submit(1, 1, bytes(900), bulk=True, ordered=True) for _ in range(5)]
    client.send(10.0)
    stop = client.submit(1, 2, b"")
    client.send(10.1)
    assert [stop.number, *(chunk.number for chunk in chunks)] == [2, 1, 0, 0, 0, 0]


def test_bulk_is_written_when_the_line_runs_dry(client: ClientSession) -> None:
    for _ in range(3):
        client.submit(1, 1, bytes(970), bulk=True, ordered=True)  # 1 s each
    assert len(client.send(10.0)) == 1
    assert client.wake_s == pytest.approx(11.0 - 0.02)
    assert len(client.send(10.97)) == 0
    assert len(client.send(10.99)) == 1


def test_bulk_waits_for_acknowledgements(client: ClientSession) -> None:
    """However much the line seems to have taken."""
    chunks = [client.submit(1, 1, bytes(400), bulk=True, ordered=True) for _ in range(9)]
    for at in range(20):
        client.send(10.0 + at)
    assert sum(chunk.number > 0 for chunk in chunks) == 2


def test_bulk_leaves_room_for_short_calls(client: ClientSession) -> None:
    client = ClientSession(Line(None, 5.0), lambda: 7)
    server = ServerSessions(BOOT)
    opened(client, server)
    for _ in range(WINDOW + 1):
        client.submit(1, 1, b"", bulk=True)
    assert len(client.send(10.0)) == WINDOW - 4
    client.submit(1, 2, b"")
    assert len(client.send(10.0)) == 1


def test_the_timeout_follows_the_turnaround(client: ClientSession, server: ServerSessions) -> None:
    """RFC 6298 without line time and the board's own work; not below the least."""
    now_s = 10.0
    for _ in range(50):
        client.submit(1, 1, b"")
        (body,) = client.send(now_s)
        now_s += (len(body) + 6) / 1000.0 + 2.0  # line time, and the board works for 2 s
        reply = answer(server, body, took_s=2.0)
        now_s += 0.05 + (len(reply) + 6) / 1000.0
        client.receive(reply, now_s)
    client.submit(1, 1, bytes(970))
    client.send(now_s)
    assert 1.1 + 0.05 < client.wake_s - now_s < 1.1 + 0.1


def test_repeated_calls_say_nothing_of_the_turnaround(server: ServerSessions) -> None:
    line = Line(1000.0, 0.25)
    client = ClientSession(line, lambda: 7)
    opened(client, server)
    client.submit(1, 1, b"")
    client.send(10.0)
    (body,) = client.send(11.0)
    client.receive(answer(server, body), 12.0)
    assert line.wait_s == 0.25


def test_a_line_that_becomes_slower_is_learned_from_second_answers(
    client: ClientSession, server: ServerSessions
) -> None:
    """Though nothing is answered before it is repeated."""
    early, late_s, now_s = 0, 1.0, 10.0
    for _ in range(10):
        client.submit(1, 1, b"")
        (body,) = client.send(now_s)
        due_s = now_s + 0.03 + late_s
        replies = [answer(server, body)]
        while client.wake_s < due_s:
            early += 1
            replies.append(server.receive(decode(client.send(client.wake_s)[0]), MAX_FRAME)[0])
        for reply in replies:
            client.receive(reply, due_s)
        now_s = due_s + 1.0
    assert 0 < early < 6
    assert client._line.smoothed_s == pytest.approx(late_s, abs=0.1)


@pytest.mark.parametrize(
    ("rate_Bps", "lost_every", "least", "most"),
    [
        (11520.0, 0, 2304, 2304),  # 200 ms of line
        (92160.0, 0, 4096, 4096),
        (92160.0, 12_500, 650, 800),  # a bit error rate of 1e-5
        (92160.0, 1_250, 256, 256),
        (300.0, 0, 256, 256),
    ],
)
def test_chunks_follow_line_and_loss(
    rate_Bps: float, lost_every: int, least: int, most: int
) -> None:
    line, since = Line(rate_Bps, 0.25), 0
    assert line.chunk(42) <= 2049  # until the line is known
    for _ in range(4000):
        line.loss.carried(500)
        since += 500
        if lost_every and since >= lost_every:
            line.loss.lost()
            since -= lost_every
    assert least <= line.chunk(42) <= most


def test_a_line_slower_than_its_name_is_noticed() -> None:
    """What the acknowledgements tell corrects what the rate says."""
    line = Line(1000.0, 0.25)
    line.sent(bytes(994), 0.0)
    line.sent(bytes(994), 0.0)
    assert line.queued_s(0.0) == pytest.approx(2.0)
    line.acknowledged(1000, 0, 1.5)  # the first took 1.5 s
    assert line.queued_s(1.5) == pytest.approx(1.0, abs=0.1)
    line.acknowledged(0, 0, 2.0)  # faster: all has left
    assert line.queued_s(2.0) == 0.0


def test_an_ordered_call_does_not_wait_for_one_without_order(server: ServerSessions) -> None:
    slow, chunk = call(1), call(2, flags=1 | envelope.ORDERED)
    assert status(server.receive(chunk, MAX_FRAME)[0]) == envelope.IN_PROGRESS
    assert server.receive(slow, MAX_FRAME) == [slow, chunk]
    assert server.finish(chunk, envelope.DONE, b"")[1:] == []
    assert status(server.in_progress(slow)) == envelope.IN_PROGRESS
    assert len(server.finish(slow, envelope.DONE, b"")) == 1


def test_a_bridge_says_that_it_is_one(server: ServerSessions) -> None:
    client = ClientSession(Line(None, 0.25), lambda: 9, bridged=True)
    opened(client, server)
    assert server.is_bridged(9)
    assert not server.is_bridged(7)
    assert not server.is_bridged(8)
    assert server.count == 2


def test_does_not_repeat_while_bytes_arrive(client: ClientSession) -> None:
    client.submit(1, 1, b"")
    client.send(10.0)
    client.heard(20.0)
    assert client.send(20.0) == []
    assert client.wake_s == pytest.approx(20.25)


def test_an_answer_to_a_later_call_repeats_the_earlier_at_once(
    client: ClientSession, server: ServerSessions
) -> None:
    client.submit(1, 1, b"lost")
    client.submit(1, 1, b"there")
    _, second = client.send(10.0)
    (action,) = server.receive(decode(second), MAX_FRAME)
    assert isinstance(action, Envelope)
    (reply,) = server.finish(action, envelope.DONE, b"")
    assert isinstance(reply, bytes)
    client.receive(reply, 10.1)
    (again,) = client.send(10.1)
    assert decode(again).payload == b"lost"


def test_an_answer_in_order_tells_that_those_before_have_ended(
    client: ClientSession, server: ServerSessions
) -> None:
    """A held call is known to the board; when its answer is lost it is not waited for."""
    first = client.submit(1, 1, b"1", ordered=True)
    second = client.submit(1, 1, b"2", ordered=True)
    third = client.submit(1, 1, b"3", ordered=True)
    bodies = client.send(10.0)
    for body in bodies[1:]:  # the first is lost
        (held,) = server.receive(decode(body), MAX_FRAME)
        assert isinstance(held, bytes)
        client.receive(held, 10.1)
    assert second.acknowledged
    replies = []
    actions = server.receive(decode(client.send(10.1)[0]), MAX_FRAME)
    while actions:
        (call,) = (action for action in actions if isinstance(action, Envelope))
        reply, *actions = server.finish(call, envelope.DONE, b"")
        assert isinstance(reply, bytes)
        replies.append(reply)
    client.receive(replies[0], 10.2)
    client.receive(replies[2], 10.2)  # that of the second is lost
    assert (first.done, second.done, third.done) == (True, False, True)
    (again,) = client.send(10.2)
    assert decode(again).payload == b"2"


def test_a_line_that_answers_is_not_waited_for_longer(
    client: ClientSession, server: ServerSessions
) -> None:
    """Repetitions of one call that is damaged again and again do not slow down; silence does."""
    client.submit(1, 1, bytes(100))
    client.send(10.0)
    waits = []
    for turn in range(3):
        now_s = 20.0 + 10 * turn
        client.submit(1, 2, b"")
        other = client.send(now_s)[-1]
        client.receive(answer(server, other), now_s)
        client.send(now_s)  # repeats the first, at once
        waits.append(client.wake_s - now_s)
    assert waits[0] == pytest.approx(waits[2], abs=0.2)


def test_a_deadline_ends_a_call_and_says_whether_it_was_sent(client: ClientSession) -> None:
    sent = client.submit(1, 1, b"", deadline_s=20.0)
    client.send(10.0)
    assert client.wake_s <= 20.0
    client.send(20.0)
    with pytest.raises(errors.LinkTimeout, match="may or may not"):
        sent.result()
    unsent = client.submit(1, 1, b"", deadline_s=20.0)
    client.send(21.0)
    with pytest.raises(errors.LinkTimeout, match="was not executed"):
        unsent.result()


def test_a_result_is_not_there_before_the_answer(client: ClientSession) -> None:
    with pytest.raises(errors.ProtocolError, match="under way"):
        client.submit(1, 1, b"").result()


@pytest.mark.parametrize(
    ("transmissions", "idempotent", "outcome"),
    [(1, False, "again"), (2, False, "unknown"), (2, True, "again")],
)
def test_after_a_restart_of_the_board(
    client: ClientSession, transmissions: int, idempotent: bool, outcome: str
) -> None:
    request = client.submit(1, 1, b"x", idempotent=idempotent)
    for _ in range(transmissions):
        (body,) = client.send(client.wake_s if request.transmissions else 10.0)
    reborn = ServerSessions(BOOT + 1)
    (refused,) = reborn.receive(decode(body), MAX_FRAME)
    assert isinstance(refused, bytes)
    client.receive(refused, 30.0)
    if outcome == "unknown":
        with pytest.raises(errors.OutcomeUnknown):
            request.result()
        return
    (greeting,) = client.send(30.0)
    assert decode(greeting).method == envelope.HELLO
    assert decode(greeting).session != decode(body).session  # said hello to once only
    (answer,) = reborn.receive(decode(greeting), MAX_FRAME)
    assert isinstance(answer, bytes)
    client.receive(answer, 30.0)
    (body,) = client.send(30.0)
    assert reborn.receive(decode(body), MAX_FRAME) == [decode(body)]
    assert client.sessions == 2


def test_an_unsupported_method_is_said_to_be_missing(client: ClientSession) -> None:
    request = client.submit(1, 77, b"")
    (body,) = client.send(10.0)
    client.receive(
        encode(envelope.REPLY, request.number, request.session, BOOT, 1, 77, envelope.UNSUPPORTED),
        10.0,
    )
    assert len(body) == envelope.OVERHEAD
    with pytest.raises(errors.CallUnsupported, match="no method 77 of service 1"):
        request.result()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        envelope.encode_hello_reply(envelope.Hello(1, 0, 16384, 4200)),
        envelope.encode_hello_reply(envelope.Hello(1, 16, 16384, 32)),
    ],
    ids=["cut", "no window", "no room"],
)
def test_a_hello_that_leaves_nothing_to_do_ends_the_calls(payload: bytes) -> None:
    client = ClientSession(Line(None, 0.25), lambda: 7)
    request = client.submit(1, 1, b"")
    client.send(10.0)
    reply = encode(envelope.REPLY, 0, 7, BOOT, envelope.SERVICE, envelope.HELLO, 0, payload)
    client.receive(reply, 10.1)
    assert not client.opened
    with pytest.raises(errors.ProtocolError, match="hello|no call can be made"):
        request.result()


@pytest.mark.parametrize(("session", "boot"), [(8, BOOT), (7, BOOT + 1)])
def test_a_goodbye_of_nobody_is_not_answered(
    server: ServerSessions, session: int, boot: int
) -> None:
    bye = Envelope(envelope.ONEWAY, 1, session, boot, envelope.SERVICE, envelope.BYE, 0, b"")
    assert server.receive(bye, MAX_FRAME) == []
    assert server.count == 1
