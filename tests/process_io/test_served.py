# SPDX-License-Identifier: MIT
"""Process I/O of a whole runtime: a profile, a program, a Modbus slave, and what a client sees."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modbus_slave import ModbusSlave
from waiting import wait_for

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.rpc.client import Client, connect

# OUTPUT (%QW3) is INPUT (%IW1) + 1, LAMP (%QX9.1) is SWITCH (%IX9.7).
PROGRAM = Path(__file__).parents[1] / "board" / "images" / "forces.c"
PROFILE = """
[rt]
priority = 0
cpu_latency_us = -1
[tcp]
listen = "127.0.0.1:0"
[[io.gpio]]
name = "panel"
chip = "/dev/no-such-chip"
inputs = {{ "%IX0.0" = 17 }}
outputs = {{ "%QX9.1" = {{ line = 22, safe = true }} }}
[[io.modbus]]
name = "drive"
uri = "tcp://127.0.0.1:{port}"
unit = 1
poll_ms = 5
timeout_ms = 5000
quality = "%IX9.7"
[io.modbus.holding_registers]
"%IW1" = {{ address = 10, on_loss = "zero" }}
"%QW3" = {{ address = 20, safe = 99 }}
"""


class Runtime:
    def __init__(self, folder: Path, port: int, text: str = PROFILE) -> None:
        profile = folder / "board.toml"
        profile.write_text(text.format(port=port))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", "serve", "--dir", str(folder / "plc")]
            + ["--profile", str(profile)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.uri = self.process.stdout.readline().split()[1]

    def end(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)


@pytest.fixture
def slave() -> Iterator[ModbusSlave]:
    running = ModbusSlave()
    yield running
    running.stop()


@pytest.fixture
def runtime(tmp_path: Path, slave: ModbusSlave) -> Iterator[Runtime]:
    made = Runtime(tmp_path, slave.port)
    yield made
    made.end(signal.SIGKILL)


def point(client: Client, address: str) -> tuple[int, bool]:
    (found,) = [one for one in client.io_points() if one.address == address]
    return found.value, found.good


def states(client: Client) -> dict[str, str]:
    return {one.name: one.state for one in client.io_drivers()}


def test_it_serves_a_program_shows_its_points_and_ends_safe(
    runtime: Runtime, slave: ModbusSlave, tmp_path: Path
) -> None:
    build([PROGRAM], tmp_path / "image.so", include_dirs=[get_include()])
    with connect(runtime.uri) as client:
        # A chip that is not there keeps nobody from working.
        wait_for(lambda: states(client)["drive"] == "")
        assert list(states(client)) == ["none", "panel", "drive"]
        assert "/dev/no-such-chip cannot be opened: No such file" in states(client)["panel"]
        assert slave.get(1, "holding_registers", 20) == [99]  # no program runs
        client.download((tmp_path / "image.so").read_bytes())
        client.start()
        slave.set(1, "holding_registers", 10, 500)
        wait_for(lambda: slave.get(1, "holding_registers", 20) == [501])
        assert point(client, "%IW1") == (500, True)
        assert point(client, "%QW3")[1]
        assert point(client, "%IX0.0") == (0, False)
        assert client.read(["SWITCH", "INPUT"])[1] == struct.pack("<?h", True, 500)
        client.stop()
        wait_for(lambda: slave.get(1, "holding_registers", 20) == [99])
        client.start()
        wait_for(lambda: slave.get(1, "holding_registers", 20) == [501])
        slave.stop()
        wait_for(lambda: client.read(["SWITCH", "INPUT"])[1] == bytes(3))
        assert not point(client, "%IW1")[1]
        assert states(client)["drive"]
        again = ModbusSlave(port=slave.port)
        try:
            again.set(1, "holding_registers", 10, 7)
            wait_for(lambda: again.get(1, "holding_registers", 20) == [8])
            lines = [line.text for line in client.log()]
            assert any("drive, unit 1" in line for line in lines)
            assert sum("panel: /dev/no-such-chip" in line for line in lines) == 1
            runtime.end(signal.SIGTERM)
            assert again.get(1, "holding_registers", 20) == [99]
        finally:
            again.stop()
    assert runtime.process.returncode == 0


def test_a_slave_that_never_answers_holds_up_nobody(tmp_path: Path) -> None:
    build([PROGRAM], tmp_path / "image.so", include_dirs=[get_include()])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        profile = PROFILE.replace("timeout_ms = 5000", "timeout_ms = 60000")
        runtime = Runtime(tmp_path, silent.getsockname()[1], profile)
        try:
            asked = silent.accept()[0]
            with asked, connect(runtime.uri) as client:
                assert asked.recv(1)  # a request: from now on it waits for the reply, a minute
                client.download((tmp_path / "image.so").read_bytes())
                client.start()
                wait_for(lambda: client.statistics().ticks > 100)
                assert states(client)["drive"] == "not asked yet"
                client.stop()
                runtime.end(signal.SIGTERM)
            assert runtime.process.returncode == 0
        finally:
            runtime.end(signal.SIGKILL)
