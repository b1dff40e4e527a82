# SPDX-License-Identifier: MIT
"""What the figures mean, in words.

The rule: a cycle has its period for waking up, its program, and some reserve. A board is fit for a
period when the greatest latency leaves half of it to the program; it is fit with exceptions when
that is so in all but one of 10 000 cycles. What is worse is not fit.
"""

from __future__ import annotations

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from serial_runtime.board_types import Statistics

FIT, EXCEPTIONS, UNFIT = "fit", "fit with exceptions", "not fit"
_PERIODS_US = (
    50, 100, 125, 200, 250, 400, 500, 1000, 2000, 2500, 4000, 5000, 8000, 10_000, 20_000, 50_000,
    100_000, 200_000, 500_000, 1_000_000,
)  # fmt: skip
_MANY = 1_000_000  # wake-ups; fewer say little of what is rare
# Of the greatest jitter. The first and the last bound are LinuxCNC's for software-made step pulses.
_WORDS_US = ((20, "very good"), (50, "good"), (100, "fair"), (500, "poor"))


class Verdict(NamedTuple):
    """`shortest_ns` is the shortest usual period that the machine is fit for; 0: none."""

    period_ns: int
    fitness: str
    shortest_ns: int
    jitter: str
    sentences: tuple[str, ...]


def fitness(figures: Statistics, period_ns: int) -> str:
    """For cycles of this period."""
    if figures.wakeup.max_ns * 2 <= period_ns:
        return FIT
    if figures.wakeup.p9999_ns * 2 <= period_ns:
        return EXCEPTIONS
    return UNFIT


def shortest_ns(figures: Statistics) -> int:
    """The shortest usual period it is fit for; 0: none."""
    return next((us * 1000 for us in _PERIODS_US if fitness(figures, us * 1000) == FIT), 0)


def jitter_word(max_ns: int) -> str:
    """One word for the greatest jitter."""
    return next((word for bound, word in _WORDS_US if max_ns <= bound * 1000), "unusable")


def period_text(ns: int) -> str:
    """Such as "250 us" or "1 ms"."""
    return f"{ns / 1e6:g} ms" if ns >= 1_000_000 else f"{ns / 1000:g} us"


def judge(parts: Mapping[str, Statistics], period_ns: int) -> Verdict:
    """By the worse of "idle" and "load", if there is the latter."""
    name, worst = max(parts.items(), key=lambda part: part[1].wakeup.max_ns)
    wakeup = worst.wakeup
    found, shortest = fitness(worst, period_ns), shortest_ns(worst)
    period = period_text(period_ns)
    where = "idle" if name == "idle" else "under load"
    greatest = (
        f"the greatest wakeup latency was {wakeup.max_ns / 1000:.1f} us ({where}), "
        f"{100 * wakeup.max_ns / period_ns:.0f} % of the period"
    )
    most = f"9999 of 10000 were at most {wakeup.p9999_ns / 1000:.1f} us, but " * (
        wakeup.p9999_ns < wakeup.max_ns
    )
    text = {
        FIT: f"fit for cycles of {period}: {greatest}",
        EXCEPTIONS: f"fit for cycles of {period} with exceptions: {most}{greatest}; some cycle "
        "will be late or be skipped",
        UNFIT: f"not fit for cycles of {period}: {most}{greatest}; half of it must be left to the "
        "program",
    }[found]
    sentences = [text]
    if shortest != period_ns:
        sentences.append(
            f"the shortest usual period it is fit for is {period_text(shortest)}"
            if shortest
            else "it is fit for no period up to 1 s"
        )
    word = jitter_word(worst.jitter.max_ns)
    sentences.append(
        f"the greatest period jitter was {worst.jitter.max_ns / 1000:.1f} us: {word} by LinuxCNC's "
        "yardstick (below 20 us very good, above 500 us unusable)"
    )
    if "load" not in parts:
        sentences.append("nothing else ran: under load it will be worse")
    if wakeup.count < _MANY:
        sentences.append(
            f"{wakeup.count} wake-ups tell little of what happens once a day: measure for an hour "
            "or more (--duration 3600)"
        )
    return Verdict(period_ns, found, shortest, word, tuple(sentences))
