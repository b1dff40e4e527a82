# SPDX-License-Identifier: MIT
"""The wheels for boards, built once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from board.packaging import wheels


@pytest.fixture(scope="session")
def wheel_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The wheel for an architecture, in Debian's words."""

    @cache
    def build(architecture: str) -> Path:
        target = wheels.TARGETS[architecture]
        for tool in ("apt-get", "readelf", f"{target.triplet}-gcc"):
            if shutil.which(tool) is None:
                pytest.skip(f"needs {tool}, of Debian")
        return wheels.build(target, tmp_path_factory.mktemp(architecture))

    return build
