# SPDX-License-Identifier: MIT
"""What may follow a benchmark's name: how often, how long, which of its cases."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple


class Options(NamedTuple):
    runs: int
    seconds: float
    only: tuple[str, ...]  # words of a case's name; empty: all cases

    def wants(self, *words: str) -> bool:
        """Is a case of these words asked for? Every word of `only` must be one of them."""
        return set(self.only) <= set(words)


def parse(name: str, given: Sequence[str], runs: int, seconds: float) -> Options:
    """`given` on the command line, with a benchmark's own defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}")
    parser.add_argument("count", nargs="?", type=int, metavar="RUNS", help="as --runs")
    parser.add_argument("--runs", type=int, default=runs, help="of each case (%(default)s)")
    parser.add_argument("--seconds", type=float, default=seconds, help="a run (%(default)s)")
    parser.add_argument("--only", default="", metavar="WORD,...", help="cases with these words")
    found = parser.parse_args(given)
    if (found.count or found.runs) < 1 or not found.seconds > 0:
        parser.error("runs and seconds are more than 0")
    words = tuple(word for word in found.only.split(",") if word)
    return Options(found.count or found.runs, found.seconds, words)
