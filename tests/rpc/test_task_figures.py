# SPDX-License-Identifier: MIT
"""Statistics of tasks over a link: what one reply does not hold comes in several."""

from __future__ import annotations

from typing import Any

import pytest

from serial_runtime.errors import ProtocolError, VariableError

SLOW_BPS = 1000.0  # short replies


def test_figures_of_all_tasks(client: Any, plc: Any) -> None:
    whole, task = client.task_figures()
    assert (whole.statistics.name, task.statistics.name) == ("", "MAIN")
    assert (task.statistics.interval_ns, task.statistics.load_ppm) == (1_000_000, 1234)
    assert task.statistics.mode_switches == 3
    assert (whole.statistics.own_thread, task.statistics.own_thread) == (False, True)
    assert task.statistics.jitter.p9999_ns == 1
    assert task.bins["wakeup"] == []
    assert plc.figures.pages == 0, "nobody asked for them"


@pytest.mark.parametrize("rate_Bps", [None, SLOW_BPS])
def test_histograms(bench: Any, plc: Any, rate_Bps: float | None) -> None:
    bench.rate_Bps = rate_Bps
    with bench.client() as client:
        whole, _ = client.task_figures(bins=True)
    assert whole.bins["execution"] == [1, *range(999)]
    assert whole.bins["jitter"][0] == 2
    assert whole.bins["shim"] == [], "nothing was counted"
    assert (plc.figures.pages > 12) == bool(rate_Bps)


@pytest.mark.parametrize("rate_Bps", [None, SLOW_BPS])
def test_a_record(bench: Any, plc: Any, rate_Bps: float | None) -> None:
    bench.rate_Bps = rate_Bps
    with bench.client() as client:
        record = client.maximum(1)
    assert [cycle.tick for cycle in record.cycles] == list(range(128))
    assert record.position == 96


def test_a_greater_maximum_while_the_record_is_read(bench: Any, plc: Any) -> None:
    bench.rate_Bps = SLOW_BPS
    make = plc.figures.make_record
    plc.figures.records = [make(1, 128), make(1, 128), make(2, 50)]
    with bench.client() as client:
        record = client.maximum(1)
    assert record.number == 2
    assert [cycle.tick for cycle in record.cycles] == list(range(50))
    assert {cycle.wakeup_ns for cycle in record.cycles} == {2}


def test_a_board_that_sends_bins_for_ever(client: Any, plc: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(plc.figures, "bins", lambda *where: [1] * 300)
    with pytest.raises(ProtocolError, match="1200 bins of a histogram of 1000"):
        client.task_figures(bins=True)


@pytest.mark.parametrize("wrong", [{"count": 200}, {"position": 128}])
def test_a_record_that_is_not_whole(client: Any, plc: Any, wrong: dict[str, int]) -> None:
    vars(plc.figures.records[0]).update(wrong)
    with pytest.raises(ProtocolError, match="record 1"):
        client.maximum(1)


def test_thresholds(client: Any, plc: Any) -> None:
    client.reset_statistics(wakeup_above_ns=100_000)
    assert plc.figures.reset_to == (100_000, 0)


def test_refusals(client: Any, plc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(task: int) -> None:
        raise VariableError("the program has no such task")

    monkeypatch.setattr(plc.figures, "task", gone)
    with pytest.raises(VariableError, match="no such task"):
        client.task_figures()
