# SPDX-License-Identifier: MIT
"""A board for each way in; one process each for all tests, which leave it without a program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ways import WAYS, Way  # noqa: E402


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with WAYS[request.param](tmp_path_factory.mktemp("way")) as way:
        yield way
