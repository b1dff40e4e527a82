# SPDX-License-Identifier: MIT
"""Figures of the tasks, and the cycles around a new maximum."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from serial_runtime.board import Board, MaximumCause, MaximumRecord
from serial_runtime.errors import VariableError

BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[[Callable[[], object]], None]

BURN_US = 3  # of the image "life"


def test_every_task_has_its_figures(new_board: BoardMaker, image: ImageMaker, until: Until) -> None:
    board = new_board()
    board.load(image("tasks"))
    assert board.statistics(task=2).ticks == 0
    board.start()
    until(lambda: board.statistics(task=2).ticks >= 10)
    board.stop()
    whole, fast, slow, last = (board.statistics(task=task) for task in range(4))
    assert [one.period_ns for one in (whole, fast, slow, last)] == [10**6, 10**6, 5 * 10**6, 10**6]
    assert whole.ticks == fast.ticks == last.ticks > slow.ticks
    # What a cycle skipped nobody ran in; the slow one may have been due then all the same.
    assert whole.skipped == fast.skipped >= slow.skipped
    for one in (whole, fast, slow, last):
        assert one.jitter.count == one.ticks - 1
        assert one.wakeup.count == one.execution.count == one.ticks
        assert sum(one.jitter.bins) + one.jitter.overflow == one.jitter.count
        for part in (one.wakeup, one.execution, one.jitter):
            assert part.min_ns <= part.last_ns <= part.max_ns
            assert part.p999_ns <= part.p9999_ns <= part.max_ns
        busy = one.execution.avg_ns / one.period_ns * one.ticks / (one.ticks + one.skipped)
        assert one.load_ppm == pytest.approx(busy * 1e6, abs=2)
    assert whole.shim.count == whole.ticks
    assert fast.shim.count == 0
    # They run one after the other within the cycle, by priority: SLOW, FAST, LAST.
    assert whole.wakeup.min_ns <= fast.wakeup.min_ns <= last.wakeup.min_ns
    assert whole.execution.max_ns >= max(one.execution.max_ns for one in (fast, slow, last))
    board.statistics(reset=True)
    assert [board.statistics(task=task).ticks for task in range(4)] == [0] * 4
    with pytest.raises(VariableError, match="no such task"):
        board.statistics(task=4)
    board.load(image("basic"))
    assert board.statistics(task=1).ticks == 0, "it has not run"


def test_mode_switches_are_counted_by_cobalt(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("linux_call"))
    assert board.mode_switches() == -1, "it was not started yet"
    board.set_trace([0, 1])
    board.set_forces({1: b"\0"})
    board.start()
    until(lambda: board.statistics().ticks >= 100 and board.read([0])[1] != bytes(4))
    if board.backend != "cobalt":
        assert board.mode_switches() == board.mode_switches(1) == -1
        return
    if board.mode_switches() == -1:
        pytest.skip("this kernel has no CONFIG_XENO_OPT_STATS")
    assert board.mode_switches() == board.mode_switches(1) == 0
    board.set_forces({1: b"\1"})
    until(lambda: board.mode_switches() > 0)  # so the 0 above was one of a counter that moves
    board.set_forces({})
    board.stop()
    assert board.mode_switches() > 0


def test_a_run_that_takes_too_long_is_skipped_and_counted_for_its_task(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("life"))
    board.set_forces({BURN_US: struct.pack("<I", 3500)})
    board.start()
    until(lambda: board.statistics().ticks >= 5)
    board.stop()
    whole, task = board.statistics(), board.statistics(task=1)
    assert (task.ticks, task.skipped) == (whole.ticks, whole.skipped)
    assert task.overruns >= 5
    assert task.jitter.max_ns > 2_000_000, "periods that were skipped lie between two starts"
    assert task.load_ppm > 700_000


def test_the_cycles_around_a_maximum(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("life"))
    board.reset_statistics(execution_above_ns=500_000_000, wakeup_above_ns=4_000_000_000)
    board.start()
    until(lambda: board.statistics().ticks >= 40)
    assert board.take_records() == []
    board.reset_statistics(execution_above_ns=3_000_000, wakeup_above_ns=4_000_000_000)
    board.set_forces({BURN_US: struct.pack("<I", 3500)})
    records: list[MaximumRecord] = []

    def burnt() -> list[MaximumRecord]:  # a stall of the machine may have come first
        records.extend(board.take_records())
        return [record for record in records if record.value_ns >= 3_500_000]

    until(burnt)
    record = burnt()[0]
    assert record.cause is MaximumCause.EXECUTION
    assert record.value_ns == record.cycles[record.position].execution_ns
    assert record.before_ns < record.value_ns
    assert record.task == 0
    assert record.cycles[record.position].task == 1, "which took longest"
    ticks = [cycle.tick for cycle in record.cycles]
    assert ticks == sorted(set(ticks))
    board.set_forces({})


def test_a_maximum_just_before_the_stop(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board()
    board.load(image("life"))
    board.reset_statistics(execution_above_ns=3_000_000, wakeup_above_ns=4_000_000_000)
    board.set_forces({BURN_US: struct.pack("<I", 3500)})
    board.start()
    until(lambda: board.statistics().ticks >= 1)
    board.stop()
    (record,) = board.take_records()
    assert record.cycles[record.position].execution_ns == record.value_ns
    board.start()
    board.stop()
    assert board.take_records() == [] or board.statistics().execution.max_ns >= 3_000_000


def test_a_task_with_a_thread_of_its_own_has_records_of_its_own(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board(threads=True)
    tasks = board.load(image("threads")).tasks
    board.reset_statistics(execution_above_ns=1)
    board.start()
    records: list[MaximumRecord] = []

    def owners() -> set[int]:
        records.extend(board.take_records())
        return {record.task for record in records}

    until(lambda: owners() == {0, 1, 3})
    board.stop()
    for record in records:
        own = record.task > 0
        assert {cycle.task for cycle in record.cycles} <= ({record.task} if own else {0, 2})
        if own:
            every = tasks[record.task - 1].interval_ns // board.statistics().period_ns
            assert {cycle.tick % every for cycle in record.cycles} == {0}, "its own releases"
        assert record.cycles[record.position].execution_ns == record.value_ns
