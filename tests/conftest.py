# SPDX-License-Identifier: MIT
"""What all tests share. None leaves anything in the user's own cache, nor finds anything there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _cache_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    def wait_for(condition: Callable[[], object]) -> None:
        pause = threading.Event()
        for _ in range(1500):
            if condition():
                return
            pause.wait(0.01)
        raise AssertionError("the condition did not come true within 15 s")

    return wait_for
