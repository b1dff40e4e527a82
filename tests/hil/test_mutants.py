# SPDX-License-Identifier: MIT
"""The table of mutants still fits the tree. That they are caught is `python -m hil.mutants`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_its_place_and_its_scenario_are_there(mutant: Mutant, tmp_path: Path) -> None:
    broken = tmp_path / mutant.file
    broken.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutant.file, broken)
    mutant.apply(tmp_path)
    assert broken.read_text() != (ROOT / mutant.file).read_text()
    file, _, test = mutant.caught_by.partition("::")
    function, _, parameter = test.rstrip("]").partition("[")
    source = (ROOT / "hil" / "scenarios" / file).read_text()
    assert f"def {function}(" in source
    assert f'"{parameter}"' in source or not parameter


def test_a_place_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "file.c").write_text("nothing\n")
    with pytest.raises(ValueError, match=r"file\.c"):
        Mutant("file.c", "something\n", "", "").apply(tmp_path)
