# SPDX-License-Identifier: MIT
"""Every environment file makes a target that has all a board needs; nothing is switched on."""

from __future__ import annotations

from pathlib import Path

import pytest
from labgrid import Environment

import hil.boards

pytestmark = pytest.mark.requirement("REQ-RIG-2")

FILES = sorted(Path(hil.boards.__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_environment_is_complete(file: Path) -> None:
    target = Environment(str(file)).get_target("main")
    strategy = target.get_driver("Strategy")
    for needed in ("power", "command", "service", "line", "pins"):
        assert getattr(strategy, needed) is not None, needed
    assert set(strategy.pins.inputs) == {"DI0", "DI1", "DI2", "DI3"}
    assert set(strategy.pins.outputs) == {"DO0", "DO1", "DO2", "DO3"}
