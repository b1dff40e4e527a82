# SPDX-License-Identifier: MIT
"""What the server tells of the board it serves."""

from __future__ import annotations

import os

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serial_runtime.process_io.drivers import DriverState, PointState


class About(NamedTuple):
    """What the board says of itself."""

    board_id: str
    runtime: str
    backend: str
    max_program: int  # bytes
    machine: str = os.uname().machine
    connections: Callable[[], list[tuple[str, str]]] = list
    """Of each way in that somebody else must open for it: its URI and how that stands."""
    io_drivers: Callable[[], Sequence[DriverState]] = list
    io_points: Callable[[int], Sequence[PointState]] = lambda first: []
    """Some from that place on; none: there are no more."""
