# SPDX-License-Identifier: MIT
"""The ledger notices a call executed twice, or never; and forgives what nobody can know."""

from __future__ import annotations

import pytest

from hil.soak.ledger import Ledger, Violation

STARTED = "program hundred started"
STOPPED = "PLC stopped"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_what_was_answered_was_executed_once(ledger: Ledger) -> None:
    for line in (STARTED, "start refused: the PLC is started already"):
        ledger.called("start")
        ledger.answered("start")
        ledger.seen(["something else", line])
    ledger.check()
    ledger.settle()


def test_twice(ledger: Ledger) -> None:
    ledger.called("start")
    with pytest.raises(Violation, match="start was executed 2 times, called 1 times"):
        ledger.seen([STARTED, "start refused: the PLC is started already"])


def test_never(ledger: Ledger) -> None:
    ledger.called("stop")
    ledger.answered("stop")
    ledger.seen([STARTED[:-1]])
    with pytest.raises(Violation, match="1 calls of stop were answered, 0 executed"):
        ledger.check()


@pytest.mark.parametrize("lines", [[], [STOPPED]])
def test_an_unknown_outcome_may_be_either(ledger: Ledger, lines: list[str]) -> None:
    ledger.called("stop")
    ledger.seen(lines)
    ledger.settle()


def test_late_after_it_was_settled(ledger: Ledger) -> None:
    ledger.called("stop")
    ledger.settle()
    with pytest.raises(Violation, match="stop was executed 1 times, called 0 times"):
        ledger.seen([STOPPED])


def test_a_lost_log_is_forgiven(ledger: Ledger) -> None:
    ledger.called("download")
    ledger.unseen("download")
    ledger.answered("download")
    ledger.settle()


def test_refused_without_being_executed(ledger: Ledger) -> None:
    ledger.called("repair")
    ledger.refused_unexecuted("repair")
    with pytest.raises(Violation):
        ledger.seen(["repair refused: the PLC is started"])
