# SPDX-License-Identifier: MIT
"""What the service manager is told, with a socket of ours in its place."""

from __future__ import annotations

import itertools
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status
from serial_runtime.service_manager import ServiceManager
from serial_runtime.worker import Worker

ROOT = Path(__file__).resolve().parents[1]
CRASH = ROOT / "tests" / "board" / "images" / "crash.c"


class Manager:
    """Takes what it is told, a datagram at a time."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.settimeout(60)
        self.environment = {"NOTIFY_SOCKET": address}

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def wait_for(self, key: str, value: str = "") -> str:
        while True:
            found = self.next().get(key)
            if found is not None and value in found:
                return found

    def said_nothing(self) -> bool:
        """Takes one datagram if there is one."""
        if not select.select((self.socket,), (), (), 0)[0]:
            return True
        self.socket.recv(4096)
        return False


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = str(tmp_path / "notify") if request.param == "file" else f"@plc-test-{os.getpid()}"
    made = Manager(path)
    yield made
    made.socket.close()


def test_says_what_sd_notify_has_words_for(manager: Manager) -> None:
    service = ServiceManager(manager.environment)
    service.ready()
    assert manager.next() == {"READY": "1"}
    service.alive("Started:\nTANK")
    service.alive("Started:\nTANK")
    service.alive("Broken")
    assert [manager.next(), manager.next()] == [
        {"STATUS": "Started: TANK"},
        {"STATUS": "Broken"},
    ]
    service.reloading()
    told = manager.next()
    assert told["RELOADING"] == "1"
    assert told["MONOTONIC_USEC"].isdigit()
    service.stopping()
    assert manager.next()["STOPPING"] == "1"
    assert manager.said_nothing()


@pytest.mark.parametrize(
    ("limit", "process", "signs"),
    [
        ("2000000", "", 4),
        ("2000000", "self", 4),
        ("2000000", "1", 0),
        ("", "", 0),
        ("many", "", 0),
    ],
)
def test_signs_of_life_are_four_in_the_time_allowed(
    tmp_path: Path, limit: str, process: str, signs: int
) -> None:
    manager = Manager(str(tmp_path / "notify"))
    watchdog = {"WATCHDOG_USEC": limit, "WATCHDOG_PID": process.replace("self", str(os.getpid()))}
    now_s = [100.0]
    service = ServiceManager({**manager.environment, **watchdog}, lambda: now_s[0])
    for _ in range(20):
        service.alive("")
        now_s[0] += 0.1
    told = []
    while len(told) < signs:
        told.append(manager.next())
    assert told == [{"WATCHDOG": "1"}] * signs
    assert manager.said_nothing()
    manager.socket.close()


def test_signs_come_between_the_jobs_of_the_worker(tmp_path: Path) -> None:
    """So a worker that is stuck in one gives none, however long that takes."""
    manager = Manager(str(tmp_path / "notify"))
    seconds = itertools.count()
    watchdog = {"WATCHDOG_USEC": "1000000"}
    service = ServiceManager({**manager.environment, **watchdog}, lambda: float(next(seconds)))
    worker = Worker()

    def long_job() -> bool:
        while not manager.said_nothing():
            pass
        for _ in range(1000):
            next(seconds)
        return manager.said_nothing()

    thread = threading.Thread(
        target=worker.run,
        kwargs={"housekeeping": lambda: service.alive(""), "every_s": 0.001},
    )
    thread.start()
    assert manager.next() == {"WATCHDOG": "1"}
    assert worker.call(long_job)
    assert manager.next() == {"WATCHDOG": "1"}
    worker.stop()
    thread.join()
    manager.socket.close()


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"}):
        service = ServiceManager(environment)
        service.ready()
        service.alive("x")
        service.stopping()


def test_a_manager_that_reads_nothing_holds_nothing_up(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    service = ServiceManager(manager.environment)
    for number in range(2000):
        service.alive(str(number))
    manager.socket.close()


def test_the_life_of_the_runtime(manager: Manager, tmp_path: Path) -> None:
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()])
    serve = ("serve", "--tcp", "127.0.0.1:0", "--dir", str(tmp_path / "plc"))
    process = subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *serve],
        env={**os.environ, **manager.environment, "WATCHDOG_USEC": "1000000"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        uri = process.stdout.readline().split()[1]
        assert manager.next() == {"READY": "1"}
        manager.wait_for("WATCHDOG")
        manager.wait_for("STATUS", "Empty")
        with connect(uri) as client:
            client.download((tmp_path / "crash.so").read_bytes())
            client.start()
            while client.status().status != Status.Broken:
                pass
            manager.wait_for("STATUS", "Broken: crash")
            client.repair()
            manager.wait_for("RELOADING")
            assert manager.wait_for("READY") == "1"  # the same process number
            manager.wait_for("WATCHDOG")
        process.terminate()
        manager.wait_for("STOPPING")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


UNIT = ROOT / "board" / "packaging" / "debian" / "serial-runtime.service"


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text().replace("/usr/bin/serial-runtime", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / UNIT.name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    mine = [line for line in done.stdout.splitlines() if UNIT.name in line]
    assert mine == []
    assert "Type=notify" in text


def test_safe_mode_comes_before_systemd_gives_up() -> None:
    from serial_runtime.config import Profile

    lines = [line.partition("=") for line in UNIT.read_text().splitlines() if "=" in line]
    unit = {key: value for key, _, value in lines}
    assert int(unit["StartLimitBurst"]) > Profile().supervision.crash_limit + 1
    assert int(unit["WatchdogSec"]) > Profile().python.init_timeout_s
