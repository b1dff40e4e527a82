# SPDX-License-Identifier: MIT
"""How the factor of decimation follows the line, with a simulated clock."""

from __future__ import annotations

from collections import deque

import pytest

from serial_runtime.plc.trace_pace import MOST, Pace

MASK = 0xFFFFFFFF


class Line:
    """A client that fetches 0.3 s of line time at once, as often as it can or each 0.1 s."""

    def __init__(self, samples_per_s: float, first_tick: int = 0) -> None:
        self.samples_per_s = samples_per_s
        self.now_s = 100.0
        self.pace = Pace(self.now_s)
        self.tick = first_tick  # of the next sample; one a millisecond
        self.waiting: deque[int] = deque()
        self.factors: list[tuple[float, int]] = [(self.now_s, 1)]  # when it changed
        self.lag = 0  # of the last fetch, in ticks

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            if self.tick % self.pace.every == 0:
                self.waiting.append(self.tick)
            self.tick = (self.tick + 1) & MASK
        self.now_s += seconds

    def fetch(self) -> None:
        newest = (self.tick - 1) & MASK
        waiting = self.waiting[0] if self.waiting else newest
        self.lag = (newest - waiting) & MASK
        if self.pace.fetching(self.now_s, newest, waiting):
            every = self.pace.every
            self.waiting = deque(tick for tick in self.waiting if tick % every == 0)
        count = min(len(self.waiting), max(1, int(0.3 * self.samples_per_s)))
        for _ in range(count):
            self.waiting.popleft()
        self.pace.fetched(self.now_s, not self.waiting)
        if self.pace.every != self.factors[-1][1]:
            self.factors.append((self.now_s, self.pace.every))
        self.pass_time(max(0.002, count / self.samples_per_s) + 0.1 * (not self.waiting))

    def run(self, seconds: float) -> None:
        until = self.now_s + seconds
        while self.now_s < until:
            self.fetch()


@pytest.mark.parametrize("samples_per_s", [1050, 2000, 50_000])
def test_a_line_that_carries_all_gets_all(samples_per_s: float) -> None:
    line = Line(samples_per_s)
    line.run(60)
    assert line.factors == [(100.0, 1)]


@pytest.mark.parametrize(
    ("samples_per_s", "every"),
    [(900, 2), (510, 2), (450, 4), (260, 4), (230, 8), (20, 64), (3, 512)],
)
def test_the_factor_is_found_in_one_step_and_the_client_is_up_to_date(
    samples_per_s: float, every: int
) -> None:
    line = Line(samples_per_s)
    while len(line.factors) == 1:
        line.fetch()
        assert line.lag < 4500
    assert line.pace.every in (every, 2 * every)
    line.run(4)
    assert len(line.factors) == 2
    assert line.lag < 4000


def test_the_factor_does_not_swing() -> None:
    line = Line(240)  # 1:4 is a little too much, 1:8 easy
    line.run(1800)
    assert {factor for _, factor in line.factors[1:]} == {4, 8}
    changes = [when for when, _ in line.factors]
    assert len(changes) < 25
    assert changes[-1] - changes[-3] > 300  # the attempts get rare


def test_the_factor_falls_again_when_the_line_has_room() -> None:
    line = Line(100)
    line.run(12)
    slow = len(line.factors) - 1
    assert line.pace.every >= 8
    line.samples_per_s = 3000
    line.run(150)
    assert line.pace.every == 1
    for (_, before), (_, after) in zip(line.factors[slow:], line.factors[slow + 1 :], strict=False):
        assert after == before // 2


def test_a_client_that_was_away_catches_up_undecimated() -> None:
    line = Line(1200)
    line.run(5)
    line.pass_time(6)  # unplugged
    line.run(60)
    assert line.factors == [(100.0, 1)]
    assert line.lag < 500


def test_ticks_that_wrap_or_begin_again_mislead_nobody() -> None:
    line = Line(1050, first_tick=0xFFFFF000)
    line.run(20)
    line.tick = 0
    line.run(20)
    assert line.factors == [(100.0, 1)]
    slow = Line(300, first_tick=0xFFFFF000)
    slow.run(20)
    assert slow.pace.every >= 4


def test_there_is_a_highest_factor() -> None:
    pace = Pace(0.0)
    assert pace.rise(1.0, MOST // 2)
    assert pace.rise(2.0, 1 << 20)
    assert pace.every == MOST
    assert not pace.rise(3.0)
