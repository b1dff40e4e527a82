# SPDX-License-Identifier: MIT
"""The report: what of a session's JUnit file and records is on the page, and what it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hil.plants.heater import HeaterPlant
from hil.plants.limits import read_limit
from hil.plants.profile import Event, Profile
from hil.plants.record import row_of, signals_of
from hil.plants.run import Judge, Run
from hil.plants.stimulus import Stimulus
from hil.report.junit import ReportError, read
from hil.report.page import page
from hil.report.plot import svg

PERIOD_NS = 100_000_000


def heated(worst_c: float) -> Run:
    """A heater that is switched on for ten minutes, without a PLC."""
    limit = read_limit(
        {"requirement": "REQ-1", "signal": "temperature_c", "max": worst_c, "text": "Not <hot>"},
        "p:1",
    )
    events = (Event(100, "loss", 2.0), Event(200, "temperature_raw", fault="stuck"))
    model = HeaterPlant()
    profile = Profile("Heater & co", 600, events, (limit,))
    judge = Judge(profile.limits, signals_of(model), "exact")
    stimulus = Stimulus(events, model, PERIOD_NS)
    outputs = {"heat": True, "alarm": False, "power": 0}
    for tick in range(6000):
        stimulus.before(tick)
        inputs = stimulus.spoil(model.read())
        judge.take(tick, tick / 10, row_of(model, inputs, outputs))
        model.step(0.1, outputs)
    happened = [(tick / 10, event) for tick, event in stimulus.happened]
    return Run("heater", profile, judge.record, judge.verdicts(), happened)


JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" time="75.2" timestamp="2026-01-02T03:04:05">
<properties><property name="board" value="{board}"/>
<property name="environment" value="{kind}"/><property name="version:kernel" value="6.1 RT"/>
</properties>
<testcase classname="a.test_heat" name="test_it_heats" time="3.5"><properties>
<property name="requirement" value="REQ-1"/><property name="record" value="{record}"/></properties>
{failure}</testcase>
<testcase classname="a.test_line" name="test_noise" time="1"><properties>
<property name="requirement" value="REQ-2"/><property name="requirement" value="REQ-10"/>
<property name="note" value="0.10 line: set ber=1e-5"/></properties></testcase>
<testcase classname="a.test_line" name="test_long" time="0"><properties>
<property name="requirement" value="REQ-10"/></properties><skipped message="long"/></testcase>
</testsuite></testsuites>"""


def session(folder: Path, board: str, kind: str, worst_c: float) -> Path:
    run = heated(worst_c)
    record = run.write(folder / "records", f"{board}-heat").relative_to(folder)
    failure = '<failure message="E &lt;x&gt;">trace</failure>' if run.failures else ""
    junit = folder / f"{board}.xml"
    junit.write_text(JUNIT.format(board=board, kind=kind, record=record, failure=failure))
    return junit


class Text(HTMLParser):
    """The words of a page, and the tags that would load something or are left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in ("meta", "br"):
            self._open.append(tag)
        if tag in ("script", "link", "img", "iframe") or "src" in found:
            self.loads.append(tag)
        if (href := found.get("href")) is not None:
            self.links.add(href)
        if (anchor := found.get("id")) is not None:
            self.anchors.add(f"#{anchor}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def __str__(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_one_page_of_two_sessions(tmp_path: Path) -> None:
    paths = [
        session(tmp_path, "simulator", "simulator", 200),
        session(tmp_path, "virt-arm64", "emulated", 100),
    ]
    only_there = paths[1].read_text().replace("REQ-2", "REQ-3")
    paths[1].write_text(only_there)
    html = page([read(path) for path in paths], "A <title>", "made")
    text = Text(html)
    assert text.loads == []
    assert "url(" not in html
    assert text.links <= text.anchors, "each link leads somewhere on the page"
    said = str(text)
    for words in (
        "1 of 4 tests FAILED",
        "SIMULATOR: the runtime as a process",
        "EMULATED BOARD",
        "1 min 15 s",
        "2026-01-02 03:04:05 UTC",
        "REQ-1 Not <hot> met NOT MET it heats",
        "REQ-2 noise met – noise",
        "REQ-3 noise – met noise",
        "REQ-10 noise; long met met noise , long",
        "E <x> trace",
        "Heater & co",
        "temperature_raw: fault stuck",
        "0.10 s line: set ber=1e-5",
        "kernel 6.1 RT 6.1 RT",
    ):
        assert words in said, words
    assert said.index("REQ-2 ") < said.index("REQ-10 ")


def test_a_plot_has_signals_limits_events_and_violations() -> None:
    run = json.loads(json.dumps(heated(100).as_json()))
    picture = svg(run)
    root = ElementTree.fromstring(picture)
    texts = list(root.itertext())
    assert {"temperature_c", "sensor_c", "heat", "loss", "thermostat_ok"} <= set(texts)
    assert "ambient_c" not in texts, "it never changed"
    kinds = [element.get("class") for element in root.iter()]
    assert kinds.count("b") == 1
    assert kinds.count("v") == kinds.count("d") == 1
    assert kinds.count("e") == 1
    assert kinds.count("e fault") == 1
    assert len(picture) < 120_000, "6000 samples are drawn with a few hundred points"
    extremes = [max(v) for v in (run["record"]["signals"][0]["values"],)]
    assert extremes[0] > 100


def test_nothing_recorded_is_said() -> None:
    run = heated(100).as_json()
    run["record"]["times_s"] = []
    assert svg(run) == "<p>Nothing was recorded.</p>"


def test_the_command(tmp_path: Path) -> None:
    good, bad = session(tmp_path, "a", "real", 200), session(tmp_path, "b", "simulator", 100)
    out = tmp_path / "out" / "report.html"

    def report(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "hil.report", *words, "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert report(str(good)) == (0, "")
    assert "REAL BOARD" in out.read_text()
    assert report(str(good), str(bad)) == (1, "")
    code, said = report(str(tmp_path / "none.xml"))
    assert code == 2
    assert "none.xml: no JUnit file" in said


def test_a_record_that_is_gone_is_named(tmp_path: Path) -> None:
    path = session(tmp_path, "a", "real", 200)
    (tmp_path / "records" / "a-heat.json").unlink()
    with pytest.raises(ReportError, match=r"a-heat\.json: no record"):
        read(path)
