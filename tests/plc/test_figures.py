# SPDX-License-Identifier: MIT
"""Records of new maxima: kept, told in the log, forgotten; the board is a fake."""

from __future__ import annotations

from plc_scene import Scene, image

from serial_runtime.board import MaximumCause, MaximumRecord, RecordedCycle
from serial_runtime.plc.log import DEBUG, INFO


def record(value_ns: int, cause: MaximumCause = MaximumCause.WAKEUP) -> MaximumRecord:
    cycles = tuple(RecordedCycle(tick, 10, 20, 30, 1) for tick in range(88_000, 88_100))
    return MaximumRecord(0, cause, value_ns, value_ns - 1000, 60, cycles)


def test_a_record_is_kept_and_told(scene: Scene) -> None:
    scene.load(image("p"))
    scene.plc.start()
    scene.board.records = [record(80_000), record(143_200)]
    scene.plc.housekeeping()
    sentence = "new maximum of wakeup latency: 143.2 us in tick 88060 (until then 142.2 us)"
    assert sentence in scene.log_texts(DEBUG)
    page = scene.plc.figures.record(0, 1, 90, 4)
    assert (page.number, page.cause, page.value_ns, page.before_ns) == (2, 1, 143_200, 142_200)
    assert (page.position, page.count) == (60, 100)
    assert [cycle.tick for cycle in page.cycles] == [88_090, 88_091, 88_092, 88_093]
    assert scene.plc.figures.record(1, 1, 0, 4).cause == 0, "not of this task"
    assert scene.plc.figures.record(0, 2, 0, 4).cause == 0, "not of the execution time"


def test_a_maximum_of_the_execution_time_names_the_task(scene: Scene) -> None:
    scene.load(image("p"))
    scene.board.records = [record(5_000_000, MaximumCause.EXECUTION)]
    scene.plc.housekeeping()
    (text,) = [text for text in scene.log_texts(DEBUG) if "maximum" in text]
    assert "execution time: 5000.0 us in tick 88060, most of it in " in text


def test_it_is_news_where_somebody_set_a_threshold(scene: Scene) -> None:
    scene.load(image("p"))
    scene.plc.figures.reset(100_000, 0)
    assert scene.board.record_above_ns == (100_000, 0)
    scene.board.records = [record(143_200)]
    scene.plc.housekeeping()
    assert any("143.2 us" in text for text in scene.log_texts(INFO))
    scene.board.records = [record(150_000, MaximumCause.EXECUTION)]
    scene.plc.housekeeping()
    assert any("150.0 us" in text for text in scene.log_texts(DEBUG)), "of the other nobody asked"


def test_a_start_a_load_and_a_reset_forget_it(scene: Scene) -> None:
    scene.load(image("p"))
    for forget in (
        scene.plc.start,
        lambda: scene.plc.figures.reset(0, 0),
        lambda: scene.load(image("other")),
    ):
        scene.board.records = [record(143_200)]
        assert scene.plc.figures.record(0, 1, 0, 1).cause == 1
        forget()
        assert scene.plc.figures.record(0, 1, 0, 1).cause == 0
