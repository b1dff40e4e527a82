# SPDX-License-Identifier: MIT
"""The C fuzzers find nothing with the inputs of one seed; by hand see ``__main__``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import image  # noqa: E402


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    image.build(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "count"), [("image_file", 8_000), ("image_check", 50_000), ("image_object", 30_000)]
)
def test_a_damaged_program_file(built: Path, name: str, count: int) -> None:
    said = image.run(name, built, count, seed=1)
    kept = int(said.split()[-2])
    assert kept > 20, said  # it is guided: much more than it began with
