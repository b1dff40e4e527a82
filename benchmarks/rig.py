# SPDX-License-Identifier: MIT
"""A runtime and a serial line, each its own process, as a user has them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def cpu_seconds(pid: int) -> float:
    """CPU time the threads of a process have used so far, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no resident set")


class Cable(NamedTuple):
    """A virtual serial cable in a process of its own (`serial-runtime line`)."""

    board_end: str
    host_end: str
    process: subprocess.Popen[str]

    def tell(self, command: str) -> str:
        """One of its commands; the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(command, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        if answer.startswith("error"):
            raise ValueError(f"{command}: {answer}")
        return answer


@contextlib.contextmanager
def line(folder: Path, baud: int | None = None, *options: str) -> Iterator[Cable]:
    """A virtual serial cable with faults and delays as `options` say."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "serial_runtime.line", "--dir", str(folder)]
    command += ["--baud", str(baud or 0), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ends = []
        for text in process.stdout:
            if text.startswith("READY"):
                break
            ends.append(text.strip())
        yield Cable(ends[0], ends[1], process)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def cable(folder: Path, baud: int | None = None, *options: str) -> Iterator[tuple[str, str]]:
    """The same, if nothing is to be told to it: the paths of its board end and its host end."""
    with line(folder, baud, *options) as laid:
        yield laid.board_end, laid.host_end


class Daemon(NamedTuple):
    pid: int
    uris: list[str]


@contextlib.contextmanager
def daemon(folder: Path, *options: str) -> Iterator[Daemon]:
    """`serial-runtime serve` with these options, ready."""
    command = [sys.executable, "-m", "serial_runtime", "serve", "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("READY"):
                break
        else:
            raise RuntimeError(f"the runtime did not start: {' '.join(command)}")
        yield Daemon(process.pid, line.split()[1:])
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def runtime(port: str, folder: Path, *options: str) -> Iterator[int]:
    """The same on the serial line `port`; its process id."""
    with daemon(folder, "--port", port, *options) as started:
        yield started.pid
