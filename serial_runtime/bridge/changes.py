# SPDX-License-Identifier: MIT
"""Online changes behind a bridge: one can see how it stands, and make none.

A change belongs to the session that has prepared it, and a bridge has one for all its clients.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Never

from serial_runtime.errors import CallUnsupported
from serial_runtime.plc.changes import Order
from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.bridge.remote_plc import RemotePLC


class Changes:
    """What the service asks `plc.changes` for. Any thread."""

    def __init__(self, plc: RemotePLC) -> None:
        self._plc = plc

    def prepare(self, owner: Hashable, order: Order) -> Never:
        _refuse()

    def rows(self, number: int, first: int) -> Never:
        _refuse()

    def make(self, number: int) -> Never:
        _refuse()

    def drop(self, number: int) -> Never:
        _refuse()

    def status(self) -> tuple[str, int, str]:
        found = Reference()
        self._plc.call(lambda board: board.GetChange(found))
        status: board_types.ChangeStatus = found.value
        return status.state, status.cycles_left, status.text


def _refuse() -> Never:
    raise CallUnsupported(
        "a bridge makes no online changes: connect to the board itself, or load with a stop"
    )
