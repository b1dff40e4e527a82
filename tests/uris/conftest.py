# SPDX-License-Identifier: MIT
"""A board for each way in; one process each for all tests, which leave it without a program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ways import AT_A_ROUTER, WAYS, Way  # noqa: E402


@pytest.fixture(scope="session", params=[*WAYS, *AT_A_ROUTER])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("way")
    if request.param in WAYS:
        running = WAYS[request.param](folder)
    else:
        running = AT_A_ROUTER[request.param](folder, request.getfixturevalue("the_router"))
    with running as way:
        yield way
