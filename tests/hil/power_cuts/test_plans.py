# SPDX-License-Identifier: MIT
"""Which power cuts are planned; and that the broken runtimes can still be made."""

from __future__ import annotations

from collections import Counter

import pytest

from hil.power_cuts import mutants
from hil.power_cuts.random_cuts import Pace, Plan, plans

PACE = Pace({}, {"download": Counter(request=5, reply=4), "stop": Counter(request=9, reply=9)})
STEPS = {
    *(Plan("download", "request", number) for number in range(1, 6)),
    *(Plan("download", "reply", number) for number in range(1, 5)),
    *(Plan("stop", kind, number) for kind in ("request", "reply") for number in (1, 2)),
}


def test_each_message_of_a_download_is_among_them() -> None:
    planned = plans(PACE, 200, seed=3)
    assert len(planned) == 200
    assert {plan for plan in planned if plan.message} == STEPS
    assert {plan.operation for plan in planned} == {
        *("download", "stop", "run", "change", "afterwards", "boot")
    }


def test_a_seed_tells_them_all() -> None:
    assert plans(PACE, 50, seed=3) == plans(PACE, 50, seed=3) != plans(PACE, 50, seed=4)


def test_a_few_are_a_choice_of_both_kinds() -> None:
    planned = plans(PACE, 9, seed=1, every_step=False)
    assert [bool(plan.message) for plan in planned].count(True) == 3


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_mutant_is_broken_python_that_still_loads(name: str) -> None:
    compile(mutants.source(name), "disk.py", "exec")
