# SPDX-License-Identifier: MIT
"""Calls of a stock server: no session, one at a time."""

from __future__ import annotations

import pytest

from serial_runtime import errors
from serial_runtime.protocol.plain_session import PlainSession
from serial_runtime.protocol.timing import Line


def reply_of(body: bytes, outputs: bytes) -> bytes:
    return bytes([2]) + body[1:8] + outputs


class TestPlain:
    """Towards a stock server."""

    @pytest.fixture
    def plain(self) -> PlainSession:
        return PlainSession(Line(None, 0.25))

    def test_one_at_a_time(self, plain: PlainSession) -> None:
        first, second = plain.submit(1, 4, b"a"), plain.submit(1, 4, b"b")
        (body,) = plain.send(0.0)
        plain.receive(reply_of(body, b"1"), 0.0)
        assert first.result() == b"1"
        (body,) = plain.send(0.0)
        assert body[8:] == b"b"
        assert not second.done

    def test_repeats_only_what_may_be(self, plain: PlainSession) -> None:
        plain.submit(1, 4, b"", deadline_s=9.0, idempotent=True)
        body = plain.send(0.0)
        assert plain.send(1.0) == body
        plain.give_up(plain.waiting[0], errors.LinkTimeout(""))
        once = plain.submit(1, 13, b"", deadline_s=9.0)
        plain.send(1.0)
        assert plain.wake_s == 9.0
        assert plain.send(8.0) == []
        plain.send(9.0)
        with pytest.raises(errors.LinkTimeout):
            once.result()

    def test_a_reply_to_another_call_is_passed_over(self, plain: PlainSession) -> None:
        request = plain.submit(1, 4, b"")
        (body,) = plain.send(0.0)
        late = bytearray(reply_of(body, b"old"))
        late[4] ^= 1
        plain.receive(bytes(late), 0.0)
        plain.receive(b"\2", 0.0)
        assert not request.done

    def test_never_sends_our_own_service(self, plain: PlainSession) -> None:
        request = plain.submit(2, 1, b"")
        assert plain.send(0.0) == []
        with pytest.raises(errors.CallUnsupported, match="not a serial runtime"):
            request.result()

    def test_a_lost_connection_leaves_the_outcome_unknown(self, plain: PlainSession) -> None:
        request = plain.submit(1, 13, b"")
        plain.send(0.0)
        plain.link_lost(1.0)
        with pytest.raises(errors.OutcomeUnknown):
            request.result()
