# SPDX-License-Identifier: MIT
"""How long the scenarios wait: for an emulated board on a busy machine, and never in vain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

LONG_S = float(os.environ.get("HIL_PATIENCE_S", "120"))
_PAUSE_S = 0.05


def eventually(condition: Callable[[], object], what: str, again: tuple[type, ...] = ()) -> None:
    """Ask until it is true; AssertionError says that `what` did not come.

    An exception of the types `again` is a no, like a link that is not back yet.
    """
    end_s = time.monotonic() + LONG_S
    last: object = False
    while True:
        try:
            if last := condition():
                return
        except again as error:  # type: ignore[misc]
            last = error
        assert time.monotonic() < end_s, f"not within {LONG_S:.0f} s: {what} (last: {last!r})"
        time.sleep(_PAUSE_S)
