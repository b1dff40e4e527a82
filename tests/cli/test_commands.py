# SPDX-License-Identifier: MIT
"""Each command: what it does to the board, what it prints, as text and as JSON."""

from __future__ import annotations

import json
import os
import re
from argparse import Namespace
from collections.abc import Callable
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import beremiz_object
import pytest

import serial_runtime
from serial_runtime.cli.load import _Progress
from serial_runtime.iec import IecType
from serial_runtime.rpc.board.common import Supervision, Task
from serial_runtime.rpc.client import LogLine
from serial_runtime.rpc.ide.common import Status

TANK = Path(serial_runtime.__file__).parent / "demo" / "tank.c"


def test_status(board, run) -> None:
    board.force({"TANK.LEVEL": b"\0\0\0\0"})
    out = run("status").out
    for part in (
        "FAKE, x86_64, posix, runtime 0.1.0, up 61 s",
        "state      Stopped",
        "schedule   NOT real time: run as root",
        "TANK, 4 variables, MAIN every 10 ms",
        "forced     TANK.LEVEL",
        "0 critical, 0 warning, 0 info, 0 debug",
        "way in     WAMP://router#realm#FAKE: connected, anonymously",
    ):
        assert part in out
    answer = json.loads(run("status", "--json").out)
    assert answer["plc"]["real_time"] is False
    assert answer["forced"] == ["TANK.LEVEL"]


def test_status_tells_which_tasks_have_threads(board, run, monkeypatch) -> None:
    info = board.program()
    info.tasks.append(Task("SLOW", 100_000_000, 5))
    monkeypatch.setattr(board, "program", lambda: info)
    main = board.tasks[1]
    slow = copy(main.statistics)
    slow.name, slow.runs, slow.own_thread = "SLOW", 3, True
    board.tasks.append(main._replace(statistics=slow))
    assert "MAIN every 10 ms, SLOW every 100 ms on a thread of its own\n" in run("status").out
    found = json.loads(run("status", "--json").out)["program"]["tasks"]
    assert [one["own_thread"] for one in found] == [False, True]


def test_status_says_why_a_program_is_broken(board, run) -> None:
    board.state, board.fault = Status.Broken, "segmentation fault at address 0x0 in RUN"
    assert "state      Broken: segmentation fault" in run("status").out


def test_status_tells_of_crashes_and_of_outputs_without_a_guard(board, run) -> None:
    for quiet in ("crashes", "guarded"):
        assert quiet not in run("status").out
    board.supervised = Supervision(False, 1, 3, "abort was called by RUN", False)
    out = run("status").out
    assert "crashes    1 in a row, the last: abort was called by RUN\n" in out
    assert "outputs    NOT guarded" in out
    board.supervised = Supervision(True, 3, 3, "abort was called by RUN", True)
    assert "SAFE MODE" in run("status").out
    assert json.loads(run("status", "--json").out)["supervision"]["crashes"] == 3


def test_status_of_an_older_runtime(board, run) -> None:
    board.is_old = True
    answer = json.loads(run("status", "--json").out)
    assert (answer["connections"], answer["supervision"], answer["retain"]) == ([], {}, {})
    assert "retain" not in run("status").out


def test_status_of_a_stock_server(board, run) -> None:
    board.ours = False
    result = run("status")
    assert result.status == 0
    assert "STOCK, a stock eRPC server" in result.out


def test_start_stop(board, run) -> None:
    assert run("start").out == "started\n"
    assert board.state == Status.Started
    assert run("stop").out == "stopped\n"
    assert board.state == Status.Stopped
    assert board.closed == 2


def test_a_cold_start_and_the_retained_values(board, run) -> None:
    assert run("retain").out == (
        "2 values, 1 of them without a variable, written 3 s ago and 7 times since the runtime "
        "began\n"
        "OLD                              STRING[20] 'ab'   (the program has no such variable)\n"
        "FLOW.VOLUME                      LREAL      1.5\n"
    )
    told = json.loads(run("retain", "show", "--json").out)
    assert told["values"][1] == {
        "path": "FLOW.VOLUME",
        "type": "LREAL",
        "value": "1.5",
        "orphan": False,
    }
    assert run("start", "--cold").status == 0
    assert "0 values" in run("retain").out


def test_clearing_retained_values_wants_a_yes(board, run) -> None:
    result = run("retain", "clear")
    assert result.status == 2
    assert "confirm with --yes" in result.err
    assert run("retain", "clear", "--yes").out == "cleared\n"
    assert board.kept == []
    board.state = Status.Started
    assert "the program runs" in run("retain", "clear", "--yes").err
    assert "no action: show or clear" in run("retain", "forget").err


def test_status_says_why_nothing_is_written(board, run) -> None:
    board.trouble = "retain variables are not written: /plc/retain-a: No space left on device"
    assert "No space left" in run("status").out


@pytest.fixture
def tank(tmp_path: Path, run) -> str:
    image = tmp_path / "tank.so"
    run("build", str(TANK), "-o", str(image))
    return str(image)


def test_an_online_change_tells_first(board, run, tank: str) -> None:
    told = run("load", tank, "--online", "--dry-run").out
    assert "1 variable keeps its value" in told
    assert "converted  TANK.INLET  INT -> DINT" in told
    assert "outside    state  4 bytes" in told
    assert "copying the values takes 2.5 us; a cycle leaves up to 960 us of its 1000" in told
    assert "nothing was changed" in told
    assert board.change.state == "dropped"


def test_an_online_change_wants_a_yes(board, run, tank: str) -> None:
    refused = run("load", tank, "--online")  # standard input is no terminal here
    assert refused.status == 2
    assert "confirm with --yes, or look with --dry-run" in refused.err
    assert board.change.state == ""
    assert (
        "on trial for 500 cycles"
        in run("load", tank, "--online", "--yes", "--probation", "500").out
    )
    assert "on trial, 500 cycles left" in run("status").out
    answer = json.loads(run("load", tank, "--online", "--yes", "--json").out)
    assert answer["made"]
    assert [row["fate"] for row in answer["rows"]] == ["kept", "converted", "outside"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dry-run",), "belong to --online"),
        (("--online", "--yes", "--start"), "the program runs on"),
        (("--online", "--yes", "--probation", "0"), "no whole number from 1"),
    ],
)
def test_options_that_do_not_go_together(board, run, tank: str, options, sentence: str) -> None:
    result = run("load", tank, *options)
    assert result.status == 2
    assert sentence in result.err


def test_status_tells_why_a_change_was_taken_back(board, run) -> None:
    board.change.state, board.change.text = "taken back", "segmentation fault in RUN"
    assert "taken back: segmentation fault in RUN" in run("status").out


def test_repair_wants_a_yes(board, run) -> None:
    result = run("repair")  # standard input is no terminal here
    assert result.status == 2
    assert "confirm with --yes" in result.err
    assert board.table
    assert run("repair", "--yes").status == 0
    assert not board.table


def test_build(tmp_path: Path, run) -> None:
    image = tmp_path / "tank.so"
    answer = json.loads(run("build", str(TANK), "-o", str(image), "--json").out)
    assert answer["bytes"] == image.stat().st_size
    assert answer["messages"] == ""
    said = run("build", str(TANK), "-o", str(image))
    assert said.err == ""
    assert answer["build_id"] in said.out


def test_build_passes_the_compilers_words_on(tmp_path: Path, run) -> None:
    (tmp_path / "bad.c").write_text("int x = ;\n")
    result = run("build", str(tmp_path / "bad.c"), "-o", str(tmp_path / "bad.so"))
    assert result.status == 1
    assert result.err.startswith("serial-runtime: error: gcc failed:\n")
    assert "bad.c:1:9: error: expected expression" in result.err


def test_load_prints_a_line_a_quarter_and_what_was_sent(board, run, image: Path) -> None:
    result = run("load", str(image), "--start")
    assert result.status == 0
    assert board.image == image.read_bytes()
    assert board.state == Status.Started
    lines = result.out.splitlines()
    assert [line[:5] for line in lines[3:4]] == ["100 %"]
    assert lines[-2].startswith(f"loaded {len(board.image)} bytes in ")
    assert lines[-2].endswith(" s: 321 bytes sent (patch)")
    assert lines[-1] == "started"


def test_load_as_json(board, run, image: Path) -> None:
    answer = json.loads(run("load", str(image), "--json").out)
    assert answer["bytes"] == len(board.image)
    assert (answer["bytes_sent"], answer["coding"]) == (321, "patch")
    assert answer["started"] is False
    assert board.state == Status.Stopped


def test_load_sends_the_names_that_an_object_does_not_hold(board, run, tmp_path: Path) -> None:
    def sent(*words: str) -> list[str]:
        assert run("load", str(path), *words).status == 0
        return [name for name, _ in board.extra_files]

    path, names = tmp_path / "plc.so", tmp_path / "VARIABLES.csv"
    path.write_bytes(beremiz_object.content())
    assert sent() == []
    names.write_bytes(b"names")
    assert sent() == ["VARIABLES.csv"]
    assert sent("--extra", str(names)) == ["VARIABLES.csv"]
    (tmp_path / "plc.so.sig").write_bytes(b"a signature of what `sign` was told")
    assert sent() == ["serial-runtime.sig"]


def test_load_whole_sends_no_patch(board, run, image: Path) -> None:
    answer = json.loads(run("load", str(image), "--whole", "--json").out)
    assert (answer["bytes_sent"], answer["coding"]) == (len(board.image), "as it is")


def test_load_refuses_the_wrong_machine_before_the_download(board, run, image: Path) -> None:
    board.machine = "aarch64"
    result = run("load", str(image))
    assert result.status == 1
    assert "the board is aarch64; build it with --target aarch64-linux-gnu" in result.err
    assert board.image == b""


def test_load_refuses_what_is_no_image(board, run) -> None:
    result = run("load", str(TANK))
    assert result.status == 1
    assert "tank.c is no image: no ELF file. `serial-runtime build` makes one" in result.err


def test_load_tells_that_the_running_program_was_stopped(busy, run, image: Path) -> None:
    says = "the running program was stopped; `start` runs the new one\n"
    assert run("load", str(image)).out.endswith(says)
    assert json.loads(run("load", str(image), "--json").out)["stopped"]
    assert says not in run("load", str(image), "--start").out


def test_load_interrupted_tells_what_the_board_has(
    board, run, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_at(done: int) -> Callable[..., None]:
        def download(image: bytes, progress: Callable[[int, int], None], **options: object) -> None:
            progress(done, 10)
            raise KeyboardInterrupt

        return download

    monkeypatch.setattr(board, "download", interrupted_at(9))
    result = run("load", str(image))
    assert (result.status, result.err) == (
        130,
        "interrupted; the board keeps the program it had, and goes on with this one next time\n",
    )
    monkeypatch.setattr(board, "download", interrupted_at(10))
    assert "`status` tells" in run("load", str(image)).err


@pytest.mark.parametrize("columns", [5, 20, 50, 60, 80, 300])
def test_the_progress_line_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys, columns: int
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    progress = _Progress(Namespace(json=False, bar=False))
    for done in range(0, 101, 10):
        progress(done * 20000, 2_000_000)
    lines = capsys.readouterr().out.split("\r")[1:]
    assert len(lines) == 11
    assert all(len(line) < columns for line in lines)
    assert ("##" in lines[-1]) == (columns >= 60)


def test_watch_lines(busy, run) -> None:
    board = busy
    board.force({"TANK.INLET": b"\0"})
    words = ("tank.level", "TANK.inlet", "--count", "2", "--interval", "0")
    lines = run("watch", *words).out.splitlines()
    assert [line.split() for line in lines] == [
        ["tick", "TANK.LEVEL", "TANK.INLET"],
        ["101", "1.25", "FALSE*"],
        ["102", "1.25", "FALSE*"],
    ]
    assert len({len(line) for line in lines}) == 1, "columns are aligned"


def test_watch_all_in_a_block_when_lines_would_be_long(board, run) -> None:
    for number in range(8):
        board.add(f"SOME.LONG_NAME_{number}", 4, number)
    out = run("watch", "--count", "1").out
    assert "  TANK.STATE        STRING[24]  'holding'\n" in out
    assert "  SOME.LONG_NAME_7  DINT        7\n" in out


def test_watch_tells_when_the_program_does_not_run(busy, run) -> None:
    def happen() -> None:
        if busy.tick == 102:
            busy.state, busy.fault = Status.Broken, "division by zero in RUN"
        if busy.tick == 103:
            busy.state, busy.fault, busy.uptime_s = Status.Stopped, "", 1
        if busy.tick == 104:
            busy.state = Status.Started

    busy.after_read = happen
    lines = run("watch", "TANK.INLET", "--count", "5", "--interval", "0").out.splitlines()
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "101 TRUE",
        "# broken: division by zero in RUN",
        "102 TRUE",
        "# the board was restarted",
        "# stopped",
        "103 TRUE",
        "# started",
        "104 TRUE",
        "105 TRUE",
    ]


def test_watch_does_not_make_up_for_time_the_line_was_out(busy, run, monkeypatch) -> None:
    now_s = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now_s[0] += seconds

    def read() -> None:
        now_s[0] += 10.0 * (busy.tick == 101)

    clock = SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep)
    monkeypatch.setattr("serial_runtime.cli.watch.time", clock)
    busy.after_read = read
    assert run("watch", "TANK.LEVEL", "--count", "4").status == 0
    assert pauses == [0.0, 1.0, 1.0]


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((80, 24)))


@pytest.mark.parametrize("words", [["watch", "TANK.LEVEL"], ["link"]])
def test_a_view_in_place_goes_on_below_what_was_told(busy, run, monkeypatch, words) -> None:
    terminal(monkeypatch)
    looks: list[float] = []

    def trouble(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            busy.on_trouble("connected again")

    monkeypatch.setattr("time.sleep", trouble)
    result = run(*words, "--count", "4", "--interval", "0")
    assert result.err == "serial-runtime: connected again\n"
    lines = re.split(r"\x1b\[\d+F", result.out)[0].count("\n")
    ups = re.findall(r"\x1b\[(\d+)F", result.out)
    assert ups == [str(lines)] * 2, "the second and the fourth; the third is below"


def test_what_is_told_is_below_the_bar_of_a_load(board, run, image, monkeypatch) -> None:
    terminal(monkeypatch)
    download = board.download

    def troubled(data: bytes, progress: Callable[[int, int], None], **options: object) -> object:
        progress(0, len(data))
        board.on_trouble("one")
        board.on_trouble("two")
        return download(data, progress=progress)

    monkeypatch.setattr(board, "download", troubled)
    result = run("load", str(image))
    assert result.err == "\nserial-runtime: one\nserial-runtime: two\n"
    assert "\n\n" not in result.out


def test_watch_follows_another_program(busy, run) -> None:
    def replace() -> None:
        if busy.tick == 102:
            busy.table.clear()
            busy.add("MOTOR.ON", IecType.BOOL, False)

    busy.after_read = replace
    words = ("watch", "--count", "3", "--interval", "0", "--json")
    result = run(*words)
    documents = [json.loads(line)["values"] for line in result.out.splitlines()]
    assert [sorted(values) for values in documents[1:]] == [["MOTOR.ON"]] * 2
    assert "TANK.LEVEL" in documents[0]
    assert result.err == "# the program was replaced\n"


def test_watch_of_names_ends_with_their_program(busy, run) -> None:
    def replace() -> None:
        busy.table.clear()
        busy.add("MOTOR.ON", IecType.BOOL, False)

    busy.after_read = replace
    result = run("watch", "TANK.LEVEL")
    assert result.status == 1
    assert result.out == "# the program was replaced\n"
    assert "no variable 'TANK.LEVEL'" in result.err


def test_watch_json(busy, run) -> None:
    board = busy
    board.add("CALC.RATIO", 14, float("nan"))
    board.add("CALC.TENTH", 14, 0.1)
    document = json.loads(run("watch", "--count", "1", "--json").out, parse_constant=pytest.fail)
    assert document["tick"] == 101
    assert document["values"] == {
        "TANK.LEVEL": 1.25,
        "TANK.INLET": True,
        "TANK.STATE": "holding",
        "RECIPE.TIME": "T#1s500ms",
        "CALC.RATIO": "NaN",
        "CALC.TENTH": 0.1,
    }


def test_watch_an_empty_board(board, run) -> None:
    board.table.clear()
    result = run("watch", "--count", "1")
    assert result.status == 1
    assert "no program" in result.err


def test_force_and_unforce(board, run) -> None:
    assert run("force", "tank.level=1.95", "RECIPE.TIME=T#3s", "tank.state='a=b'").out == (
        "TANK.LEVEL forced to 1.95\nRECIPE.TIME forced to T#3s\nTANK.STATE forced to 'a=b'\n"
    )
    assert board.read(["TANK.STATE"]).values == b"\x03a=b"
    assert run("unforce", "TANK.level").out == "released TANK.LEVEL\n"
    assert board.forced() == ["RECIPE.TIME", "TANK.STATE"]
    answer = json.loads(run("unforce", "--all", "--json").out)
    assert answer == {"released": ["RECIPE.TIME", "TANK.STATE"]}
    assert run("unforce", "--all").out == "released nothing: no variable was forced\n"
    assert run("unforce", "TANK.LEVEL").out == "TANK.LEVEL was not forced\n"
    assert run("force", "TANK.STATE=STRING#'q'").out == "TANK.STATE forced to 'q'\n"
    assert run("force", "TANK.LEVEL=3.4028235e38").out == "TANK.LEVEL forced to 3.4028235E+38\n"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("TANK.LEVL=1", "no variable 'TANK.LEVL'; did you mean TANK.LEVEL?"),
        ("TANK.LEVEL=high", "'high' is no REAL: it takes numbers up to 3.4e38; for example 1.5"),
        ("TANK.STATE=much longer than this variable", "takes 24 at most"),
    ],
)
def test_force_changes_nothing_when_one_value_is_wrong(board, run, word: str, says: str) -> None:
    result = run("force", "TANK.INLET=FALSE", word)
    assert result.status == 1
    assert says in result.err
    assert len(result.err.splitlines()) == 1
    assert not board.forces


def test_log(board, run) -> None:
    board.lines = [
        LogLine(2, 0, 5, 1767225600, 250_000_000, "tank: ready"),
        LogLine(1, 0, 812, 1767225601, 1000, "high level"),
    ]
    lines = run("log").out.splitlines()
    assert lines[0].endswith(".250000  info      tick 5         tank: ready")
    assert lines[1].endswith(".000001  warning   tick 812       high level")
    assert len(run("log", "--level", "warning").out.splitlines()) == 1
    assert len(run("log", "--level", "1").out.splitlines()) == 1
    document = json.loads(run("log", "--level", "Warning", "--json").out)
    assert document["level"] == "warning"
    assert document["text"] == "high level"


def test_a_log_line_cannot_steer_the_terminal(board, run) -> None:
    board.lines = [LogLine(2, 0, 5, 0, 0, "one\n\x1b[2Jtwo")]
    assert run("log").out.endswith(r"one\x0a\x1b[2Jtwo" + "\n")


def test_log_follow_shows_each_line_once(board, run, monkeypatch: pytest.MonkeyPatch) -> None:
    board.lines = [LogLine(2, 0, 1, 0, 0, "one")]
    looks = []

    def look_again(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt
        board.lines.append(LogLine(2, len(looks), 1, len(looks), 0, f"more {len(looks)}"))

    monkeypatch.setattr("time.sleep", look_again)
    result = run("log", "--follow", "--interval", "0.25")
    assert result.status == 0
    texts = [line.split(maxsplit=5)[-1] for line in result.out.splitlines()]
    assert texts == ["one", "more 1", "more 2"]
    assert looks == [0.25] * 3


def test_log_follow_of_lines_that_come_out_of_order(board, run, monkeypatch) -> None:
    """The program's clock and the runtime's: a later number may have an earlier time."""
    board.lines = [LogLine(2, 1, 1, 0, 0, "ready"), LogLine(2, 0, 2, 0, 0, "started")]
    looks = []

    def look_again(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", look_again)
    out = run("log", "--follow").out
    assert [line.split()[-1] for line in out.splitlines()] == ["ready", "started"]


def test_log_follow_goes_on_after_a_restart_of_the_board(board, run, monkeypatch) -> None:
    board.lines = [LogLine(2, 0, 1, 0, 0, "one"), LogLine(2, 1, 2, 0, 0, "two")]

    def restart(seconds: float) -> None:
        if len(board.lines) == 1:
            raise KeyboardInterrupt
        board.lines = [LogLine(2, 0, 3, 0, 0, "again")]

    monkeypatch.setattr("time.sleep", restart)
    out = run("log", "--follow").out
    assert [line.split()[-1] for line in out.splitlines()] == ["one", "two", "again"]
