# SPDX-License-Identifier: MIT
"""The trace command: the file it writes, its triggers, and what ends it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from serial_runtime.errors import LinkClosed, TraceError
from serial_runtime.rpc.client import Condition, Mode, Trigger
from serial_runtime.rpc.ide.common import Status


def test_trace_writes_every_tick_and_marks_gaps(busy, run, tmp_path: Path) -> None:
    busy.trace_batches = [[7, 8], [12], [13, 14, 15]]
    file = tmp_path / "t.csv"
    result = run(
        "trace", "tank.level", "recipe.time", "tank.state", "-o", str(file), "--ticks", "8"
    )
    assert file.read_text().splitlines() == [
        "tick,TANK.LEVEL,RECIPE.TIME [s],TANK.STATE",
        "7,1.25,1.500000000,holding",
        "8,1.25,1.500000000,holding",
        "# gap: 3 ticks missing after tick 8",
        "12,1.25,1.500000000,holding",
        "13,1.25,1.500000000,holding",
        "14,1.25,1.500000000,holding",
    ]
    assert result.out == f"{file}: 5 ticks (7 to 14) of 3 variables, 1 gap with 3 ticks missing\n"
    assert busy.traces[0].closed


def test_trace_for_a_time_across_the_wrap_of_the_tick(busy, run, tmp_path: Path) -> None:
    busy.trace_batches = [[2**32 - 1, 0, 1, 2]]
    file = tmp_path / "t.csv"
    words = ("trace", "TANK.INLET", "-o", str(file), "--duration", "0.03", "--json")
    answer = json.loads(run(*words).out)
    assert (answer["ticks"], answer["gaps"], answer["last"]) == (3, 0, 1)
    assert file.read_text().splitlines()[1:] == ["4294967295,1", "0,1", "1,1"]


def test_trace_says_what_was_decimated(busy, run, tmp_path: Path) -> None:
    busy.trace_batches = [
        [6, 7],
        ([8, 12, 20], {"decimation": 4, "since": 8}),  # 16 is missing
        ([22, 24, 26], {"decimation": 2, "since": 21}),
        ([2**32 - 2, 0, 2], {}),
        ([3], {"decimation": 1, "since": 3, "decimated": 13}),
    ]
    file = tmp_path / "t.csv"
    result = run("trace", "TANK.INLET", "-o", str(file))
    assert file.read_text().splitlines() == [
        "tick,TANK.INLET",
        "6,1",
        "7,1",
        "# decimation: one tick of 4 from tick 8 on",
        "8,1",
        "12,1",
        "# gap: 1 ticks missing after tick 12",
        "20,1",
        "# decimation: one tick of 2 from tick 21 on",
        "22,1",
        "24,1",
        "26,1",
        "# gap: 2147483633 ticks missing after tick 26",
        "4294967294,1",
        "0,1",
        "2,1",
        "# decimation: all ticks from tick 3 on",
        "3,1",
    ]
    assert "decimated: one tick of 1 or 2 or 4 kept, 13 left out" in result.out


@pytest.mark.parametrize(
    ("ticks", "written"), [(["--ticks", "9"], [4, 8, 12]), (["--ticks", "8"], [4, 8])]
)
def test_ticks_count_those_left_out_too(
    busy, run, tmp_path: Path, ticks: list[str], written: list[int]
) -> None:
    busy.trace_batches = [([4, 8, 12, 16], {"decimation": 4})]
    file = tmp_path / "t.csv"
    assert run("trace", "TANK.INLET", "-o", str(file), "--every", "4", *ticks).status == 0
    assert busy.trace_options["every"] == 4
    assert [line for line in file.read_text().splitlines() if line[0] in "1234567890"] == [
        f"{tick},1" for tick in written
    ]


@pytest.mark.parametrize(
    ("event", "options", "expected"),
    [
        (
            "TANK.LEVEL > 1.5",
            ["--pre", "7", "--post", "8", "--mode", "single"],
            Trigger("TANK.LEVEL", Condition.ABOVE, struct.pack("<f", 1.5), Mode.SINGLE, 7, 8, 100),
        ),
        (
            "tank.level<=-2.5",
            ["--mode", "auto", "--timeout", "3"],
            Trigger(
                "TANK.LEVEL", Condition.AT_MOST, struct.pack("<f", -2.5), Mode.AUTO, 0, 99, 300
            ),
        ),
        (
            " Tank.Level  RISING  1 ",
            ["--mode", "auto", "--timeout", "3", "--every", "10"],
            Trigger("TANK.LEVEL", Condition.RISING, struct.pack("<f", 1), Mode.AUTO, 0, 99, 30),
        ),
        (
            "TANK.INLET rising",
            [],
            Trigger("TANK.INLET", Condition.RISING, b"\1", timeout=100, post=99),
        ),
        (
            "TANK.INLET falling TRUE",
            [],
            Trigger("TANK.INLET", Condition.FALLING, b"\1", timeout=100, post=99),
        ),
        (
            "TANK.STATE <> 'off < on'",
            [],
            Trigger("TANK.STATE", Condition.UNEQUAL, b"\x08off < on", timeout=100, post=99),
        ),
        (
            "RECIPE.TIME >= T#1m",
            [],
            Trigger(
                "RECIPE.TIME", Condition.AT_LEAST, struct.pack("<qq", 60, 0), timeout=100, post=99
            ),
        ),
    ],
)
def test_an_event_is_understood(
    busy, run, tmp_path: Path, event: str, options: list[str], expected: Trigger
) -> None:
    run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), "--trigger", event, *options)
    assert busy.trace_options["trigger"] == expected
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert expected.name in header


def test_captures_are_marked_and_counted(busy, run, tmp_path: Path) -> None:
    first = {"capture": 1, "trigger_tick": 8}
    busy.trace_batches = [
        ([7, 8], first),
        ([9], first | {"complete": True}),
        ([20, 21, 23], {"capture": 2, "trigger_tick": 20, "timed_out": True, "complete": True}),
        ([30], {"capture": 3}),
    ]
    file = tmp_path / "t.csv"
    words = ("trace", "TANK.INLET", "-o", str(file), "--trigger", "TANK.INLET rising")
    result = run(*words, "--captures", "2")
    assert file.read_text().splitlines()[1:] == [
        "# capture 1: trigger at tick 8",
        "7,1",
        "8,1",
        "9,1",
        "# capture 2: nothing until tick 20",
        "20,1",
        "21,1",
        "# gap: 1 ticks missing after tick 21",
        "23,1",
    ]
    assert result.out.endswith("1 gap with 1 tick missing, 2 captures\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--trigger", "TANK.LEVEL"], "an event is like"),
        (["--trigger", "TANK.LEVEL is 5"], "an event is like"),
        (["--trigger", "TANK.LEVEL risingly"], "an event is like"),
        (["--trigger", "TANK.LEVEL rising"], "which value of TANK.LEVEL?"),
        (["--trigger", "TANK.LEVEL >"], "which value of TANK.LEVEL?"),
        (["--trigger", "TANK.INLET rising", "--ticks", "5"], "--mode single"),
        (["--trigger", "TANK.INLET rising", "--duration", "5"], "--mode single"),
        (["--trigger", ""], "an event is like"),
        (["--captures", "5"], "there is none"),
        (["--pre", "0"], "--pre belongs to a --trigger, and there is none"),
        (["--post", "5"], "--post belongs to a --trigger"),
        (["--mode", "normal"], "--mode belongs to a --trigger"),
        (["--trigger", "TANK.INLET rising", "--timeout", "2"], "--timeout is for --mode auto"),
        (["--every", "0"], "'0' is no whole number"),
        (["--every", "5", "--full"], "not allowed with"),
    ],
)
def test_options_of_a_trace_that_do_not_fit(
    busy, run, tmp_path: Path, options: list[str], says: str
) -> None:
    result = run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), *options)
    assert result.status == 2
    assert says in result.err
    assert not list(tmp_path.iterdir())


def test_a_trigger_with_a_bad_value(busy, run, tmp_path: Path) -> None:
    for event, says in (("TANK.LEVEL > high", "is no REAL"), ("NOTHING > 1", "no variable")):
        result = run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), "--trigger", event)
        assert result.status == 1
        assert says in result.err


def test_trace_waits_for_a_board_that_the_bridge_has_lost(busy, run, tmp_path: Path) -> None:
    away, back = {"plc": Status.Disconnected}, {"plc": Status.Started}
    busy.trace_batches = [[1, 2], ([], away), ([], away), ([3], back)]
    result = run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), "--ticks", "3")
    assert result.status == 0
    assert result.out.endswith("t.csv: 3 ticks (1 to 3) of 1 variable, no gap\n")
    assert result.err.splitlines() == [
        "serial-runtime: the bridge has lost the board; still waiting",
        "serial-runtime: the board is back",
    ]


def test_trace_tells_what_it_waits_for(busy, run, tmp_path: Path) -> None:
    words = ("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"))
    event = ("--trigger", "TANK.INLET rising")
    assert run(*words).err == "recording until Ctrl-C\n"
    assert run(*words, *event).err == "recording around TANK.INLET rising until Ctrl-C\n"
    single = run(*words, *event, "--mode", "single")
    assert single.err == "recording around TANK.INLET rising until 1 capture\n"


def test_trace_ends_with_the_program(busy, run, tmp_path: Path) -> None:
    busy.trace_batches = [[1, 2]]
    result = run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), "--ticks", "50")
    assert result.status == 0
    assert result.out.endswith("2 ticks (1 to 2) of 1 variable, no gap; then the program stopped\n")


@pytest.mark.parametrize(
    ("end", "more", "status", "says"),
    [
        (KeyboardInterrupt(), (), 0, "no gap; then Ctrl-C\n"),
        (KeyboardInterrupt(), ("--ticks", "50"), 130, "no gap; then Ctrl-C\n"),
        (TraceError("ended by another one"), (), 1, "no gap; then: ended by another one\n"),
        (LinkClosed("unplugged"), (), 3, "no gap; then: unplugged\n"),
    ],
)
def test_trace_keeps_what_it_has_however_it_ends(
    busy, run, tmp_path: Path, end: BaseException, more: tuple[str, ...], status: int, says: str
) -> None:
    busy.trace_batches, busy.trace_end = [[1, 2]], end
    file = tmp_path / "t.csv"
    result = run("trace", "TANK.INLET", "-o", str(file), *more)
    assert result.status == status
    assert result.out == f"{file}: 2 ticks (1 to 2) of 1 variable, {says}"
    assert file.read_text() == "tick,TANK.INLET\n1,1\n2,1\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_trace_that_cannot_begin_leaves_the_file(busy, run, tmp_path: Path) -> None:
    file = tmp_path / "keep.csv"
    file.write_text("precious")
    assert run("trace", "BADNAME", "-o", str(file)).status == 1
    busy.trace_end = TraceError("too many variables")
    assert run("trace", "TANK.INLET", "-o", str(file)).status == 1
    assert file.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [file]


def test_a_trace_into_a_device_leaves_the_device(busy, run, tmp_path: Path) -> None:
    busy.trace_batches = [[1, 2]]
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    assert run("trace", "TANK.INLET", "-o", str(link), "--ticks", "2").status == 0
    assert Path("/dev/null").is_char_device()
    assert link.is_symlink()


def test_a_name_given_twice_is_traced_once(busy, run) -> None:
    busy.trace_batches = [[1]]
    out = run("trace", "TANK.INLET", "tank.inlet", "-o", "-", "--ticks", "1").out
    assert out == "tick,TANK.INLET\n1,1\n"


def test_trace_to_standard_output(busy, run) -> None:
    busy.trace_batches = [[1, 2]]
    result = run("trace", "TANK.INLET", "-o", "-", "--ticks", "2")
    assert result.out == "tick,TANK.INLET\n1,1\n2,1\n"
    assert "2 ticks" in result.err


def test_trace_needs_a_running_program(board, run, tmp_path: Path) -> None:
    result = run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv"), "--ticks", "2")
    assert result.status == 1
    assert "no program is running" in result.err
    board.table.clear()
    board.state = Status.Empty
    assert "load one first" in run("trace", "TANK.INLET", "-o", str(tmp_path / "t.csv")).err
