# SPDX-License-Identifier: MIT
"""The cable as a process: its options, its commands, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading import LONG_S, read

from serial_runtime.cli import main as command_line
from serial_runtime.line.process import main
from serial_runtime.line.proof import measure
from serial_runtime.transport import Transport
from serial_runtime.transport.serial import open_serial


class Process:
    """A cable that was started as a user does."""

    def __init__(self, *words: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.board, self.host, ready = (self.line() for _ in range(3))
        assert ready == "READY"

    def line(self) -> str:
        assert self.popen.stdout
        return self.popen.stdout.readline().strip()

    def ask(self, command: str) -> str:
        assert self.popen.stdin
        self.popen.stdin.write(f"{command}\n")
        self.popen.stdin.flush()
        return self.line()

    def end(self) -> tuple[int, str]:
        """End its input; its exit code and last words."""
        words, _ = self.popen.communicate(timeout=LONG_S)
        return self.popen.returncode, words


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process("serial_runtime", "line", "--baud", "0", "--dir", str(tmp_path))
    yield process
    process.popen.terminate()
    process.popen.communicate()


@contextlib.contextmanager
def ports(process: Process) -> Iterator[tuple[Transport, Transport]]:
    with (
        contextlib.closing(open_serial(process.board, 115200)) as board,
        contextlib.closing(open_serial(process.host, 115200)) as host,
    ):
        yield board, host


def test_it_carries_bytes_and_says_so_at_the_end(process: Process, tmp_path: Path) -> None:
    assert [process.board, process.host] == [str(tmp_path / "board"), str(tmp_path / "host")]
    with ports(process) as (board, host):
        host.write(b"Ask!")
        assert read(board, 4) == b"Ask!"
    code, words = process.end()
    assert code == 0
    to_board, to_host = map(json.loads, words.splitlines())
    assert to_board["to-board"]["delivered"] == 4
    assert to_host["to-host"]["carried"] == 0
    assert os.listdir(tmp_path) == []


def test_the_short_form_and_a_folder_of_its_own() -> None:
    process = Process("serial_runtime.line")
    folder = Path(process.board).parent
    assert process.ask("unplug") == "OK"
    assert not os.path.lexists(process.board)
    assert process.ask("plug host") == "OK"
    assert sorted(os.listdir(folder)) == ["host"]
    assert process.end()[0] == 0
    assert not folder.exists()


def test_sigterm_ends_it(process: Process, tmp_path: Path) -> None:
    process.popen.terminate()
    code, words = process.end()
    assert code == 0
    assert "to-board" in words
    assert os.listdir(tmp_path) == []


def test_conditions_change_while_it_runs(process: Process) -> None:
    with ports(process) as (board, host):
        assert process.ask("set to-board drop=1") == "OK"
        host.write(b"lost")
        board.write(b"heard")
        assert read(host, 5) == b"heard"
        while '"dropped": 4' not in process.ask("counters"):
            pass  # the other way takes a while longer, sometimes
        assert process.ask("clear") == "OK"
        host.write(b"found")
        assert read(board, 5) == b"found"
        for command in ("flip to-board 0 0x20", "drop to-board 1", "insert to-board 2 2d2d"):
            assert process.ask(command) == "OK"
        host.write(b"abcd")
        assert read(board, 5) == b"A--cd"
        assert process.ask("baud 9600") == "OK"
        assert process.ask("stall to-board 1") == "OK"
        assert process.ask("break to-host") == "OK"
        assert read(host, 1) == b"\0"
        counters = json.loads(process.ask("counters"))
        assert counters["to-board"]["dropped"] == 5
        assert counters["to-board"]["bit_errors"] == 1
        assert counters["to-board"]["stalls"] == 1
        assert counters["to-host"]["breaks"] == 1
        assert counters["to-host"]["dropped"] == 0


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("kick", "error: no command 'kick'; there are counters, set, clear, baud, flip, drop,"),
        ("set ber=2", "error: ber: 2 makes no sense; give a number from 0 to 1"),
        ("set ber=few", "error: ber: 'few' is no number"),
        ("set overrun=1.5", "error: overrun: '1.5' is no whole number"),
        ("set stall-ms=-1", "error: stall-ms: -1 makes no sense; give a number of at least 0"),
        ("set burst-bytes=0", "error: burst-bytes: 0 makes no sense"),
        ("set beer=1", "error: there is no setting 'beer'; there are ber, burst,"),
        ("set ber", "error: 'ber' is no KEY=VALUE"),
        ("clear all", "error: clear all: wrong or missing words"),
        ("set", "error: set: wrong or missing words"),
        ("set to-host", "error: set to-host: wrong or missing words"),
        ("flip to-host 3 0x100", "error: mask 256 makes no sense; give a number from 1 to 255"),
        ("flip to-host 3 1 1", "error: flip to-host 3 1 1: wrong or missing words"),
        ("drop to-host 3 -1", "error: -1 bytes cannot be lost; give at least 1"),
        ("insert to-host 3", "error: insert to-host 3: wrong or missing words"),
        ("flip 3", "error: which direction? to-board or to-host"),
        ("flip to-host", "error: flip to-host: wrong or missing words"),
        ("flip to-host -1", "error: a fault at byte -1 would be in the past"),
        ("insert to-host 1 xy", "error: insert to-host 1 xy: wrong or missing words"),
        ("drop to-host 1 2 3", "error: drop to-host 1 2 3: wrong or missing words"),
        ("stall", "error: stall: wrong or missing words"),
        ("baud -1", "error: a cable cannot run at -1.0 baud; give a positive rate"),
        ("baud fast", "error: baud fast: wrong or missing words"),
        ("unplug top", "error: the ends are board and host"),
    ],
)
def test_wrong_commands_are_answered(process: Process, command: str, answer: str) -> None:
    said = process.ask(command)
    assert said.startswith(answer)
    assert process.ask("plug") == "OK"


def test_input_without_an_end_of_line_ends_it(process: Process, tmp_path: Path) -> None:
    stdin = process.popen.stdin
    assert stdin
    with contextlib.suppress(BrokenPipeError):
        while True:  # until it has enough
            stdin.write("x" * 65_536)
            stdin.flush()
    assert process.popen.wait(LONG_S) == 2
    assert not list(tmp_path.iterdir())


def test_options_make_the_conditions(tmp_path: Path) -> None:
    process = Process(
        *("serial_runtime", "line", "--baud", "0", "--dir", str(tmp_path), "--drop", "1"),
        *("--turnaround-ms", "50000", "--to-host", "drop=0,insert=1"),
    )
    with ports(process) as (board, host):
        host.write(b"ab")
        board.write(bytes(62))  # 124 bytes, two packets of the adapter
        assert len(read(host, 124)) == 124
    _, words = process.end()
    to_board, to_host = map(json.loads, words.splitlines())
    assert to_board["to-board"]["dropped"] == 2
    assert to_host["to-host"]["dropped"] == 0
    assert to_host["to-host"]["inserted"] == 62


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--baud", "-5"], "give a positive rate"),
        (["--baud", "nan"], "give a positive rate"),
        (["--ber", "2"], "ber: 2 makes no sense"),
        (["--to-host", "drop"], "'drop' is no KEY=VALUE"),
        (["--prove", "0"], "give 0.1 to 3600"),
    ],
)
def test_wrong_options_are_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--dir", str(tmp_path), *words])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
    assert command_line(["line", "--dir", str(tmp_path), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_proof_measures_both_ways() -> None:
    to_board, to_host, cpu = measure(115200, 0.2)
    assert to_board > 0
    assert to_host > 0
    assert cpu > 0
