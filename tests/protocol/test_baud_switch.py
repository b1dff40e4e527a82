# SPDX-License-Identifier: MIT
"""The agreement on a rate: whatever is lost, both ends come home, and neither stays alone away."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.protocol.baud_switch import (
    CONFIRM_S,
    IDLE_S,
    SILENCE_S,
    TRIAL_S,
    BoardRate,
    ClientRate,
)

HOME, FAST, SESSION = 115200, 921600, 77


@pytest.fixture
def board() -> BoardRate:
    """On trial since second 10."""
    board = BoardRate(HOME)
    board.ask(FAST, SESSION)
    board.switched(10.0)
    return board


def test_at_home_nothing_is_due() -> None:
    board = BoardRate(HOME)
    assert board.due_s == math.inf
    board.tick(1e9)
    assert board.wanted == board.baud == HOME


def test_it_switches_only_when_told_that_it_may() -> None:
    board = BoardRate(HOME)
    board.ask(FAST, SESSION)
    assert (board.wanted, board.baud, board.is_away) == (FAST, HOME, False)
    board.switched(10.0)
    assert (board.baud, board.is_away) == (FAST, True)


def test_a_trial_ends_without_an_envelope_of_its_session(board: BoardRate) -> None:
    board.heard(SESSION + 1, 12.0)
    assert board.due_s == 10.0 + TRIAL_S
    board.tick(10.0 + TRIAL_S - 0.1)
    assert board.wanted == FAST
    board.tick(10.0 + TRIAL_S)
    assert board.wanted == HOME
    board.switched(13.0)
    assert board.due_s == math.inf


def test_once_confirmed_any_envelope_keeps_it(board: BoardRate) -> None:
    board.heard(SESSION, 11.0)
    board.heard(SESSION + 1, 14.0)
    assert board.due_s == 14.0 + SILENCE_S
    board.tick(14.0 + SILENCE_S)
    assert board.wanted == HOME


def test_bye_of_its_session_brings_it_home(board: BoardRate) -> None:
    board.heard(SESSION, 11.0)
    board.ended(SESSION + 1)
    assert board.wanted == FAST
    board.ended(SESSION)
    assert board.wanted == HOME


def test_asking_for_home_needs_no_trial(board: BoardRate) -> None:
    board.heard(SESSION, 11.0)
    board.ask(HOME, SESSION)
    board.switched(12.0)
    assert not board.is_away
    assert board.due_s == math.inf


def test_a_process_that_takes_a_fast_line_over() -> None:
    board = BoardRate(HOME, FAST, 50.0)
    assert board.is_away
    assert board.due_s == 50.0 + SILENCE_S


def test_a_client_without_a_fast_rate_stays() -> None:
    client = ClientRate(HOME)
    assert not client.wants_fast(1e9)
    assert client.lost_s(0.0) == math.inf


def test_a_client_goes_fast_and_comes_back() -> None:
    client = ClientRate(HOME, FAST)
    assert client.wants_fast(0.0)
    client.baud = FAST
    assert client.is_away
    assert not client.wants_fast(10.0)
    assert not client.is_forgotten(10.0 + IDLE_S - 0.1, 10.0)
    assert client.is_forgotten(10.0 + IDLE_S, 10.0)
    assert client.lost_s(12.0) == 12.0 + SILENCE_S
    client.baud = HOME
    assert client.wants_fast(20.0)
    client.failed(20.0)
    assert not client.wants_fast(21.0)
    assert client.wants_fast(1e3)


def test_the_times_fit_together() -> None:
    # The client has given up its trial before the board does, and never counts on a rate that the
    # board may have left.
    assert CONFIRM_S < TRIAL_S
    assert IDLE_S < SILENCE_S


@given(st.lists(st.tuples(st.floats(0.01, 6.0), st.booleans(), st.booleans()), max_size=30))
def test_silence_in_either_direction_ends_with_both_at_home(
    steps: list[tuple[float, bool, bool]],
) -> None:
    """Calls go by at random times, either way lost or not; then the line is dead."""
    board, client = BoardRate(HOME), ClientRate(HOME, FAST)
    board.ask(FAST, SESSION)
    board.switched(0.0)
    client.baud = FAST
    now_s = heard_s = 0.0
    for wait_s, request_lost, reply_lost in [*steps, (SILENCE_S + 0.1, True, True)] * 2:
        now_s += wait_s
        board.tick(now_s)
        if board.wanted != board.baud:
            board.switched(now_s)
        if now_s >= client.lost_s(heard_s):
            client.baud = HOME
        if not request_lost and board.baud == client.baud:
            board.heard(SESSION, now_s)
            if not reply_lost:
                heard_s = now_s
    assert (board.baud, client.baud) == (HOME, HOME)
