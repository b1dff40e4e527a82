# SPDX-License-Identifier: MIT
"""What the real-time threads ask of the kernel while everything else of the runtime is at work:
10 000 cycles under a tracer of system calls, and 10 000 with an eye on page faults. Each is shown
to see what it looks for.

The runtime is the whole of it, in a process of its own, with simulated I/O and so with a guard.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rt_runtime import Runtime, counter

from serial_runtime.errors import SerialRuntimeError
from serial_runtime.rpc.client import Client, connect

# The fixtures of conftest.py.
ImageMaker = Callable[..., str]
Until = Callable[..., None]

CYCLES = 10_000
# The wait; and how a wait goes on after the tracer has stopped the thread.
EXPECTED = {"clock_nanosleep", "restart_syscall"}
READ_WITHOUT_A_CALL = ("tsc", "arch_sys_counter", "kvm-clock")
CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
A_CALL, A_PAGE = 1, 2  # orders to tests/board/images/steady.c


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path / "plc", f"rt-{os.getpid()}")
    yield made
    made.process.terminate()
    made.process.communicate(timeout=60)


class Work:
    """What clients have the runtime do, over and over, until it is enough."""

    def __init__(self, uri: str, refused: bytes) -> None:
        self._uri = uri
        self._refused = refused
        self._enough = threading.Event()
        self.done: Counter[str] = Counter()

    def _trace(self, client: Client) -> None:
        names = ["SLOW", *(f"V{n}" for n in range(10, 90))]
        with client.trace(names, every=1, poll_s=0.01) as trace:
            for _ in trace:
                self.done["samples"] += 1
                if self._enough.is_set():
                    return

    def _force(self, client: Client) -> None:
        for number in range(10, 30):
            client.force({f"V{number}": struct.pack("<i", number)})
        client.unforce()
        self.done["forces"] += 1

    def _figures(self, client: Client) -> None:
        client.statistics(reset=True)
        client.task_figures(bins=True)
        client.read([f"V{n}" for n in range(10, 90)])
        self.done["figures"] += 1

    def _upload(self, client: Client) -> None:
        """A whole upload, decoded, verified and loaded on trial in a child process."""
        with pytest.raises(SerialRuntimeError, match="crashes while it is loaded"):
            client.download(self._refused)
        self.done["uploads"] += 1

    def _repeat(self, step: Callable[[Client], None]) -> None:
        with connect(self._uri) as client:
            while not self._enough.is_set():
                step(client)

    @contextmanager
    def going_on(self, until: Until) -> Iterator[None]:
        steps = (self._trace, self._force, self._figures, self._upload)
        threads = [threading.Thread(target=self._repeat, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        try:
            yield
            until(lambda: len(self.done) == 4)
        finally:
            self._enough.set()
            for thread in threads:
                thread.join()


@pytest.fixture
def work(runtime: Runtime, image: ImageMaker, until: Until) -> Work:
    with connect(runtime.uri) as client:
        client.download(Path(image("steady")).read_bytes())
        client.start()
        until(lambda: counter(client) > 100)
    return Work(runtime.uri, Path(image("steady", "CONSTRUCTOR=abort()")).read_bytes())


def test_no_page_fault(runtime: Runtime, work: Work, until: Until) -> None:
    with connect(runtime.uri) as client:
        begin, before = counter(client), runtime.faults()
        assert set(before) == {"plc-scan", "plc-task-2", "plc-watchdog"}
        with work.going_on(until):
            until(lambda: counter(client) > begin + CYCLES)
        assert runtime.faults() == before, work.done
        assert int.from_bytes(client.read(["SLOW"]).values, "little") > begin  # it did run
        client.force({"ORDER": struct.pack("<I", A_PAGE)})
        begin = counter(client)
        until(lambda: counter(client) > begin + 100)
        assert runtime.faults()["plc-scan"][0] > before["plc-scan"][0] + 50


class Tracer:
    """strace at all threads of real time; which calls they made."""

    def __init__(self, runtime: Runtime, to: Path) -> None:
        self._to = to
        numbers = [f"--attach={number}" for number in runtime.threads().values()]
        command = ["strace", f"--output={to}", *numbers]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def ended_by_itself(self) -> bool:
        return self._process.poll() is not None

    def calls(self) -> Counter[str]:
        """So far. A line: the thread, the call's name, a bracket; signals begin with a dash."""
        text = self._to.read_text(errors="replace") if self._to.exists() else ""
        found = Counter(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))
        found.update(re.findall(r"^\d+ +(--- SIG\w+)", text, re.MULTILINE))
        return found

    def end(self) -> str:
        """What it said."""
        self._process.send_signal(signal.SIGINT)
        return self._process.communicate(timeout=60)[1]


def test_no_system_call_but_the_wait(
    runtime: Runtime, work: Work, tmp_path: Path, until: Until
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if CLOCK.exists() and CLOCK.read_text().strip() not in READ_WITHOUT_A_CALL:
        pytest.skip("this machine's clock is read by a system call")
    with connect(runtime.uri) as client:
        backend = client.capabilities().backend
    if backend != "posix":
        pytest.skip(f"how {backend} waits is its own affair, and no tracer sees Cobalt's calls")
    tracer = Tracer(runtime, tmp_path / "calls")
    try:
        until(lambda: tracer.calls() or tracer.ended_by_itself())
        if tracer.ended_by_itself():
            pytest.skip(f"this user may not trace: {tracer.end()}")
        with work.going_on(until):
            until(lambda: tracer.calls()["clock_nanosleep"] > CYCLES)
        assert set(tracer.calls()) <= EXPECTED, work.done
        with connect(runtime.uri) as client:
            client.force({"ORDER": struct.pack("<I", A_CALL)})
            until(lambda: tracer.calls()["getppid"] > 100)
    finally:
        tracer.end()
