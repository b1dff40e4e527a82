# SPDX-License-Identifier: MIT
"""What the soak asks of the line, the line can do."""

from __future__ import annotations

import random

from hil.soak.troubles import conditions
from serial_runtime.line import TO_BOARD, TO_HOST, Conditions
from serial_runtime.line.conditions import changed


def test_all_conditions_are_ones_the_line_knows() -> None:
    source, seen = random.Random(1), set()
    for _ in range(300):
        words = conditions(source).split()
        if words[:1] in ([TO_BOARD], [TO_HOST]):
            words.pop(0)
        now = changed(Conditions(), words)
        assert (now == Conditions()) == (not words)
        seen.update(word.partition("=")[0] for word in words)
    assert {"ber", "burst", "drop", "insert", "duplicate", "stalls", "disconnects"} <= seen
