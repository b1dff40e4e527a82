# SPDX-License-Identifier: MIT
"""How the benchmarks read histograms and judge."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from benchmarks import figures, options
from benchmarks.latency import ratios
from benchmarks.overruns import ratio
from benchmarks.side_by_side import Cyclictest, Latencies, Pair


def test_a_percentile_lies_within_its_bin() -> None:
    bins = [0, 4, 0, 4]
    assert figures.percentile(bins, 0, 0.25) == 1.5
    assert figures.percentile(bins, 0, 0.5) == 2.0
    assert figures.percentile(bins, 0, 1.0) == 4.0


def test_a_percentile_beyond_the_bins_is_not_known() -> None:
    assert figures.percentile([9], 1, 0.9) == 1.0
    assert figures.percentile([9], 1, 0.91) == math.inf
    with pytest.raises(ValueError, match="empty"):
        figures.percentile([0, 0], 0, 0.5)


def test_a_target_holds_by_the_lower_end(capsys: pytest.CaptureFixture[str]) -> None:
    figures.show_ratio("some above", [1.0, 1.2, 1.2], 1.05)
    figures.show_ratio("all above", [1.1, 1.2, 1.2], 1.05)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("target <= 1.05: holds")
    assert second.endswith("target <= 1.05: MISSED")


def latencies(*bins: int, overflow: int = 0, late: int = 0) -> Latencies:
    return Latencies(bins, overflow, 0.0, late)


def test_runs_that_do_not_say_are_left_out() -> None:
    known = Pair(latencies(0, 2), latencies(0, 0, 0, 2))
    unknown = Pair(latencies(1, overflow=1), latencies(1, overflow=1))
    one_sided = Pair(latencies(1, overflow=1), latencies(2))
    assert ratios([known, unknown, one_sided], 0.75) == [1.75 / 3.75, math.inf]


@pytest.mark.parametrize(
    ("mine", "other", "expected"), [(0, 0, 1.0), (1, 0, math.inf), (1, 2, 0.5), (0, 2, 0.0)]
)
def test_lateness_is_a_ratio_of_shares(mine: int, other: int, expected: float) -> None:
    assert ratio(Pair(latencies(10, late=mine), latencies(10, late=other))) == expected


def test_the_file_of_cyclictest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name writes what the real one does."""
    program = tmp_path / "cyclictest"
    program.write_text(
        f"""#!{sys.executable}
import sys
file = [word for word in sys.argv if word.startswith("--histfile=")][0].split("=")[1]
open(file, "w").write('''# Histogram
000000 000000
000001 000005
000002 000001

# Min Latencies: 00001
# Avg Latencies: 00001
# Max Latencies: 01234
# Histogram Overflows: 00003
# Histogram Overflow at cycle number:
# Thread 0: 00017
''')
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = Cyclictest(2, 0, 1.0, tmp_path / "file").result()
    assert found == Latencies((0, 5, 1), 3, 1234, overruns=4)
    assert found.samples == 9


def test_options_choose_cases() -> None:
    chosen = options.parse("latency", ["--only", "1ms,idle", "--runs", "3"], runs=20, seconds=8.0)
    assert chosen.runs == 3
    assert chosen.seconds == 8.0
    assert chosen.wants("idle", "1ms")
    assert not chosen.wants("stress", "1ms")
    assert options.parse("latency", ["5"], runs=20, seconds=8.0).runs == 5
    assert options.parse("latency", [], runs=20, seconds=8.0).wants("anything")


def test_bad_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--runs", "0"], ["--seconds", "0"], ["--seconds", "nan"]):
        with pytest.raises(SystemExit):
            options.parse("latency", words, runs=20, seconds=8.0)
        assert "more than 0" in capsys.readouterr().err
