# SPDX-License-Identifier: MIT
"""What all commands share: help that teaches, the URI, errors in one line, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import serial_runtime
from serial_runtime.cli import COMMANDS
from serial_runtime.cli.serve import SERVE
from serial_runtime.config import Profile
from serial_runtime.errors import BoardError, UriError
from serial_runtime.rpc import client

URI = "ERPC://fake:3000"
# Commands that talk to no board, or not by themselves.
STAY_HERE = (
    "serve",
    "build",
    "doctor",
    "profile",
    "latency",
    "line",
    "identity",
    "sign",
    "audit",
    "demo",
)


def test_the_overview_lists_every_command(run) -> None:
    result = run("--help")
    assert result.status == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in result.out
        assert summary in result.out
    assert run().status == 2
    assert run("--version").out == f"serial-runtime {serial_runtime.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run(name, "--help")
    assert result.status == 0
    assert f"usage: serial-runtime {name}" in result.out
    assert f"example:\n  serial-runtime {name}" in result.out
    assert "exit codes:\n  0  done" in result.out
    assert max(map(len, result.out.splitlines())) <= 100
    talks = name not in STAY_HERE
    assert ("3  no connection" in result.out) == talks
    assert ("SERIAL_RUNTIME_URI" in result.out) == (talks or name == "doctor")


def test_a_command_nobody_knows(run) -> None:
    result = run("wach")
    assert result.status == 2
    assert "did you mean watch?" in result.err
    assert "--help lists" in run("xyzzy").err


@pytest.mark.parametrize(
    "words",
    [
        ("watch", URI, "TANK.LEVEL", "--count", "1"),
        ("watch", "--count", "1", URI, "TANK.LEVEL"),
        ("watch", URI, "--count", "1", "TANK.LEVEL"),
        ("watch", "TANK.LEVEL", "--count", "1"),
        ("watch", "--count=1", "TANK.LEVEL"),
    ],
)
def test_the_uri_is_the_first_word_or_in_the_environment(board, run, words) -> None:
    result = run(*words)
    assert result.status == 0
    assert "1.25" in result.out
    assert "INLET" not in result.out


def test_the_argument_wins_over_the_environment(board, run) -> None:
    result = run("status", "ERPC://other:3000")
    assert result.status == 3
    assert result.err == "serial-runtime: error: ERPC://other:3000 does not answer\n"


@pytest.mark.parametrize(
    "uri", ["host:3000", "192.168.1.2:3000", "[::1]:3000", "/dev/ttyUSB9", "/dev/pts/7:9600"]
)
def test_short_uris(board, run, uri: str) -> None:
    result = run("status", uri)
    assert (result.status, result.err) == (3, f"serial-runtime: error: {uri} does not answer\n")
    assert run("watch", uri, "TANK.LEVEL").status == 3


@pytest.mark.parametrize("word", ["/dev/shm/x.so", "/tmp/x.so", "x.so"])
def test_a_file_is_no_uri(board, run, word: str) -> None:
    assert f"{word}: No such file" in run("load", word).err
    assert run("force", "TANK.LEVEL=TOD#12:30").status == 1


def test_a_uri_without_its_scheme_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERIAL_RUNTIME_URI", raising=False)
    assert "'/tmp/cable/host' is none, the scheme is missing" in run("stop", "/tmp/cable/host").err


def test_help_names_the_default_folder(run) -> None:
    assert f"default: {Profile().store.dir}," in " ".join(run("serve", "--help").out.split())


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in STAY_HERE])
def test_without_a_uri_every_command_says_how_to_give_it(
    run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERIAL_RUNTIME_URI", raising=False)
    result = run(name, *(["-o", "x.csv"] if name == "trace" else []))
    assert result.status == 2
    assert "ERPC:///dev/ttyUSB0:115200 or ERPC://host:3000, or set SERIAL_RUNTIME_URI" in result.err
    assert result.err.startswith("usage: ")
    assert not Path("x.csv").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("status", "dev/ttyS0"), "without its scheme ERPC://"),
        (("start", "now"), "one word too many"),
        (("watch", "--count", "0"), "--count: '0' is no whole number from 1 to"),
        (("watch", "--interval", "-1"), "--interval: '-1' is no number from 0 to 86400"),
        (("watch", "--interval", "nan"), "'nan' is no number from"),
        (("watch", "--interval", "inf"), "'inf' is no number from"),
        (("log", "--interval", "nan"), "'nan' is no number from"),
        (("log", "--interval", "1e300"), "'1e300' is no number from"),
        (("watch", "--count", "many"), "'many' is no whole number"),
        (("force", "TANK.LEVEL=1", "tank.level=2"), "TANK.LEVEL can have one value only"),
        (("demo", "--baud", "-5"), "'-5' is no whole number from 300"),
        (("demo", "--baud", "12345"), "unknown baud rate 12345"),
        (("serve", "--port", "/dev/null", "--baud", "12345"), "unknown baud rate 12345"),
        (("serve", "--port", "/dev/null", "--baud", "-5"), "serial.baud = -5"),
        (("serve", "--tcp", "h:x"), "expected HOST:PORT"),
        (("serve", "--tcp", "3000"), "a port alone: expected HOST:PORT, as in 127.0.0.1:3000"),
        (("serve", "--tcp", "h:1", "--io", "gpio"), "io.driver = 'gpio'"),
        (("serve", "--tcp", "h:1", "--dir", ""), "store.dir = ''"),
        (("serve", "--profile", "no-such.toml"), "no-such.toml: cannot be read"),
        (("force",), "write NAME=VALUE"),
        (("force", "TANK.LEVEL"), "write NAME=VALUE, not TANK.LEVEL"),
        (("force", "=5"), "write NAME=VALUE, not ="),
        (("unforce",), "or give --all"),
        (("unforce", "TANK.LEVEL", "--all"), "or give --all"),
        (("load",), "one image file"),
        (("load", "a", "b"), "one image file"),
        (("trace", "TANK.LEVEL"), "required: -o"),
        (("trace", "-o", "x.csv"), "at least one variable"),
        (("trace", "TANK.LEVEL", "-o", "x.csv", "--ticks", "-1"), "'-1' is no whole"),
        (("trace", "TANK.LEVEL", "-o", "x.csv", "--ticks", "0"), "'0' is no whole"),
        (("trace", "TANK.LEVEL", "-o", "x.csv", "--duration", "0"), "'0' is no number"),
        (("trace", "TANK.LEVEL", "-o", "x.csv", "--duration", "inf"), "'inf' is no number"),
        (("trace", "TANK.LEVEL", "-o", "x.csv", "--duration", "-1"), "'-1' is no number"),
        (("trace", "A", "-o", "x.csv", "--ticks", "1", "--duration", "1"), "not allowed with"),
        (("log", "--level", "loud"), "'loud' is none of critical, warning, info, debug"),
        (("build", "-o", "x.so"), "which program?"),
        (("serve",), "give --port, --tcp, --tls, --pyro, --wamp, or a --profile"),
        (("status", "--jso"), "unrecognized arguments"),
    ],
)
def test_wrong_usage(board, run, words, says: str) -> None:
    result = run(*words)
    assert result.status == 2
    assert says in result.err
    assert result.out == ""
    assert "Traceback" not in result.err


def test_a_bad_uri_is_wrong_usage(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(uri: str, **options: object) -> None:
        raise UriError(f"{uri}: no transport is called ftp")

    monkeypatch.setattr(client, "connect", connect)
    result = run("status", "ftp://host")
    assert result.status == 2
    assert result.err == "serial-runtime: error: ftp://host: no transport is called ftp\n"


def test_every_error_of_ours_is_one_line(board, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(cold: bool) -> None:
        raise BoardError(12, "the trace ring cannot be allocated: no memory")

    monkeypatch.setattr(board, "start", refuse)
    result = run("start")
    assert result.status == 1
    assert result.err == ("serial-runtime: error: the trace ring cannot be allocated: no memory\n")


def test_files_that_cannot_be_read_or_written(busy, run, tmp_path: Path) -> None:
    result = run("load", str(tmp_path / "nothing.so"))
    assert result.status == 1
    assert result.err.endswith("nothing.so: No such file or directory\n")
    result = run("trace", "TANK.LEVEL", "-o", str(tmp_path / "no" / "x.csv"), "--ticks", "1")
    assert result.status == 1
    assert "No such file" in result.err


def test_interrupted(board, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(board, "read", interrupt)
    assert run("watch", "TANK.LEVEL").status == 0, "Ctrl-C is how an endless watch ends"
    assert run("watch", "TANK.LEVEL", "--count", "5").status == 130


def test_serve_hands_its_options_to_the_daemon(
    run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profiles = []
    profile = tmp_path / "board.toml"
    profile.write_text('[serial]\nport = "/dev/ttyS1"\nbaud = 9600\n[rt]\ncpu = 1\n')
    from serial_runtime import daemon

    monkeypatch.setattr(daemon, "run", lambda profile, **_: profiles.append(profile) or 0)
    words = ("--baud", "57600", "--tcp", "127.0.0.1:0", "--dir", "plc", "--autostart")
    words += ("--pyro", "127.0.0.1:1")
    assert run("serve", "--profile", str(profile), *words).status == 0
    (given,) = profiles
    assert given.serial[:2] == ("/dev/ttyS1", 57600)
    assert given.tcp.listen == ("127.0.0.1", 0)
    assert given.pyro.listen == ("127.0.0.1", 1)
    assert (given.rt.cpu, given.store.dir, given.store.autostart) == (1, "plc", True)
    profile.write_text("[serial]\nbaut = 9600\n")
    result = run("serve", "--profile", str(profile), "--port", "/dev/ttyS1")
    assert result.status == 2
    assert "baut" in result.err


def python(*words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )


# The options of `line` come from its dataclasses, and it never runs on a board.
@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "line"])
def test_help_needs_no_heavy_library(name: str) -> None:
    code = f"import sys, serial_runtime.cli as c; c.main([{name!r}, '--help']); print(*sys.modules)"
    modules = set(python("-S", "-c", code).stdout.splitlines()[-1].split())
    assert "argparse" in modules
    assert not {"erpc", "serial", "dataclasses", "crcmod", "json"} & modules


def test_serve_help_imports_argparse_and_little_else() -> None:
    code = (
        "import sys, serial_runtime.cli as c; before = set(sys.modules); "
        "c.main(['serve', '--help']); print(*sorted(set(sys.modules) - before))"
    )
    new = set(python("-S", "-c", code).stdout.splitlines()[-1].split())
    assert "argparse" in new
    assert not {"serial", "erpc", "dataclasses", "typing", "shutil", "subprocess", "socket"} & new
    ours = {name for name in new if name.startswith("serial_runtime")}
    assert ours == {
        "serial_runtime.cli.command",
        "serial_runtime.cli.formatter",
        "serial_runtime.cli.serve",
        "serial_runtime.errors",
    }


def test_a_reader_that_has_enough_is_no_error() -> None:
    code = (
        "import os, sys; read, write = os.pipe(); os.close(read); os.dup2(write, 1); "
        "from serial_runtime.cli import main; sys.exit(main(['build', '--help']))"
    )
    done = python("-c", code)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--port", "/dev/ttyS1", "--baud", "9600", "--dir", "d"],
        ["--tcp", "127.0.0.1:0", "--autostart", "--temporary", "--profile", "p.toml"],
        ["--io", "sim:a", "--io", "sim:b"],
    ],
)
def test_serve_takes_plain_words_as_argparse_does(words: list[str]) -> None:
    quick = SERVE.quick(words)
    assert quick is not None
    assert vars(quick) == vars(SERVE.parser("serve").parse_intermixed_args(words))


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--port",
        "--port=x",
        "x",
        "--baud 1e3",
        "--baud -1",
        "--prot x",
        "--dir --tcp",
        "-h",
    ],
)
def test_serve_leaves_the_rest_to_argparse(words: str) -> None:
    assert SERVE.quick(words.split()) is None
