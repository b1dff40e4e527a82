# SPDX-License-Identifier: MIT
"""Forces and their owners."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.bridge.forces import Forces

OWNERS = st.sampled_from(["a", "b", "c"])
VALUES = st.dictionaries(st.integers(0, 3), st.sampled_from([b"1", b"2"]))


def test_the_last_writer_wins_and_lets_go() -> None:
    first = Forces().replaced("a", {1: b"x", 2: b"y"})
    second = first.replaced("b", {1: b"z"})
    assert first.changes(second) == {1: b"z"}
    assert [(index, loser.owner, value) for index, loser, value in first.taken(second, "b")] == [
        (1, "a", b"z")
    ]
    assert second.replaced("a", {1: b"x", 2: b"y"}).effective == second.effective, "repeated only"
    assert second.replaced("a", {1: b"new"}).effective == {1: b"new"}
    third = second.replaced("b", {})
    assert second.changes(third) == {1: b"x"}
    assert second.taken(third, "b") == []
    assert third.changes(Forces()) == {1: b"", 2: b""}


def test_a_release_by_name_takes_it_from_everybody() -> None:
    book = Forces().replaced("a", {1: b"x"}).replaced("b", {1: b"y", 2: b"y"})
    after = book.updated("c", {1: b"", 3: b"w"})
    assert after.effective == {2: b"y", 3: b"w"}
    assert [(index, loser.owner, value) for index, loser, value in book.taken(after, "c")] == [
        (1, "b", b"")
    ]


def test_what_the_board_released() -> None:
    book = Forces().replaced("a", {1: b"x", 2: b"y"})
    assert book.restricted([2, 5]).effective == {2: b"y"}
    assert not book.restricted([])


@given(st.lists(st.tuples(OWNERS, VALUES)))
def test_changes_lead_from_any_book_to_the_next(steps: list[tuple[str, dict[int, bytes]]]) -> None:
    book, board = Forces(), {}
    for owner, values in steps:
        after = book.replaced(owner, values)
        for index, value in book.changes(after).items():
            if value:
                board[index] = value
            else:
                del board[index]
        book = after
        assert board == book.effective
        assert book.of(owner) == values
    for owner in "abc":
        book = book.replaced(owner, {})
    assert not book
