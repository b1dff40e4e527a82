# SPDX-License-Identifier: MIT
"""The link command's views, and what a link that fails leaves behind."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path

import pytest

from serial_runtime.cli import link as link_command
from serial_runtime.errors import LinkTimeout, ProtocolError
from serial_runtime.rpc import client

CALL = bytes.fromhex("0004010107000000")  # GetPLCstatus, sequence 7


def test_a_line_a_sample(board, run) -> None:
    result = run("link", "--count", "2", "--interval", "0")
    assert result.status == 0
    first, second = result.out.splitlines()
    assert "turnaround 2.0 ms, again 2/9" in first
    assert "discarded 41/99 bytes, reconnects 5" in second


def test_json(board, run) -> None:
    answer = json.loads(run("link", "--count", "1", "--json").out)
    assert answer["host"]["rto_s"] == 0.03
    assert answer["board"]["driver"]["overrun"] == 17
    assert answer["up_Bps"] > 0


def test_the_table_of_a_terminal(board) -> None:
    sample = link_command._Watcher(board, 0.0).sample()
    lines = link_command.table("/dev/fake", sample)
    assert "bytes discarded           41          99" in lines
    assert "sent again      2 of 9" in lines
    assert "board's driver  17 overrun, 3 buf_overrun, 2 frame, 0 parity, 0 brk" in lines


def test_a_stock_server_has_no_figures_of_its_own(board, run) -> None:
    board.ours = False
    assert json.loads(run("link", "--count", "1", "--json").out)["board"] is None
    for words in (("--load",), ("--try-baud", "9600")):
        result = run("link", "--count", "1", *words)
        assert result.status == 1
        assert "stock server" in result.err


def test_load(board, run) -> None:
    out = run("link", "--count", "1", "--interval", "0", "--load").out
    assert " data " in out
    assert json.loads(run("link", "--count", "1", "--interval", "0", "--load", "--json").out)[
        "goodput_Bps"
    ]


def test_trying_a_rate_leaves_the_line_as_it_was(
    board, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_command, "_TRY_S", 0.01)
    rows = [
        json.loads(row) for row in run("link", "--try-baud", "19200", "--json").out.splitlines()
    ]
    assert [row["baud"] for row in rows] == [9600, 19200]
    assert board.link.bauds == [9600, 19200, 9600]


# A link that fails.


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """A board that does not answer, or breaks the protocol."""

    def fail_with(error: Exception, sent: bool = True) -> None:
        def connect(uri: str, *, recent: deque[object], **options: object) -> object:
            if sent:
                recent.append((time.monotonic(), ">", CALL, ""))
            raise error

        monkeypatch.setattr(client, "connect", connect)

    return fail_with


def test_the_last_messages_are_kept(failing, run, state: Path) -> None:
    failing(LinkTimeout("no answer"))
    result = run("status", "ERPC:///dev/ttyUSB0")
    path = state / "serial-runtime" / "last-link-error.txt"
    assert result.status == 3
    assert result.err == f"serial-runtime: error: no answer (the last messages: {path})\n"
    text = path.read_text()
    assert "ERPC:///dev/ttyUSB0\nno answer\n" in text
    assert "s > call ide.GetPLCstatus, sequence 7" in text


def test_they_are_shown_when_asked_for(failing, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERIAL_RUNTIME_DEBUG", "1")
    failing(ProtocolError("a reply with the unknown status 9"))
    result = run("status", "ERPC:///dev/ttyUSB0")
    assert result.status == 1
    assert "s > call ide.GetPLCstatus" in result.err.splitlines()[0]


def test_no_report_without_messages_or_place(failing, run, state: Path) -> None:
    failing(LinkTimeout("no answer"), sent=False)
    assert run("status", "ERPC:///dev/ttyUSB0").err == "serial-runtime: error: no answer\n"
    assert not state.exists()
    state.write_text("in the way")
    failing(LinkTimeout("no answer"))
    assert run("status", "ERPC:///dev/ttyUSB0").err == "serial-runtime: error: no answer\n"
