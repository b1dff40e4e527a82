# SPDX-License-Identifier: MIT
"""The board's figures of a link, asked over that link; echo calls."""

from __future__ import annotations

import pytest
from erpc import Reference

from serial_runtime.errors import ProtocolError
from serial_runtime.rpc.line_load import echo_for
from serial_runtime.rpc.service import BoardHandler


def test_both_ends_count_the_same(bench, client) -> None:
    client.status()
    mine, theirs = client.link.figures, client.link_statistics()
    assert theirs.received_bytes > mine.sent_bytes  # the call itself
    assert theirs.sent_bytes == mine.received_bytes
    assert (theirs.sessions, theirs.baud, theirs.driver) == (1, 0, [])


def test_damage_is_counted_by_the_end_that_sees_it(bench, client) -> None:
    client.status()
    bench.ends[0].damage.flip(10)  # in a body
    client.status()
    found = client.link_statistics()
    assert found.body_errors == 1
    assert found.discarded_bytes > 0
    assert client.link.figures.discarded_bytes == 0


def test_echo_measures_the_line(client) -> None:
    carried = echo_for(client.link, 0.05, 300)
    assert carried.bytes % 300 == 0
    assert carried.bytes > 0
    assert carried.goodput_Bps > 0


def test_an_echo_is_cut_to_the_longest_reply(bench) -> None:
    bench.rate_Bps = 30.0  # no wait: a loop passes bytes on at once
    with bench.client() as client:
        carried = echo_for(client.link, 0.05, 3000)
        assert carried.bytes % (300 - 64) == 0


def test_another_echo_is_an_error(client, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(self: BoardHandler, data: bytes, same: Reference) -> None:
        same.value = bytes(data)[::-1]

    monkeypatch.setattr(BoardHandler, "Echo", turned)
    with pytest.raises(ProtocolError, match="other data back"):
        echo_for(client.link, 0.05, 300)
