# SPDX-License-Identifier: MIT
"""The verdict on figures in virtual time."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from hil.regression.experiment import BOUNDS, broken

SECONDS = 4.0
PER_SECOND = ("ticks", "overruns", "skipped", "trace_records")


@pytest.fixture
def cases() -> dict[str, dict[str, Any]]:
    """Figures in the middle of their bounds."""
    bounds = tomllib.loads(BOUNDS.read_text())
    return {
        name: {
            figure: sum(between) / 2 * (SECONDS if figure in PER_SECOND else 1)
            for figure, between in figures.items()
        }
        for name, figures in bounds.items()
    }


def test_good_figures_pass(cases: dict[str, dict[str, Any]]) -> None:
    assert broken(cases, SECONDS) == []


def test_each_figure_is_looked_at(cases: dict[str, dict[str, Any]]) -> None:
    looked_at = 0
    for name, figures in cases.items():
        for figure in figures:
            wrong = copy.deepcopy(cases)
            wrong[name][figure] = 1e12
            (sentence,) = broken(wrong, SECONDS)
            assert sentence.startswith(f"{name}: {figure} is ")
            looked_at += 1
    assert looked_at >= 20


def test_a_case_without_result_is_named(cases: dict[str, dict[str, Any]]) -> None:
    del cases["overruns"]
    assert broken(cases, SECONDS) == ["overruns: the board has no result"]
