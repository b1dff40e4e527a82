# SPDX-License-Identifier: MIT
"""A defined load: child processes that keep processors, memory, disk and kernel busy.

Each child is this module, run with the name of its kind; it ends when its standard input does, so
none outlives who started it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time

from serial_runtime.errors import SerialRuntimeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KINDS = {
    "cpu": "arithmetic, one process for each processor",
    "memory": "copies of 32 MB, more than caches hold",
    "disk": "a file of 4 MB, written and synchronised again and again",
    "syscalls": "pipes, files, new processes",
}
_READY_S = 30.0
_MEMORY_BYTES = 32 << 20
_FILE_BYTES = 4 << 20
_BURST_S = 0.02  # between two looks at standard input


class LoadError(SerialRuntimeError):
    """A part of the load could not be started, or ended by itself."""


class Load:
    """The children of some kinds; a context."""

    def __init__(self, kinds: Sequence[str], folder: str = "") -> None:
        """`folder` is where "disk" writes; "": where temporary files are."""
        self._folder = folder or tempfile.gettempdir()
        self.processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.kinds = list(kinds)

    def __enter__(self) -> Load:
        try:
            for kind in self.kinds:
                for _ in range((os.cpu_count() or 1) if kind == "cpu" else 1):
                    self._start(kind)
            end_s = time.monotonic() + _READY_S
            for kind, process in self.processes:
                assert process.stdout is not None
                ready, _, _ = select.select([process.stdout], [], [], end_s - time.monotonic())
                if not ready or not process.stdout.readline():
                    raise LoadError(f"the load {kind!r} did not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, kind: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, kind, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.processes.append((kind, process))

    def check(self) -> None:
        """LoadError: one has ended by itself."""
        for kind, process in self.processes:
            if process.poll() is not None:
                raise LoadError(f"the load {kind!r} ended with code {process.returncode}")

    def __exit__(self, *exception: object) -> None:
        for _, process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for _, process in self.processes:
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self.processes.clear()


# ---- in the child --------------------------------------------------------------------------------


def _cpu(folder: str) -> Iterator[None]:
    value = 1.0
    while True:
        for _ in range(10_000):
            value = value * 1.0000001 % 1e9
        yield


def _memory(folder: str) -> Iterator[None]:
    a, b = bytearray(_MEMORY_BYTES), bytearray(_MEMORY_BYTES)
    while True:
        a[:] = b
        yield
        b[:] = a
        yield


def _disk(folder: str) -> Iterator[None]:
    data = os.urandom(1 << 16)
    with tempfile.TemporaryFile(dir=folder) as file:
        while True:
            file.seek(0)
            for _ in range(_FILE_BYTES // len(data)):
                file.write(data)
                yield
            file.flush()
            os.fsync(file.fileno())


def _syscalls(folder: str) -> Iterator[None]:
    while True:
        for _ in range(200):
            reader, writer = os.pipe()
            os.write(writer, b"x")
            os.read(reader, 1)
            os.close(reader)
            os.close(writer)
            os.stat("/")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        yield


_WORK: dict[str, Callable[[str], Iterator[None]]] = {
    "cpu": _cpu,
    "memory": _memory,
    "disk": _disk,
    "syscalls": _syscalls,
}


def main(kind: str, folder: str) -> None:
    """Work until standard input ends."""
    work = _WORK[kind](folder)
    next(work)
    print("ready", flush=True)
    while not select.select([0], [], [], 0)[0]:
        end_s = time.monotonic() + _BURST_S
        while time.monotonic() < end_s:
            next(work)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
