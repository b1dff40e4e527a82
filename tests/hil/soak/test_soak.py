# SPDX-License-Identifier: MIT
"""A short soak: everything the long one does, a few seconds of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hil.soak.__main__ import Soak

SECONDS = 5.0


def test_a_short_soak(tmp_path: Path) -> None:
    with closing(Soak(tmp_path, seed=11, baud=921600, phase_s=(0.2, 0.8))) as soak:
        soak.run(SECONDS)  # raises at the first invariant that does not hold
    assert soak.counts["calls"] >= 1
    assert "calls" in soak.summary()
