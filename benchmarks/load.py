# SPDX-License-Identifier: MIT
"""The stress load that figures under load are measured with: four processes for each CPU.

Arithmetic, copies of 64 MiB, system calls, and 1 MiB written to a file and synchronised; all of
normal priority, pinned, as fast as they can. `python -m benchmarks.load` runs it until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def compute(folder: Path) -> None:
    number = 1
    for _ in range(100_000):
        number = number * 1103515245 + 12345 & 0x7FFFFFFF


def copy(folder: Path) -> None:
    block = bytearray(64 << 20)
    for _ in range(20):
        block[: len(block) // 2] = block[len(block) // 2 :]


def call(folder: Path) -> None:
    reader, writer = os.pipe()
    for _ in range(10_000):
        os.write(writer, b"x")
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)


def write(folder: Path) -> None:
    with (folder / f"load-{os.getpid()}").open("wb") as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())


KINDS: dict[str, Callable[[Path], None]] = {
    "compute": compute,
    "copy": copy,
    "call": call,
    "write": write,
}


def main(kind: str, cpu: str, folder: str) -> None:
    """One of the processes; ends with the one that started it."""
    os.sched_setaffinity(0, {int(cpu)})
    print("ready", flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        KINDS[kind](Path(folder))


@contextlib.contextmanager
def stress() -> Iterator[None]:
    """The load on all CPUs that this process may use."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for cpu in sorted(os.sched_getaffinity(0)):
            for kind in KINDS:
                command = [sys.executable, "-m", "benchmarks.load", kind, str(cpu), folder]
                process = subprocess.Popen(command, stdout=subprocess.PIPE)
                stack.callback(process.wait)
                stack.callback(process.kill)
                assert process.stdout is not None
                process.stdout.readline()
                process.stdout.close()
        yield


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
    else:
        import signal

        with contextlib.suppress(KeyboardInterrupt), stress():
            signal.pause()
