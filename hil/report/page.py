# SPDX-License-Identifier: MIT
"""The report: one HTML page that needs nothing else, to be filed or printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hil.report.junit import Case, Session
from hil.report.plot import svg

_KINDS = {
    "simulator": "SIMULATOR: the runtime as a process of a computer. No board, no emulator; "
    "plants in lockstep. Says nothing about the timing of a board.",
    "emulated": "EMULATED BOARD: the board's kernel, drivers and software on an emulated "
    "processor. Not the hardware: says nothing about its timing, its pins, its electronics.",
    "real": "REAL BOARD, in a fixture.",
    "": "NO BOARD was used.",
}
_MARKS = {"passed": "passed", "failed": "FAILED", "skipped": "skipped", "": "–"}
_LONGEST_MESSAGE = 4000


def page(sessions: Sequence[Session], title: str, made: str) -> str:
    """All of it. `made`: when, and by what."""
    style = (Path(__file__).parent / "page.css").read_text()
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{style}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        _verdict(sessions),
        *(_banner(session) for session in sessions),
        "<h2>Summary</h2>",
        _summary(sessions),
        "<h2>Requirements</h2>",
        _requirements(sessions),
        *_failures(sessions),
        *_runs(sessions),
        "<h2>Tests</h2>",
        *(_tests(n, session) for n, session in enumerate(sessions)),
        "<h2>Versions</h2>",
        _versions(sessions),
        f'<p class="made">{escape(made)}</p>',
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _failed(sessions: Sequence[Session]) -> int:
    return sum(session.count("failed") for session in sessions)


def _verdict(sessions: Sequence[Session]) -> str:
    failed = _failed(sessions)
    passed = sum(session.count("passed") for session in sessions)
    if failed:
        return f'<p class="verdict failed">{failed} of {failed + passed} tests FAILED</p>'
    if not passed:
        return '<p class="verdict failed">nothing was tested</p>'
    return f'<p class="verdict passed">{passed} tests passed, none failed</p>'


def _banner(session: Session) -> str:
    text = _KINDS.get(session.environment, session.environment.upper())
    kind = session.environment or "none"
    return f'<p class="kind {escape(kind)}"><b>{escape(session.board)}</b> – {escape(text)}</p>'


def _summary(sessions: Sequence[Session]) -> str:
    rows = [
        [
            escape(session.board),
            escape(session.environment or "none"),
            escape(session.began + " UTC"),
            _duration(session.seconds),
            str(session.count("passed")),
            _bad(session.count("failed")),
            str(session.count("skipped")),
        ]
        for session in sessions
    ]
    names = ("board", "environment", "began", "took", "passed", "failed", "skipped")
    return _table(names, rows)


def _bad(count: int) -> str:
    return f'<b class="failed">{count}</b>' if count else "0"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


# ---- requirements ----


def _requirements(sessions: Sequence[Session]) -> str:
    names = {name for session in sessions for case in session.cases for name in case.requirements}
    if not names:
        return "<p>No test names a requirement.</p>"
    rows = []
    for name in sorted(names, key=_natural):
        behind: dict[tuple[str, str], str] = {}  # the same test on several boards is told once
        states = []
        for n, session in enumerate(sessions):
            cases = [case for case in session.cases if name in case.requirements]
            states.append(_state(cases))
            for case in cases:
                behind.setdefault((case.module, case.name), _link(n, case))
        rows.append(
            [f'<a id="{escape(name)}"></a>{escape(name)}', _texts(sessions, name)]
            + [_mark(state, _REQUIREMENT) for state in states]
            + [", ".join(behind.values())]
        )
    heads = ["requirement", "what it says", *(escape(s.board) for s in sessions), "tests behind it"]
    return _table(heads, rows, "requirements")


_REQUIREMENT = {"passed": "met", "failed": "NOT MET", "skipped": "not tested", "": "–"}


def _state(cases: Sequence[Case]) -> str:
    results = {case.result for case in cases}
    return next((one for one in ("failed", "passed", "skipped") if one in results), "")


def _texts(sessions: Sequence[Session], name: str) -> str:
    """What limits of this requirement say, each once."""
    found = [
        limit["why"] or limit["text"]
        for session in sessions
        for case in session.cases
        for run in case.runs
        for limit in run["limits"]
        if limit["requirement"] == name
    ]
    if not found:
        found = [
            case.name.removeprefix("test_").replace("_", " ")
            for session in sessions
            for case in session.cases
            if name in case.requirements
        ]
    return "; ".join(escape(text) for text in dict.fromkeys(found))


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


# ---- failures and runs ----


def _failures(sessions: Sequence[Session]) -> Iterable[str]:
    if not _failed(sessions):
        return
    yield "<h2>Failures</h2>"
    for n, session in enumerate(sessions):
        for case in session.cases:
            if case.result == "failed":
                text = case.message
                if len(text) > _LONGEST_MESSAGE:
                    text = text[:_LONGEST_MESSAGE] + "\n[...]"
                yield f"<h3>{_link(n, case)} on {escape(session.board)}</h3>"
                yield f"<pre>{escape(text)}</pre>"


def _runs(sessions: Sequence[Session]) -> Iterable[str]:
    if not any(case.runs for session in sessions for case in session.cases):
        return
    yield "<h2>Plants</h2>"
    yield (
        '<p class="key">Plots: numbered vertical lines are events (dashed orange: faults), dashed '
        "red lines limits, red dots what went beyond them. Bits are drawn as steps.</p>"
    )
    for session in sessions:
        for case in session.cases:
            for run in case.runs:
                yield _run(session, case, run)


def _run(session: Session, case: Case, run: dict[str, Any]) -> str:
    record = run["record"]
    limits = [
        [
            f'<a href="#{escape(one["requirement"])}">{escape(one["requirement"])}</a>',
            escape(one["why"]),
            escape(one["text"]),
            _mark("passed" if one["passed"] else "failed", {"passed": "held", "failed": "FAILED"}),
            escape(one["detail"]),
        ]
        for one in run["limits"]
    ]
    events = "".join(
        f"<li{_fault(one)}>{one['time_s']:g} s: {escape(one['text'])}</li>" for one in run["events"]
    )
    return (
        f'<section class="run"><h3>{escape(run["title"])}</h3>'
        f'<p><span class="kind {escape(session.environment)}">{_where(session)}</span> '
        f"plant: {escape(run['plant'])}; program "
        f"<code>{escape(run['program'])}</code>; {len(record['ticks'])} samples; time base: "
        f"{escape(record['time_base'])}</p>"
        + (_table(("requirement", "why", "limit", "", "found"), limits) if limits else "")
        + f'<div class="plot">{svg(run)}</div>'
        + (f'<h4>What happened</h4><ol class="events">{events}</ol>' if events else "")
        + "</section>"
    )


def _where(session: Session) -> str:
    same = session.board == session.environment
    return escape(session.board if same else f"{session.board}, {session.environment}")


def _fault(event: dict[str, Any]) -> str:
    return " class=fault" if event["fault"] else ""


# ---- tests and versions ----


def _anchor(n: int, case: Case) -> str:
    return "t-" + re.sub(r"[^A-Za-z0-9_]+", "-", f"{n}-{case.module}-{case.name}")


def _link(n: int, case: Case) -> str:
    name = case.name.removeprefix("test_").replace("_", " ")
    return f'<a href="#{_anchor(n, case)}">{escape(name)}</a>'


def _tests(n: int, session: Session) -> str:
    rows = []
    for case in sorted(session.cases, key=lambda case: case.module):
        notes = "<br>".join(_note(text) for text in case.notes)
        if case.result == "skipped":
            notes = f"{escape(case.message)} {notes}".strip()
        if len(case.notes) > 8:
            notes = f"<details><summary>{len(case.notes)} events</summary>{notes}</details>"
        rows.append(
            [
                f'<a id="{_anchor(n, case)}"></a>{escape(case.module)}',
                escape(case.name.removeprefix("test_").replace("_", " ")),
                _mark(case.result, _MARKS),
                f"{case.seconds:.1f} s",
                ", ".join(escape(name) for name in case.requirements),
                notes,
            ]
        )
    heads = ("file", "test", "result", "took", "requirements", "faults injected, reasons")
    return f"<h3>{escape(session.board)}</h3>" + _table(heads, rows, "tests")


def _note(text: str) -> str:
    time_s, _, rest = text.partition(" ")
    return f"<span class=at>{escape(time_s)} s</span> {escape(rest)}"


def _versions(sessions: Sequence[Session]) -> str:
    names = dict.fromkeys(name for session in sessions for name in session.versions)
    if not names:
        return "<p>None were told.</p>"
    rows = [
        [escape(name), *(escape(session.versions.get(name, "–")) for session in sessions)]
        for name in names
    ]
    return _table(["", *(escape(session.board) for session in sessions)], rows, "versions")


def _mark(result: str, words: dict[str, str]) -> str:
    return f'<span class="{result or "none"}">{words[result]}</span>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Of cells that are HTML already."""
    head = "".join(f"<th>{one}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
