# SPDX-License-Identifier: MIT
"""Limits: what each kind accepts and refuses, and what it says then."""

from __future__ import annotations

import pytest

from hil.plants.limits import Limit, Verdict, Watcher, read_limit


def judge(table: dict[str, object], x: list[float], y: list[float] | None = None) -> Verdict:
    """Samples of x (and y) once a second, from 0."""
    limit = read_limit({"requirement": "R", "signal": "x", **table}, "f:1")
    watcher = Watcher(limit)
    for n, value in enumerate(x):
        watcher.look(float(n), {"x": value, "y": y[n] if y else 0})
    return watcher.verdict()


@pytest.mark.parametrize(
    ("table", "good", "bad"),
    [
        ({"min": 2}, [2, 3], [3, 1.9]),
        ({"max": 2}, [2, -3], [1, 2.1]),
        ({"min": 1, "max": 2}, [1, 2], [1, 3]),
        ({"max": 2, "from_s": 1}, [9, 2], [2, 9]),
        ({"max": 2, "to_s": 1}, [2, 2, 9], [2, 9, 2]),
        ({"equals": 1}, [1, 1], [1, 0]),
        ({"equals": 1, "band": 0.5}, [1.5, 0.5], [1, 1.6]),
        ({"never": 1}, [0, 2], [0, 1]),
        ({"final": 5}, [0, 5], [5, 0]),
        ({"final": 5, "band": 1}, [0, 6], [5, 6.5]),
        ({"settles": 5, "band": 1, "within_s": 2}, [0, 9, 5, 5], [0, 9, 9, 5]),
        ({"settles": 5, "band": 1, "within_s": 2}, [5, 9, 6, 4], [5, 5, 5, 9]),
        ({"settles": 5, "band": 1, "within_s": 2, "from_s": 2}, [9, 9, 9, 9, 5], [5, 5, 9, 9, 9]),
        ({"settles": 5, "band": 1, "within_s": 1}, [9, 5, 5], [5, 5, 9, 5]),
        ({"settles": 5, "band": 1, "within_s": 4}, [9, 9, 9, 9, 5], [9, 5]),
    ],
)
def test_of_one_signal(table: dict[str, object], good: list[float], bad: list[float]) -> None:
    assert judge(table, good).passed, judge(table, good).detail
    refused = judge(table, bad)
    assert not refused.passed
    assert refused.time_s == refused.time_s


def test_becomes() -> None:
    table: dict[str, object] = {"becomes": 1, "when": "y", "within_ms": 2000}
    assert judge(table, [0, 0, 0, 0], [0, 0, 0, 0]).passed
    assert judge(table, [0, 0, 0, 1], [0, 1, 1, 1]).passed
    assert not judge(table, [0] * 5, [0, 1, 1, 1, 1]).passed
    # Each time anew, and while the condition holds.
    assert judge(table, [0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0]).passed
    assert not judge(table, [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]).passed


def test_it_says_when_and_what() -> None:
    verdict = judge({"max": 2}, [1, 1, 7, 3])
    assert verdict.time_s == 2.0
    assert verdict.detail == "at 2.000 s it was 7; it was from 1 to 7"
    assert judge({"max": 2}, []).detail == "there was no sample in its time"
    assert not judge({"max": 2, "from_s": 9}, [1]).passed, "what was not looked at is not shown"


def test_a_limit_in_words() -> None:
    assert str(Limit("R", "x", "min", 1, high=2)) == "x from 1 to 2"
    table = {"requirement": "R", "signal": "x", "becomes": 0, "when": "y", "within_ms": 50}
    assert str(read_limit(table, "f:1")) == "x is 0 within 50 ms of y = 1"
