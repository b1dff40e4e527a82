# SPDX-License-Identifier: MIT
"""A bridge between a board on in-memory lines and clients on TCP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "plc")]

from bridge_scene import BridgeScene  # noqa: E402


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[BridgeScene]:
    scene = BridgeScene(tmp_path)
    yield scene
    scene.end()
