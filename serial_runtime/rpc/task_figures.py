# SPDX-License-Identifier: MIT
"""The statistics of tasks as the client puts them together from several replies."""

from __future__ import annotations

from serial_runtime.errors import ProtocolError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.rpc.board.common import MaximumRecord, TaskStatistics
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.rpc.board.client import BoardServiceClient

FIGURES = ("wakeup", "execution", "jitter", "shim")
"""Of a task, in the order of GetBins."""
_MOST_BINS = 1000


class TaskFigures(NamedTuple):
    """How a task keeps its time, or the cycle as a whole, which has no name.

    `bins` has the histogram of each of `FIGURES`, up to the last bin that is not 0; empty lists
    when they were not asked for.
    """

    statistics: TaskStatistics
    bins: dict[str, list[int]]


def read_task(board: BoardServiceClient, task: int, with_bins: bool) -> TaskFigures:
    """Task 0 is the cycle."""
    found = Reference()
    board.GetTaskStatistics(task, found)
    statistics: TaskStatistics = found.value
    bins: dict[str, list[int]] = {name: [] for name in FIGURES}
    if with_bins:
        for number, name in enumerate(FIGURES):
            if getattr(statistics, name).count:
                bins[name] = _read_bins(board, task, number)
    return TaskFigures(statistics, bins)


def _read_bins(board: BoardServiceClient, task: int, figure: int) -> list[int]:
    bins: list[int] = []
    page = Reference()
    while True:
        board.GetBins(task, figure, len(bins), page)
        if not page.value:
            return bins
        bins += page.value
        if len(bins) > _MOST_BINS:
            raise ProtocolError(f"the board sent {len(bins)} bins of a histogram of {_MOST_BINS}")


def read_record(board: BoardServiceClient, task: int, cause: int) -> MaximumRecord:
    """All of it; `cause` is 0 when there is none."""
    page = Reference()
    board.GetRecord(task, cause, 0, page)
    record: MaximumRecord = page.value
    while len(record.cycles) < record.count:
        board.GetRecord(task, cause, len(record.cycles), page)
        if page.value.number == record.number:
            if not page.value.cycles:
                raise ProtocolError(f"the board has but a part of record {record.number}")
            record.cycles += page.value.cycles
        else:  # a greater one came meanwhile: from its beginning
            board.GetRecord(task, cause, 0, page)
            record = page.value
    if record.cause and record.position >= len(record.cycles):
        raise ProtocolError(f"record {record.number} has no cycle {record.position}")
    return record
