# SPDX-License-Identifier: MIT
"""What figures mean in words."""

from __future__ import annotations

import pytest

from serial_runtime.board_types import Distribution, Statistics
from serial_runtime.latency.verdict import EXCEPTIONS, FIT, UNFIT, jitter_word, judge

MS = 1_000_000
NONE = Distribution(0, 0, 0, 0, 0, 0, 0, ())


def part(max_us: float, p9999_us: float, jitter_us: float, count: int = 2_000_000) -> Statistics:
    wakeup = Distribution(
        count, 1000, 5000, 9000, 9000, round(max_us * 1000), 0, (), p9999_ns=round(p9999_us * 1000)
    )
    jitter = NONE._replace(max_ns=round(jitter_us * 1000))
    return Statistics(count, 0, 0, MS, wakeup, NONE, NONE, jitter)


def test_a_good_board() -> None:
    verdict = judge({"idle": part(12, 9, 8), "load": part(40, 25, 19)}, MS)
    assert verdict.fitness == FIT
    assert verdict.shortest_ns == 100_000
    assert verdict.jitter == "very good"
    assert verdict.sentences == (
        "fit for cycles of 1 ms: the greatest wakeup latency was 40.0 us (under load), 4 % of the "
        "period",
        "the shortest usual period it is fit for is 100 us",
        "the greatest period jitter was 19.0 us: very good by LinuxCNC's yardstick (below 20 us "
        "very good, above 500 us unusable)",
    )


@pytest.mark.parametrize(
    ("max_us", "p9999_us", "fitness"),
    [
        (500, 500, FIT),
        (500.1, 500, EXCEPTIONS),
        (5000, 400, EXCEPTIONS),
        (5000, 501, UNFIT),
    ],
)
def test_half_of_the_period_is_the_bound(max_us: float, p9999_us: float, fitness: str) -> None:
    verdict = judge({"idle": part(max_us, p9999_us, 50)}, MS)
    assert verdict.fitness == fitness
    assert ("9999 of 10000" in verdict.sentences[0]) == (fitness != FIT)
    assert any("under load it will be worse" in one for one in verdict.sentences)


def test_the_worse_part_counts_be_it_idle() -> None:
    verdict = judge({"idle": part(900, 40, 30), "load": part(100, 90, 30)}, MS)
    assert verdict.fitness == EXCEPTIONS
    assert "(idle)" in verdict.sentences[0]
    assert verdict.shortest_ns == 2 * MS


def test_a_hopeless_one() -> None:
    verdict = judge({"idle": part(2e6, 2e6, 2e6)}, MS)
    assert (verdict.fitness, verdict.shortest_ns, verdict.jitter) == (UNFIT, 0, "unusable")
    assert "it is fit for no period up to 1 s" in verdict.sentences
    assert "9999" not in verdict.sentences[0], "it would say the same twice"


def test_few_wake_ups_say_little() -> None:
    verdict = judge({"idle": part(12, 9, 8, 30_000), "load": part(40, 25, 19, 30_000)}, MS)
    assert verdict.sentences[-1].startswith("30000 wake-ups tell little")


def test_words() -> None:
    words = [jitter_word(us * 1000) for us in (0, 20, 21, 50, 100, 101, 500, 501)]
    assert words == [
        "very good", "very good", "good", "good", "fair", "poor", "poor", "unusable",
    ]  # fmt: skip
