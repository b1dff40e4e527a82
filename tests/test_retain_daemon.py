# SPDX-License-Identifier: MIT
"""Retained values of a runtime that is killed, as a whole process and over the link."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import StateError
from serial_runtime.rpc.client import Client, connect

PROGRAM = Path(__file__).parent / "board" / "images" / "retain.c"
PROFILE = """
[tcp]
listen = "127.0.0.1:0"
[store]
dir = "{folder}/plc"
autostart = true
[rt]
priority = 0
cpu_latency_us = -1
[retain]
dir = "{folder}/kept"
interval_s = 1
"""
Start = Callable[[], tuple[subprocess.Popen[str], Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "board.toml").write_text(PROFILE.format(folder=tmp_path))
    started: list[tuple[subprocess.Popen[str], Client]] = []

    def start() -> tuple[subprocess.Popen[str], Client]:
        process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", "serve", "--profile", "board.toml"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        started.append((process, connect(process.stdout.readline().split()[1])))
        return started[-1]

    yield start
    for process, client in started:
        client.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def number(client: Client, name: str) -> int:
    return int(struct.unpack("<I", client.read([name]).values)[0])


def kept(client: Client) -> int:
    values = {one.path: one.value for one in client.retained()[1]}
    return int(struct.unpack("<I", values["COUNT"])[0])


def test_killed_at_any_moment_it_goes_on_with_what_was_written(
    tmp_path: Path, serve: Start, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    image = build([PROGRAM], tmp_path / "retain.so", include_dirs=[get_include()]).image
    process, client = serve()
    client.download(image.read_bytes())
    client.start()
    wait_for(lambda: number(client, "CYCLES") > 0)
    assert number(client, "SEEN") == 1100  # the initial value, and what init adds
    wait_for(lambda: client.retain_status().writes > 0)
    written = kept(client)
    assert written > 1100
    process.send_signal(signal.SIGKILL)
    process.wait()

    process, client = serve()  # starts by itself
    wait_for(lambda: number(client, "CYCLES") > 0)
    assert number(client, "SEEN") >= written
    with pytest.raises(StateError, match="stop it first"):
        client.clear_retained()
    client.stop()
    last = kept(client)
    assert client.retain_status().kept == 5
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0

    process, client = serve()
    wait_for(lambda: number(client, "CYCLES") > 0)
    assert number(client, "SEEN") == last
    client.stop()
    client.start(cold=True)
    wait_for(lambda: number(client, "CYCLES") > 0)
    assert number(client, "SEEN") == 1100
    client.stop()
    client.clear_retained()
    assert client.retained()[1] == []


def test_a_crash_of_the_program_costs_the_last_moments(
    tmp_path: Path, serve: Start, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    image = build([PROGRAM], tmp_path / "retain.so", include_dirs=[get_include()]).image
    _, client = serve()
    client.download(image.read_bytes())
    client.start()
    wait_for(lambda: client.retain_status().writes > 0)
    written = kept(client)
    client.force({"CRASH_AT": struct.pack("<i", 1)})  # after it has set COUNT to 0
    wait_for(lambda: client.board_status().fault)
    client.start()  # the runtime executes itself again
    wait_for(lambda: number(client, "CYCLES") > 0)
    assert number(client, "SEEN") >= written
