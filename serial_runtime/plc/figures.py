# SPDX-License-Identifier: MIT
"""How well the tasks keep their time, and the cycles around the greatest maxima.

The shim hands out a record of the cycles around each new maximum; the greatest of each kind is
kept here for whoever asks for it.
"""

from __future__ import annotations

from serial_runtime.board_types import MaximumCause
from serial_runtime.errors import VariableError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.log import DEBUG, INFO
from serial_runtime.worker import serialized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.board import Board, Distribution, Image, MaximumRecord, RecordedCycle
    from serial_runtime.plc.log import Log
    from serial_runtime.worker import Worker


class TaskStatistics(NamedTuple):
    """Names as in rpc/board.erpc; each Timing with its bins."""

    name: str
    interval_ns: int
    runs: int
    overruns: int
    skipped: int
    load_ppm: int
    own_thread: bool
    wakeup: Distribution
    execution: Distribution
    jitter: Distribution
    shim: Distribution
    mode_switches: int


class RecordPage(NamedTuple):
    """A part of the cycles of a record; names as in rpc/board.erpc."""

    number: int
    cause: int
    value_ns: int
    before_ns: int
    position: int
    count: int  # type: ignore[assignment]  # hides tuple.count
    cycles: tuple[RecordedCycle, ...]


class Figures:
    """Of one board. Any thread, but for `poll` and `forget`, which are the worker's."""

    def __init__(
        self, worker: Worker, board: Board, log: Log, image: Callable[[], Image | None]
    ) -> None:
        self.worker = worker
        self._board = board
        self._log = log
        self._image = image
        self._records: dict[tuple[int, int], MaximumRecord] = {}  # by task and cause
        self._number = 0  # of records so far
        self._above_ns = dict.fromkeys(MaximumCause, 0)

    def poll(self) -> None:
        """Take new records, and log them; for those above a threshold somebody is waiting."""
        for record in self._board.take_records():
            self._records[record.task, record.cause] = record
            self._number += 1
            level = INFO if self._above_ns[record.cause] else DEBUG
            self._log.add(level, self._sentence(record), record.cycles[record.position].tick)

    def forget(self) -> None:
        """The program was started, or is another one, or the figures were reset."""
        self._records.clear()

    @serialized
    def task(self, task: int) -> TaskStatistics:
        """Of the cycle as a whole, task 0, or of a task of the program. VariableError."""
        found = self._board.statistics(task=task)
        return TaskStatistics(
            self._task_name(task) if task else "",
            found.period_ns,
            found.ticks,
            found.overruns,
            found.skipped,
            found.load_ppm,
            self._has_thread(task),
            found.wakeup,
            found.execution,
            found.jitter,
            found.shim,
            self._board.mode_switches(task),
        )

    @serialized
    def bins(self, task: int, figure: int, first: int, most: int) -> list[int]:
        """At most `most` bins of a figure, from `first` on; those left out are 0. VariableError."""
        found = self._board.statistics(task=task)
        figures = (found.wakeup, found.execution, found.jitter, found.shim)
        if figure >= len(figures):
            raise VariableError(f"there is no figure {figure}: 0 to {len(figures) - 1}")
        return list(figures[figure].bins[first : first + most])

    @serialized
    def record(self, task: int, cause: int, first: int, most: int) -> RecordPage:
        """The greatest maximum so far, with at most `most` of its cycles, from `first` on."""
        self.poll()
        record = self._records.get((task, cause))
        if record is None:
            return RecordPage(self._number, 0, 0, 0, 0, 0, ())
        return RecordPage(
            self._number,
            record.cause,
            record.value_ns,
            record.before_ns,
            record.position,
            len(record.cycles),
            record.cycles[first : first + most],
        )

    @serialized
    def reset(self, wakeup_above_ns: int, execution_above_ns: int) -> None:
        """Begin anew, and record maxima above these thresholds; 0: what exceeds the first 1000."""
        self._board.reset_statistics(wakeup_above_ns, execution_above_ns)
        self._above_ns[MaximumCause.WAKEUP] = wakeup_above_ns
        self._above_ns[MaximumCause.EXECUTION] = execution_above_ns
        self._records.clear()

    def _task_name(self, task: int) -> str:
        image = self._image()
        return image.tasks[task - 1].name if image and task <= len(image.tasks) else f"task {task}"

    def _has_thread(self, task: int) -> bool:
        image = self._image()
        return bool(image and 0 < task <= len(image.tasks) and image.tasks[task - 1].own_thread)

    def _sentence(self, record: MaximumRecord) -> str:
        cycle = record.cycles[record.position]
        whose = f" of {self._task_name(record.task)}" if record.task else ""
        longest = ""
        if record.cause is MaximumCause.EXECUTION and cycle.task and not record.task:
            longest = f", most of it in {self._task_name(cycle.task)}"
        return (
            f"new maximum of {record.cause.text}{whose}: {record.value_ns / 1000:.1f} us in tick "
            f"{cycle.tick}{longest} (until then {record.before_ns / 1000:.1f} us)"
        )
