# SPDX-License-Identifier: MIT
"""Helpers of these tests are modules beside them; pytest's importlib mode needs to be told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plc_scene import Scene  # noqa: E402


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A PLC object on a fake board."""
    it = Scene(str(tmp_path))
    yield it
    it.end()
