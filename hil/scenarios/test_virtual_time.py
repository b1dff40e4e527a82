# SPDX-License-Identifier: MIT
"""The scan cycle in virtual time: on a board of its own, of the image of virt-arm64."""

from __future__ import annotations

import pytest

from hil.boards.board import Board
from hil.regression.experiment import broken, run

SECONDS = 3.0


@pytest.mark.full
@pytest.mark.only("emulated")
def test_figures_are_within_their_bounds(board: Board) -> None:
    """Counts, order, phase; and SCHED_FIFO is seen to be better than SCHED_OTHER."""
    if not board.target.startswith("aarch64"):
        pytest.skip("the bounds are those of virt-arm64")
    assert broken(run(SECONDS), SECONDS) == []
