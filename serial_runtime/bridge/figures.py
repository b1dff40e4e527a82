# SPDX-License-Identifier: MIT
"""The statistics of the board behind the bridge, asked for anew by each client."""

from __future__ import annotations

from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.bridge.remote_plc import RemotePLC


class Figures:
    """What the service asks `plc.figures` for. Any thread."""

    def __init__(self, plc: RemotePLC) -> None:
        self._plc = plc

    def task(self, task: int) -> board_types.TaskStatistics:
        found = Reference()
        self._plc.call(lambda board: board.GetTaskStatistics(task, found))
        statistics: board_types.TaskStatistics = found.value
        return statistics

    def bins(self, task: int, figure: int, first: int, most: int) -> list[int]:
        found = Reference()
        self._plc.call(lambda board: board.GetBins(task, figure, first, found))
        bins: list[int] = found.value
        return bins[:most]

    def record(self, task: int, cause: int, first: int, most: int) -> board_types.MaximumRecord:
        found = Reference()
        self._plc.call(lambda board: board.GetRecord(task, cause, first, found))
        record: board_types.MaximumRecord = found.value
        del record.cycles[most:]
        return record

    def reset(self, wakeup_above_ns: int, execution_above_ns: int) -> None:
        self._plc.call(lambda board: board.ResetStatistics(wakeup_above_ns, execution_above_ns))
