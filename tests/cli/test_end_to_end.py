# SPDX-License-Identifier: MIT
"""The commands against a real runtime in its own process, and the demo as a user starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import beremiz_object
import pytest
from tls_peers import keep_secrets

ROOT = Path(__file__).parents[2]
FORMS = ("ERPC://{}", "ERPCS://{}#guest", "PYRO://{}", "PYROS://{}#guest", "WAMP://{}#realm#guest")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def spawn(*words: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    process = spawn("serve", "--tcp", "127.0.0.1:0", "--dir", str(tmp_path / "plc"))
    assert process.stdout is not None
    with process:
        try:
            ready = process.stdout.readline().split()
            assert ready[:1] == ["READY"], process.stdout.read()
            monkeypatch.setenv("SERIAL_RUNTIME_URI", ready[1])
            yield ready[1]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_the_example_of_the_manual(uri: str, run, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "programs.md").read_text()
    (tmp_path / "motor.c").write_text(re.findall(r"```c\n(.*?)```", page, re.DOTALL)[0])
    image = str(tmp_path / "motor.so")
    assert run("start").status == 1, "there is nothing to start"
    assert run("build", str(tmp_path / "motor.c"), "-o", image).status == 0
    assert run("load", image, "--start").status == 0
    status = json.loads(run("status", "--json").out)
    assert (status["state"], status["program"]["name"]) == ("Started", "MOTOR")

    assert run("force", "switch=TRUE", "DELAY=T#50ms").status == 0
    deadline = time.monotonic() + 60
    while "TRUE" not in (out := run("watch", "MOTOR", "--count", "1").out):
        assert time.monotonic() < deadline, out
    values = json.loads(run("watch", "--count", "1", "--json").out)
    assert values["values"]["STATE"] == "blocked"
    assert values["values"]["STARTS"] == 1
    assert sorted(values["forced"]) == ["DELAY", "SWITCH"]
    assert "motor started" in run("log", "--level", "info").out

    trace = json.loads(
        run("trace", "WAITED", "-o", str(tmp_path / "t.csv"), "--ticks", "30", "--json").out
    )
    skipped = json.loads(run("stats", "--json").out)["skipped"]  # by a busy machine
    assert trace["ticks"] == 30
    assert trace["gaps"] <= skipped
    rows = (tmp_path / "t.csv").read_text().splitlines()[1:]
    waited = [round(float(row.split(",")[1]) * 100) for row in rows]
    assert waited == sorted(set(waited))
    assert waited[-1] - waited[0] <= 29 + skipped, "10 ms more each tick"

    words = ("trace", "STATE", "-o", str(tmp_path / "e.csv"), "--trigger", "waited >= t#200ms")
    event = json.loads(run(*words, "--post", "10", "--mode", "single", "--json").out)
    assert (event["captures"], event["lost"], event["ended"]) == (1, 0, "")
    assert event["ticks"] == 11
    rows = [row for row in (tmp_path / "e.csv").read_text().splitlines() if "blocked" in row]
    assert len(rows) == 11
    assert float(rows[0].split(",")[2]) >= 0.2

    assert run("unforce", "--all").out.startswith("released ")
    assert " ticks of 10 ms" in run("stats", "--histogram").out
    assert run("stop").status == 0
    result = run("trace", "NOTHING", "-o", str(tmp_path / "t.csv"))
    assert result.status == 1
    assert run("repair", "--yes").status == 0
    assert json.loads(run("status", "--json").out)["state"] == "Empty"


def test_an_object_of_the_beremiz_ide(uri: str, run, tmp_path: Path) -> None:
    (tmp_path / "plc.so").write_bytes(beremiz_object.content("PERIOD_NS=10000000"))
    assert run("load", str(tmp_path / "plc.so"), "--start").status == 0
    assert "VAR.0 " in run("watch", "--count", "1").out
    (tmp_path / "VARIABLES.csv").write_bytes(beremiz_object.variables_csv())
    assert run("load", str(tmp_path / "plc.so"), "--start").status == 0
    assert run("force", "config.res0.inst0.lamp=TRUE", "CONFIG.RES0.INST0.NOW=T#3s").status == 0
    words = ("trace", "CONFIG.RES0.INST0.LAMP", "CONFIG.RES0.INST0.NOW", "--ticks", "5")
    assert run(*words, "-o", str(tmp_path / "t.csv")).status == 0
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert len(rows) == 6
    assert " ticks of 10 ms" in run("stats").out
    status = json.loads(run("status", "--json").out)
    assert (status["state"], status["program"]["name"]) == ("Started", "Beremiz")
    assert sorted(status["forced"]) == ["CONFIG.RES0.INST0.LAMP", "CONFIG.RES0.INST0.NOW"]


def test_an_online_change_of_the_manuals_other_example(uri: str, run, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "programs.md").read_text()
    source = re.findall(r"```c\n(.*?)```", page, re.DOTALL)[1]
    images = []
    for number, text in enumerate((source, source.replace("2 * SR_SECOND", "3600 * SR_SECOND"))):
        (tmp_path / f"lamp{number}.c").write_text(text)
        images.append(str(tmp_path / f"lamp{number}.so"))
        assert run("build", str(tmp_path / f"lamp{number}.c"), "-o", images[-1]).status == 0
    assert run("load", images[0], "--start").status == 0
    assert run("force", "SWITCH=TRUE").status == 0
    deadline = time.monotonic() + 60
    while "TRUE" not in (out := run("watch", "DELAY.Q", "--count", "1").out):
        assert time.monotonic() < deadline, out
    told = run("load", images[1], "--online", "--dry-run")
    assert "14 variables keep their values" in told.out
    assert "outside" not in told.out, "there is nothing but its table"
    assert "SWITCH" in run("status").out
    done = run("load", images[1], "--online", "--yes", "--strict", "--probation", "3")
    assert done.status == 0, done.err
    status = json.loads(run("status", "--json").out)
    while status["change"]["state"] != "kept":
        assert time.monotonic() < deadline + 20, status
        status = json.loads(run("status", "--json").out)
    assert status["forced"] == ["SWITCH"]
    values = json.loads(run("watch", "--count", "1", "--json").out)["values"]
    assert values["DELAY.Q"] is True  # what was over is over, whatever PT is now
    assert values["SWITCHED.CV"] == 1  # and its edge is not seen twice
    assert values["DELAY.PT"] == "T#1h"


def test_status_of_the_manuals_program_of_two_tasks(uri: str, run, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tasks.md").read_text()
    (tmp_path / "planner.c").write_text(re.findall(r"```c\n(.*?)```", page, re.DOTALL)[0])
    image = str(tmp_path / "planner.so")
    assert run("build", str(tmp_path / "planner.c"), "-o", image).status == 0
    assert run("load", image).status == 0
    out = run("status").out
    assert "CONTROL every 1 ms, PLAN every 100 ms on a thread of its own" in out


def test_names_are_matched_in_any_case_and_suggested(uri: str, run, tmp_path: Path) -> None:
    tank = ROOT / "serial_runtime" / "demo" / "tank.c"
    assert run("build", str(tank), "-o", str(tmp_path / "tank.so")).status == 0
    assert run("load", str(tmp_path / "tank.so")).status == 0
    assert "T#5s" in run("watch", "recipe.Hold_Time", "--count", "1").out
    result = run("watch", "TANK.LEVL", "--count", "1")
    assert result.status == 1
    assert "TANK.LEVEL" in result.err


@pytest.mark.parametrize("form", FORMS)
def test_a_board_that_is_not_there(
    form: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secrets(tmp_path, monkeypatch)
    result = run("status", form.format("127.0.0.1:1"))
    assert result.status == 3
    assert len(result.err.splitlines()) == 1
    assert "cannot connect" in result.err
    assert "Connection refused" in result.err


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_port_of_something_else(
    form: str, uri: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here that of plain TCP."""
    keep_secrets(tmp_path, monkeypatch)
    result = run("status", form.format(uri.removeprefix("ERPC://")))
    assert result.status == 3
    assert len(result.err.splitlines()) == 1
    assert re.search("Without TLS|no Pyro daemon|no WAMP session", result.err)


def children(parent: int) -> list[int]:
    """Living processes started by `parent`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_puts_everything_away_when_it_is_interrupted(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    process = spawn("demo", "--baud", "921600")
    assert process.stdout is not None
    with process:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Who is there?" in line:
                break
        started = children(process.pid)
        process.send_signal(number)
        seen.append(process.stdout.read())
        assert process.wait(60) == 130, "".join(seen)
    assert len(started) == 3, "".join(seen)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.iterdir())
    assert "Traceback" not in "".join(seen)


def test_the_demo_fails_when_a_step_does_and_puts_everything_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(tmp_path / "bin"))  # no compiler
    with spawn("demo", "--baud", "921600") as process:
        out, _ = process.communicate(timeout=150)
    assert process.returncode == 1
    assert "there is no compiler gcc here; on Debian: apt install gcc" in out
    assert out.endswith("error: serial-runtime build ended with exit code 1\n")
    assert not list((tmp_path / "tmp").iterdir())
