# SPDX-License-Identifier: MIT
"""stats: what it shows, draws and resets; the board is a fake."""

from __future__ import annotations

import json
import os

import pytest

from serial_runtime.rpc.board.common import CycleStatistics, MaximumRecord, RecordedCycle

NOTHING = "no program has run since the load, or the last --reset\n"


def test_a_table_for_the_cycle_and_each_task(busy, run) -> None:
    out = run("stats", "--reset").out.splitlines()
    assert out[0] == "cycle: 107 ticks of 10 ms, load 1.23 %, 1 overruns, 2 periods skipped"
    assert out[1].split() == [
        "us",
        "last",
        "min",
        "average",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
    ]
    figures = "     1.4     0.1     1.5     1.0     3.0     3.0     3.4     3.5"
    assert out[2:6] == [
        f"wakeup latency {figures}",
        f"execution time {figures}",
        f"runtime's part {figures}",
        f"period jitter  {figures}",
    ]
    assert out[6].startswith("task MAIN: 107 runs of 10 ms, load 1.23 %")
    assert max(map(len, out)) < 80
    assert [line.split()[0] for line in out[8:]] == ["wakeup", "execution", "period"]
    assert busy.resets == 1
    assert busy.record_above_ns == (0, 0)


def test_mode_switches_where_they_are_counted(busy, run) -> None:
    for task in busy.tasks:
        task.statistics.mode_switches = 0
    out = run("stats").out.splitlines()
    assert out[0].endswith("2 periods skipped, 0 mode switches")


def test_json(busy, run) -> None:
    found = json.loads(run("stats", "--json").out)
    assert found["wakeup"]["bins"][1] == 3
    assert (found["ticks"], found["period_ns"], found["skipped"]) == (107, 10_000_000, 2)
    assert found["tasks"][0]["name"] == "MAIN"
    assert found["tasks"][0]["jitter"]["bins"] == [90, 16]
    assert busy.resets == 0


def test_histogram(busy, run) -> None:
    lines = run("stats", "--histogram").out.splitlines()
    at = lines.index("wakeup latency")
    assert [line.split() for line in lines[at + 1 : at + 5]] == [
        ["1", "to", "2", "us", "3", "##"],
        ["2", "to", "4", "us", "100", "#" * 40],
        ["4", "to", "8", "us", "4", "##"],
        ["above", "1000", "us", "1", "#"],
    ]


def test_a_board_that_ran_nothing(board, run) -> None:
    assert run("stats", "--histogram").out == NOTHING
    assert run("stats", "--plot", "x.png").out == NOTHING


def test_a_task_that_has_not_run(busy, run) -> None:
    busy.tasks[1] = (
        type(busy)
        .task_figures(busy)[1]
        ._replace(statistics=type(busy.tasks[1].statistics)("LATE", 10**9, mode_switches=-1))
    )
    assert run("stats").out.splitlines()[-2:] == [
        "task LATE: 0 runs of 1000 ms, load 0.00 %, 0 overruns, 0 periods skipped",
        "  it has not run yet",
    ]


def test_watch(busy, run, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    out = run("stats", "--watch", "--count", "3", "--interval", "5").out
    assert out.count("cycle: 107 ticks") == 3
    assert len(waits) == 2
    documents = run("stats", "--watch", "--count", "2", "--json").out.splitlines()
    assert [json.loads(one)["ticks"] for one in documents] == [107, 107]


def test_options_of_watch_without_it(busy, run) -> None:
    assert "belong to --watch" in run("stats", "--count", "3").err


def test_a_task_with_a_thread_of_its_own(busy, run) -> None:
    busy.tasks[1].statistics.own_thread = True
    assert "task MAIN on a thread of its own: 107 runs" in run("stats").out


def test_watch_in_place(busy, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("os.get_terminal_size", lambda *fd: os.terminal_size((80, 30)))
    out = run("stats", "--watch", "--count", "2").out
    assert out.count("\x1b[11F") == 1


def record() -> MaximumRecord:
    cycles = [RecordedCycle(tick, 5_000, 7_000, 100, 1) for tick in range(88_000, 88_128)]
    cycles[96] = RecordedCycle(88_096, 143_200, 7_000, 138_000, 0)
    return MaximumRecord(3, 1, 143_200, 99_000, 96, 128, cycles)


def test_maximum(busy, run) -> None:
    busy.maxima[0, 1] = record()
    lines = run("stats", "--maximum").out.splitlines()
    assert lines[0] == ("cycle: greatest wakeup latency 143.2 us in tick 88096, until then 99.0 us")
    assert len(lines) == 2 + 25
    (marked,) = [line for line in lines if line.endswith("<- maximum")]
    assert marked.split()[:5] == ["88096", "143.2", "7.0", "138.0", "-"]
    assert lines[2].split() == ["88084", "5.0", "7.0", "0.1", "MAIN"]
    found = json.loads(run("stats", "--maximum", "--json").out)
    assert found[0]["task"] == ""
    assert len(found[0]["cycles"]) == 128


def test_no_maximum_yet(busy, run) -> None:
    assert "no new maximum was recorded" in run("stats", "--maximum").out


def test_thresholds(busy, run) -> None:
    run("stats", "--wakeup-above", "100")
    assert busy.record_above_ns == (100_000, 0)
    run("stats", "--execution-above", "0.5", "--wakeup-above", "7")
    assert busy.record_above_ns == (7_000, 500)


def test_what_does_not_go_together(busy, run) -> None:
    assert run("stats", "--maximum", "--watch").status == 2
    assert run("stats", "--watch", "--reset").status == 2
    assert busy.resets == 0


def test_an_older_board(busy, run) -> None:
    busy.is_old = True
    lines = run("stats", "--reset").out.splitlines()
    assert lines[0] == "cycle: 107 ticks of 10 ms, 1 overruns, 2 periods skipped"
    assert lines[2] == "wakeup latency       0.1      1.5      3.0      3.0      3.5"
    assert busy.resets == 1
    assert json.loads(run("stats", "--json").out)["wakeup"]["bins"][1] == 3
    refused = run("stats", "--plot", "x.png")
    assert refused.status == 1
    assert "runtime is older" in refused.err
    busy.figures = CycleStatistics()
    assert run("stats").out == NOTHING


def test_plot(busy, run, tmp_path) -> None:
    path = tmp_path / "board.png"
    done = run("stats", "--plot", str(path))
    assert (done.status, done.err) == (0, f"{path} written\n")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    vector = tmp_path / "board.svg"
    run("stats", "--plot", str(vector))
    text = vector.read_text()
    for word in ("FAKE", "107 ticks", "wakeup latency", "period jitter", "MAIN", "beyond 1000 us"):
        assert word in text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("plot.bmp", "ends with .png, .svg, .pdf"), ("/no/such/x.png", "no folder '/no/such'")],
)
def test_impossible_plots(busy, run, path: str, sentence: str) -> None:
    failed = run("stats", "--plot", path, "--reset")
    assert failed.status == 2
    assert sentence in failed.err
    assert busy.resets == 0


def test_a_plot_without_matplotlib(busy, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    failed = run("stats", "--plot", "x.png")
    assert failed.status == 2
    assert "pip install 'serial-runtime[plot]'" in failed.err
