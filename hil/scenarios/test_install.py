# SPDX-License-Identifier: MIT
"""docs/install.md, word by word: all its commands, on a blank emulated board and on this host."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board.packaging import deb, wheels
from hil.boards.blank import BlankBoard
from hil.boards.folders import ROOT
from hil.boards.programs import image_of
from hil.boards.terminal import Terminal
from hil.image.build import build
from hil.image.machine import VIRT_ARM64
from hil.manual import Step, steps
from hil.soak.processes import Line
from serial_runtime import __version__
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

pytestmark = [
    pytest.mark.full,
    pytest.mark.requirement("REQ-INSTALL-1"),
    pytest.mark.timeout(1500),
]

MANUAL = ROOT / "docs" / "install.md"
RETAIN = ROOT / "tests" / "board" / "images" / "retain.c"
BAUD = 1_000_000  # of the emulated line: as at 115200, in less time
HIGHER = "0.2.0"
# What the example has, and this board has instead.
INSTEAD = {
    "raspberry-pi-4": VIRT_ARM64.name,
    "ttyAMA0": VIRT_ARM64.line.removeprefix("/dev/"),
    "115200": str(BAUD),
}
PATIENCE_S = 300.0


class Run:
    """The reader of the manual: at the host, and at the board through the shell there is."""

    def __init__(self, folder: Path) -> None:
        self.board = BlankBoard(VIRT_ARM64, folder)
        self._folder = folder
        # A home and a shell of the reader's own.
        home = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=home,
        )
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self.host = Terminal(self._bash.stdout.fileno(), self._bash.stdin.fileno())
        self.host.log_in(30)
        self._steps = steps(MANUAL)
        self._line: Line | None = None
        self.host_end = ""
        self.shell: Terminal | None = None

    def connect(self) -> None:
        """Put the line's host end in."""
        self._line = Line(self._folder, BAUD, 0, "--board", f"unix:{self.board.line_socket}")
        self.host_end = self._line.host_end

    def disconnect(self) -> None:
        if self._line is not None:
            self._line.kill()
            self._line = None

    def section(self, name: str, limit: int = 100) -> list[str]:
        """Do what the next section, which has this name, says; what each command printed.

        `limit`: not more than so many commands of it.
        """
        said: list[str] = []
        while self._steps and self._steps[0].section == name and len(said) < limit:
            said.append(self._do(self._steps.pop(0)))
        assert said, f"the manual has no section {name!r} at this place"
        return said

    def end(self) -> None:
        """All was read."""
        assert self._steps == []

    def close(self) -> None:
        self.board.close()
        self.disconnect()
        self._bash.kill()
        self._bash.communicate()

    def _do(self, step: Step) -> str:
        command = step.command
        for example, ours in INSTEAD.items():
            command = command.replace(example, ours)
        if step.where == "host":
            said = self.host.run(command.replace("/dev/ttyUSB0", self.host_end), PATIENCE_S)
            if command.startswith("printf"):  # the end of what the board receives
                assert self.shell is not None
                self.shell.finish()
            return said
        assert step.where == "board"
        assert self.shell is not None
        if "base64 -d" in command:
            self.shell.begin(command)
            return ""
        if command == "reboot":
            self.shell.begin(command)
            return ""
        return self.shell.run(command, PATIENCE_S)


@pytest.fixture
def run(env: Any) -> Iterator[Run]:
    """Beside the board of the environment, which needs no power for this."""
    if Path(env.config_file).stem != VIRT_ARM64.name:
        pytest.skip("the manual is followed on virt-arm64")
    build(VIRT_ARM64, bare=True)
    with tempfile.TemporaryDirectory(prefix="blank-") as folder:
        reader = Run(Path(folder))
        yield reader
        reader.close()


def test_the_manual(run: Run, tmp_path: Path) -> None:
    run.section("The package")
    wheel = wheels.build(wheels.TARGETS["arm64"], tmp_path)
    higher = deb.build(wheels.TARGETS["arm64"], wheel, tmp_path, HIGHER)
    run.board.power_on()
    # As its maker sends it: with a login on its line.
    console = run.board.console
    console.run(f"systemctl enable --now serial-getty@{INSTEAD['ttyAMA0']}")
    run.connect()
    wire = os.open(run.host_end, os.O_RDWR | os.O_NOCTTY)
    run.shell = Terminal(wire, wire)
    run.shell.log_in(60)
    sums = re.findall(r"\b[0-9a-f]{64}\b", "".join(run.section("To the board")))
    assert len(sums) == 2
    assert sums[0] == sums[1]

    _, service, status = run.section("Install")
    assert "active (running)" in service
    assert re.search("^state +Empty$", status, re.MULTILINE)
    profiles, *_ = run.section("The profile")
    assert VIRT_ARM64.name in profiles
    run.section("The line is the PLC's")
    run.board.wait_for_end()
    os.close(wire)
    run.disconnect()

    run.board.power_on(stick=higher)
    console = run.shell = run.board.console
    run.connect()
    wait_for_runtime(console)
    _, status, _, loaded, watched = run.section("A program")
    assert re.search("^schedule +real time: SCHED_FIFO", status, re.MULTILINE)
    assert loaded.splitlines()[-1] == "started"
    header, *samples = watched.splitlines()
    assert header.split() == ["tick", "TANK.LEVEL", "TANK.STATE"]
    assert len(samples) == 3
    assert console.run("ps -o user:20= -p $(systemctl show --value -p MainPID serial-runtime)") == (
        "serial-runtime\n"
    )
    assert console.run("journalctl -b -p warning -q -u serial-runtime") == ""

    uri = f"ERPC://{run.host_end}:{BAUD}"
    with connect(uri) as client:
        own = client.capabilities().id
        client.stop()
        client.download(image_of(RETAIN, VIRT_ARM64.target).data)
        client.start()
        while (count := value(client, "COUNT")) < 2000:
            pass
    console.run(f"head -c {higher.stat().st_size} /dev/vdb > /tmp/{higher.name}")
    assert installed(console) == __version__
    profile = console.run("cat /etc/serial-runtime/profile.toml")
    run.section("An upgrade")
    wait_for_runtime(console)
    assert installed(console) == HIGHER
    assert console.run("cat /etc/serial-runtime/profile.toml") == profile
    with connect(uri) as client:
        assert client.capabilities().id == own
        assert client.status().status == Status.Started
        assert value(client, "SEEN") >= count

    run.section("The way back", 1)
    assert left_over(console) == ["/etc", "/var/lib"]
    run.section("The way back")
    assert left_over(console) == []
    run.end()


def value(client: Client, name: str) -> int:
    return int.from_bytes(client.read([name]).values, "little")


def installed(console: Terminal) -> str:
    return console.run("dpkg-query -W -f '${Version}' serial-runtime").strip()


def left_over(console: Terminal) -> list[str]:
    """Folders that have one of ours."""
    command = "for f in /etc /usr/lib /var/lib; do test ! -e $f/serial-runtime || echo $f; done"
    return console.run(command).split()


def wait_for_runtime(console: Terminal) -> None:
    console.run(
        "timeout 120 sh -c 'until systemctl is-active -q serial-runtime; do sleep 0.2; done'"
    )
