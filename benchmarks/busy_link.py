# SPDX-License-Identifier: MIT
"""Wakeup latency while the rest of the runtime has as much to do as it can.

A daemon runs one hundred variables at 1 ms. Clients in processes of their own flood a connection
with calls, upload programs (refused in the end, so that the present one goes on) and trace all
variables; the program's Python computes without an end. Beside the cycle run two cyclictests, the
three releases a third of a period apart: one is the reference, the other the control.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import options as command
from benchmarks.figures import show
from benchmarks.latency import show_pairs
from benchmarks.programs import build
from benchmarks.rig import daemon
from benchmarks.side_by_side import (
    BEGIN_S,
    CPU,
    PRIORITY,
    Cyclictest,
    Latencies,
    Pair,
    missing,
    subject_us,
)
from serial_runtime.errors import ImageError
from serial_runtime.rpc.client import Client, connect

PERIOD_US = 1000
TARGET = 1.1
UPLOAD_BYTES = 1 << 20
PROFILE = f"""
[rt]
priority = {PRIORITY}
cpu = {CPU}
[python]
enabled = true
"""
BURN = """
import threading

def burn():
    while True:
        sum(range(10_000))

threading.Thread(target=burn, daemon=True).start()
"""


def flood(client: Client) -> int:
    for _ in range(200):
        client.read(["V0"])
    return 200


def upload(client: Client) -> int:
    with contextlib.suppress(ImageError):
        client.download(b"\x7fELF" + os.urandom(UPLOAD_BYTES))
    return UPLOAD_BYTES


def trace(client: Client) -> int:
    count = 0
    with client.trace([f"V{index}" for index in range(100)]) as samples:
        for _ in range(50):
            count += len(samples.poll())
    return count


BURDENS: dict[str, Callable[[Client], int]] = {
    "calls": flood,
    "bytes uploaded": upload,
    "samples traced": trace,
}


def burden(kind: str, uri: str) -> None:
    """A client's process: until its parent ends it; a line for all that was done so far."""
    done = 0
    while True:
        with connect(uri) as client:  # its end frees what was uploaded in vain
            done += BURDENS[kind](client)
        print(done, flush=True)


@contextlib.contextmanager
def burdens(uri: str) -> Iterator[dict[str, list[int]]]:
    """All clients at work; afterwards what each of them has done."""
    done: dict[str, list[int]] = {}
    with contextlib.ExitStack() as stack:
        processes = {}
        for kind in BURDENS:
            words = [sys.executable, "-m", "benchmarks.busy_link", kind, uri]
            file = stack.enter_context(tempfile.TemporaryFile("w+"))
            process = subprocess.Popen(words, stdout=file)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes[kind] = (process, file)
        yield done
        for kind, (process, file) in processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"the client for {kind} ended early")
            file.seek(0)
            done[kind] = [int(line) for line in file.read().split("\n")[:-1]]


def one_run(client: Client, seconds: float, folder: Path) -> tuple[Pair, Pair]:
    """The cycle and the control, each with the reference."""
    offsets = [subject_us(PERIOD_US) + PERIOD_US * third // 3 for third in (1, 2)]
    beside = [Cyclictest(PERIOD_US, offset, seconds, folder / str(offset)) for offset in offsets]
    time.sleep(BEGIN_S)
    client.statistics(reset=True)
    time.sleep(seconds)
    figures = client.statistics()
    cycle = Latencies(
        tuple(figures.wakeup.bins),
        figures.wakeup.overflow,
        figures.wakeup.max_ns / 1000,
        figures.overruns,
    )
    reference, control = (one.result() for one in beside)
    return Pair(cycle, reference), Pair(control, reference)


def run(options: Sequence[str] = ()) -> None:
    wanted = command.parse("busy_link", options, runs=20, seconds=8.0)
    print(f"Wakeup latency at {PERIOD_US} us under link load, {wanted.runs} runs of"
          f" {wanted.seconds:g} s")  # fmt: skip
    if missing():
        show("skipped", missing())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = folder / "profile.toml"
        profile.write_text(PROFILE)
        image = build("hundred", folder).read_bytes()
        with (
            daemon(folder / "store", "--tcp", "127.0.0.1:0", "--profile", str(profile)) as board,
            connect(board.uris[0]) as client,
        ):
            client.download(image, extra_files=[("runtime_burn.py", BURN.encode())])
            client.start()
            began = time.monotonic()
            with burdens(board.uris[0]) as done:
                pairs = [one_run(client, wanted.seconds, folder) for _ in range(wanted.runs)]
                took_s = time.monotonic() - began
    for kind, counts in done.items():
        show(f"load: {kind}", f"{counts[-1] / took_s if counts else 0:.0f}/s")
    subjects, controls = zip(*pairs, strict=True)
    show_pairs("scan cycle / cyclictest", subjects, TARGET)
    show_pairs("cyclictest / cyclictest (control)", controls, "")


if __name__ == "__main__":
    burden(*sys.argv[1:])
