# SPDX-License-Identifier: MIT
"""Faults around the program: docs/faults.md states what is expected of each, and where the others
are tested. The runtime is the whole of it, in a process of its own."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rt_runtime import Runtime, counter

from serial_runtime.board_plant import Plant
from serial_runtime.errors import SerialRuntimeError
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status

# The fixtures of conftest.py.
ImageMaker = Callable[..., str]
Until = Callable[..., None]

YEAR_S = 31_557_600
NAME = f"faults-{os.getpid()}"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """``started(image, **environment)``: a runtime whose program runs."""
    made: list[Runtime] = []

    def start(path: str, **environment: str) -> Runtime:
        runtime = Runtime(tmp_path / "plc", NAME, **environment)
        made.append(runtime)
        with connect(runtime.uri) as client:
            client.download(Path(path).read_bytes())
            client.start()
        return runtime

    yield start
    for runtime in made:
        runtime.process.kill()
        runtime.process.communicate()
    Path(f"/dev/shm/serial-runtime.{NAME}").unlink(missing_ok=True)


def test_a_fault_that_leaves_the_loaders_lock_behind(
    started: Callable[..., Runtime], image: ImageMaker, tmp_path: Path, until: Until
) -> None:
    """The outputs are safe at once; the worker is stuck and gives no sign of life, so the service
    manager, which this test plays, ends the process; the next one knows of a crash."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    library = image("steady", "CONSTRUCTOR=__builtin_trap()")
    program = image("crash", "KIND=loader", "UNTIL_SEEN", f'LIBRARY="{library}"')
    watchdog = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    process = started(program, **watchdog).process
    plant = Plant(NAME)
    until(lambda: plant.read_outputs(0, 1)[0] == 1)
    plant.write_inputs(0, b"\1")
    until(lambda: plant.read_outputs(0, 1)[0] == 0)
    while select.select((manager,), (), (), 1.0)[0]:
        assert process.poll() is None
        manager.recv(4096)
    process.send_signal(signal.SIGABRT)
    assert process.wait(60) == -signal.SIGABRT
    until(lambda: not plant.board_open)  # the guard has left
    manager.close()
    plant.close()
    again = Runtime(tmp_path / "plc", NAME)
    with connect(again.uri) as client:
        assert client.supervision().crashes == 1
    again.process.terminate()
    again.process.communicate(timeout=60)


def test_the_wall_clock_is_set(
    started: Callable[..., Runtime], image: ImageMaker, tmp_path: Path, until: Until
) -> None:
    step = tmp_path / "step"
    step.write_bytes(bytes(8))
    clock = image("stepped_clock")
    runtime = started(image("steady"), LD_PRELOAD=clock, STEPPED_CLOCK=str(step))
    with connect(runtime.uri) as client, connect(runtime.uri) as other:
        with client.trace(["COUNTER"], every=1, poll_s=0.01) as trace:
            samples = iter(trace)
            for years in (0, 10, -10):
                with open(step, "r+b", buffering=0) as file:
                    file.write(struct.pack("<q", years * YEAR_S))
                begin = counter(other)
                while struct.unpack("<I", next(samples).values)[0] < begin + 500:
                    pass
        assert other.status().status == Status.Started
        figures = client.statistics()
        assert figures.skipped < 100_000, "a step taken for time would be 10**12 periods"
        client.stop()
        stamps = [line.sec for line in client.log()]
        assert max(stamps) - min(stamps) > 5 * YEAR_S  # the clock was set, as far as it counts


@contextmanager
def no_more_memory(pid: int) -> Iterator[None]:
    """Not a byte of address space more than it has."""
    status = Path(f"/proc/{pid}/status").read_text()
    now = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize"))
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (now * 1024, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


def test_there_is_no_more_memory(
    started: Callable[..., Runtime], image: ImageMaker, until: Until
) -> None:
    """Calls may be refused for it; the cycle goes on, and so does the runtime afterwards."""
    program = image("steady")
    runtime = started(program)
    names = [f"V{number}" for number in range(10, 90)]
    with connect(runtime.uri) as client:
        until(lambda: counter(client) > 100)
        begin, before = counter(client), runtime.faults()
        with no_more_memory(runtime.process.pid):
            answered = sum(
                answers(call)
                for _ in range(50)
                for call in (client.status, client.statistics, lambda: client.read(names))
            )
            until(lambda: counter(client) > begin + 1000)
        assert answered > 100
        assert runtime.faults() == before
    with connect(runtime.uri) as client:
        assert client.status().status == Status.Started
        client.download(Path(program).read_bytes())
        client.start()


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except SerialRuntimeError:
        return False
    return True


PROCESS_MADVISE, MADV_PAGEOUT = 440, 21


class Span(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t))


def page_out(pid: int, words: str) -> list[int]:
    """Ask the kernel to take the memory with `words` in its description away: the errno of each."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    results = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if words not in line or line.split()[1].startswith("---") or "[v" in line:
            continue
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        span = Span(start, end - start)
        ctypes.set_errno(0)
        libc.syscall(PROCESS_MADVISE, process, ctypes.byref(span), 1, MADV_PAGEOUT, 0)
        results.append(ctypes.get_errno())
    os.close(process)
    return results


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_kernel_wants_memory_back(
    started: Callable[..., Runtime], image: ImageMaker, until: Until
) -> None:
    runtime = started(image("steady"))
    with connect(runtime.uri) as client:
        until(lambda: counter(client) > 100)
        begin, before = counter(client), runtime.faults()
        (guard,) = children(runtime.process.pid)
        control = page_out(guard, "[heap]")
        if set(control) & {errno.EPERM, errno.ENOSYS}:
            pytest.skip("no process_madvise here, or not for this user")
        assert control == [0], "what is not locked can be taken"
        everything = page_out(runtime.process.pid, "")
        assert len(everything) > 50
        for own in ("/run/", "_board."):  # the program, and the shim
            taken = page_out(runtime.process.pid, own)
            assert taken
            assert set(taken) == {errno.EINVAL}, "locked"
        until(lambda: counter(client) > begin + 1000)
        assert runtime.faults() == before


def test_every_processor_is_busy(
    started: Callable[..., Runtime], image: ImageMaker, until: Until
) -> None:
    runtime = started(image("steady"))
    command = [sys.executable, "-S", "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        with connect(runtime.uri) as client:
            begin, before = counter(client), runtime.faults()
            until(lambda: counter(client) > begin + 8000)
            assert client.status().status == Status.Started
            assert runtime.faults() == before
    finally:
        for process in busy:
            process.kill()
            process.wait()
