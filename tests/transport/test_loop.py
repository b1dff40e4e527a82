# SPDX-License-Identifier: MIT
"""The faults of the loop transport hit exactly the bytes they name."""

from __future__ import annotations

import pytest

from serial_runtime.errors import LinkClosed
from serial_runtime.transport.loop import LoopTransport, loop_pair


@pytest.fixture
def pair() -> tuple[LoopTransport, LoopTransport]:
    return loop_pair(reliable=False, line_rate_Bps=11520.0)


def sent(pair: tuple[LoopTransport, LoopTransport], data: bytes, piece: int) -> bytes:
    for at in range(0, len(data), piece):
        pair[0].write(data[at : at + piece])
    return pair[1].read(0.0)


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_damage(pair: tuple[LoopTransport, LoopTransport], piece: int) -> None:
    pair[0].write(b"before")
    assert pair[1].read(0.0) == b"before"
    damage = pair[0].damage
    damage.flip(1)
    damage.flip(2, 0xFF)
    damage.drop(4, 2)
    damage.insert(7, b"XY")
    damage.insert(0, b"Z")
    assert sent(pair, b"0123456789", piece) == b"Z00\xcd36XY789"
    assert sent(pair, b"0123456789", piece) == b"0123456789"


def test_damage_has_one_direction(pair: tuple[LoopTransport, LoopTransport]) -> None:
    pair[0].damage.drop(0)
    pair[1].write(b"back")
    assert pair[0].read(0.0) == b"back"
    pair[0].write(b"ab")
    assert pair[1].read(0.0) == b"b"


def test_muted(pair: tuple[LoopTransport, LoopTransport]) -> None:
    pair[0].damage.muted = True
    assert sent(pair, b"lost", 2) == b""
    pair[0].damage.muted = False
    assert sent(pair, b"heard", 2) == b"heard"


def test_cut_loses_what_is_under_way(pair: tuple[LoopTransport, LoopTransport]) -> None:
    pair[0].write(b"lost")
    pair[0].cut()
    for end in pair:
        with pytest.raises(LinkClosed):
            end.read(None)
        with pytest.raises(LinkClosed):
            end.write(b"x")


def test_what_was_sent_before_a_close_arrives(pair: tuple[LoopTransport, LoopTransport]) -> None:
    pair[0].write(b"last words")
    pair[0].close()
    assert pair[1].read(None) == b"last words"
    with pytest.raises(LinkClosed):
        pair[1].read(None)


def test_describes_the_line(pair: tuple[LoopTransport, LoopTransport]) -> None:
    assert [end.reliable for end in pair] == [False, False]
    assert [end.line_rate_Bps for end in pair] == [11520.0, 11520.0]
