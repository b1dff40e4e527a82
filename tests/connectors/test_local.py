# SPDX-License-Identifier: MIT
"""LOCAL://: a runtime that comes and goes with its client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import LinkError, SerialRuntimeError
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status
from serial_runtime.transport import connect as open_transport

CRASH = Path(__file__).parents[1] / "board" / "images" / "crash.c"
CLIENT = """
import sys, time
from serial_runtime.rpc.client import connect
client = connect("LOCAL://")
print("READY", flush=True)
time.sleep(1000)
"""
Waiter = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runtimes keep their programs."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def running(folder: Path) -> list[int]:
    """The runtimes that keep their programs there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--temporary" in words and any(os.fsencode(folder) in word for word in words):
                found.append(int(entry.name))
    return found


def test_comes_and_goes_with_its_client(folder: Path) -> None:
    with connect("LOCAL://") as client:
        assert client.status().status == Status.Empty
        assert len(running(folder)) == 1
        assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o700]
    assert not running(folder)
    assert not list(folder.iterdir())
    client.close()


def test_each_client_has_its_own(folder: Path) -> None:
    with connect("LOCAL://"), connect("local://"):
        assert len(running(folder)) == 2
    assert not running(folder)


def test_a_transport_alone(folder: Path) -> None:
    transport = open_transport("LOCAL://")
    assert len(running(folder)) == 1
    transport.close()
    assert not running(folder)
    assert not list(folder.iterdir())


def test_is_found_again_when_it_has_executed_itself_anew(folder: Path, tmp_path: Path) -> None:
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()])
    with connect("LOCAL://") as client:
        before = running(folder)
        client.download((tmp_path / "crash.so").read_bytes())
        client.start()
        while client.status().status != Status.Broken:
            pass
        client.repair()
        assert client.status().status == Status.Empty
        assert client.link.reconnects == 1
        assert running(folder) == before
    assert not running(folder)
    assert not list(folder.iterdir())


def test_ends_with_a_client_that_is_killed(folder: Path, wait_for: Waiter) -> None:
    with subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"READY\n"
        assert len(running(folder)) == 1
        client.kill()
    wait_for(lambda: not running(folder))
    wait_for(lambda: not list(folder.iterdir()))


def test_a_runtime_that_is_killed_is_told_at_once(folder: Path, wait_for: Waiter) -> None:
    with connect("LOCAL://") as client:
        (pid,) = running(folder)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(SerialRuntimeError, match="the local runtime has ended by signal 9"):
            client.status()
    assert not list(folder.iterdir())


def test_what_it_says_when_it_does_not_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'serial-runtime: error: no room for it' >&2\nexit 1\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(LinkError, match="^the local runtime does not start: no room for it$"):
        connect("LOCAL://")
    assert not list(folder.iterdir())


def test_never_removes_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    words = ("serve", "--tcp", "127.0.0.1:0", "--temporary", "--dir", str(tmp_path / "precious"))
    done = subprocess.run(
        [sys.executable, "-m", "serial_runtime", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "precious exists, and --temporary removes its folder" in done.stderr
    assert (tmp_path / "precious").exists()


def test_a_bridge_offers_it_to_an_ide(folder: Path) -> None:
    words = ("bridge", "LOCAL://", "--listen", "127.0.0.1:0")
    with subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words], stdout=subprocess.PIPE, text=True
    ) as bridge:
        try:
            assert bridge.stdout is not None
            ready = bridge.stdout.readline().split()
            with connect(ready[1]) as client:
                assert client.status().status == Status.Empty
        finally:
            bridge.terminate()
        assert bridge.wait(60) == 0
    assert not running(folder)
    assert not list(folder.iterdir())
