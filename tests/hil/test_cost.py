# SPDX-License-Identifier: MIT
"""The cost of the runtime: what is made of a board's console."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.cost.__main__ import _figures, report
from hil.cost.disk import Extra
from serial_runtime.errors import PackagingError

EXTRA = Extra(Path("extra.img"), ours_kb=40_000, peer_kb=80_000)
CONSOLE = (
    "noise\r\n"
    'cost: {"python_s": 0.04, "reference_s": 0.1, "ready_s": 0.12, "reply_s": 0.16, '
    '"resident_kb": 14000, "peer_s": 1.2, "peer_kb": 56000, "cycle_share": 0.005, '
    '"trace_share": 0.02, "used_kb": 17000}\r\n'
    "package: 6000\r\n"
)


def test_the_figures_of_a_board() -> None:
    found = _figures(CONSOLE, EXTRA)
    assert (found["flash_all_kb"], found["flash_peer_kb"]) == (46_000, 80_000)
    rows = {line[:44].strip(): line[44:].split() for line in report(found)}
    assert rows["start to READY / import serial, erpc"] == [
        "120.0",
        "100.0",
        "1.20",
        "ms",
        "<=",
        "1.5",
    ]
    assert rows["start to first reply / the same"][2] == "1.60"
    assert rows["resident, idle / the same"][:3] == ["14.0", "56.0", "0.25"]
    assert rows["flash, our package"] == ["6.0", "MB"]


def test_a_board_that_has_not_measured() -> None:
    with pytest.raises(PackagingError, match="out of memory"):
        _figures("out of memory\r\npackage: 6000\r\n", EXTRA)
