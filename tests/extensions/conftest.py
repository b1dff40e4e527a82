# SPDX-License-Identifier: MIT
"""Helpers of these tests are modules beside them; pytest's importlib mode needs to be told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from python_scene import Scene  # noqa: E402

from serial_runtime.extensions import native  # noqa: E402


@pytest.fixture
def new_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    """``new_scene(runtime_x="source", ...)``: a program with these scripts, loaded.

    What has failed is tried again at once.
    """
    monkeypatch.setattr(native, "_AGAIN_S", 0.0)
    made: list[Scene] = []

    def make(**options: object) -> Scene:
        made.append(Scene(str(tmp_path), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for scene in made:
        scene.end()
