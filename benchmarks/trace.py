# SPDX-License-Identifier: MIT
"""Trace of 100 DINT at 1 ms: which ticks arrive, with our client and with PyPI's.

A tick can be missing because the cycle skipped it (a busy machine; the statistics count it) or
because the link lost it (the trace counter counts it). 404 bytes a tick need 404 kB/s: an unpaced
line carries them, 921600 baud carry about a fifth.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import erpc

from benchmarks.figures import show
from benchmarks.programs import build
from benchmarks.rig import cable, cpu_seconds, runtime
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide import client as ide_client
from serial_runtime.rpc.ide import common

# Long enough for what a slow poller leaves behind to fill the board's buffer.
SECONDS = 20.0
NAMES = [f"V{index}" for index in range(100)]
# A tty always has a rate; the board caps a reply at 0.3 s of it, so an unpaced one gets a high one.
LINES = {"unpaced": (None, 4_000_000), "921600 baud": (921600, 921600)}


class Result(NamedTuple):
    ticks: list[int]
    counter: int  # ticks lost, as the board says


def ours(uri: str, poll_s: float) -> Result:
    ticks = []
    with connect(uri) as client, client.trace(NAMES, poll_s=poll_s) as trace:
        until = time.monotonic() + SECONDS
        for sample in trace:
            ticks.append(sample.tick)
            if time.monotonic() > until:
                break
        return Result(ticks, trace.lost)


def stock(host_end: str, baud: int, poll_s: float) -> Result:
    """As the IDE polls: one GetTraceVariables each time, one reply of at most 65535 bytes."""
    transport = erpc.transport.SerialTransport(host_end, baud)
    manager = erpc.client.ClientManager(transport, erpc.basic_codec.BasicCodec)
    service = ide_client.BeremizPLCObjectServiceClient(manager)
    token, traces = erpc.Reference(), erpc.Reference()
    service.SetTraceVariablesList([common.TraceOrder(i, b"") for i in range(100)], token)
    ticks: list[int] = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(poll_s)
        service.GetTraceVariables(token.value, traces)
        ticks += [sample.tick for sample in traces.value.traces]
    transport.close()
    with connect(f"ERPC://{host_end}:{baud}") as client:
        return Result(ticks, client.board_status().trace_lost)


def skipped(client: Client) -> int:
    return client.statistics(reset=True).skipped


def one_line(name: str, folder: Path, image: bytes, runs: int) -> None:
    cable_baud, baud = LINES[name]
    with (
        cable(folder / "cable", cable_baud) as (board_end, host_end),
        runtime(board_end, folder / "store", "--baud", str(baud)) as pid,
    ):
        uri = f"ERPC://{host_end}:{baud}"
        with connect(uri) as client:
            client.download(image)
            client.start()
        for poll_s in (0.1, 0.5):
            for peer in ("our client", "PyPI erpc"):
                for _ in range(runs):
                    with connect(uri) as client:
                        skipped(client)
                    used = cpu_seconds(pid)
                    result = ours(uri, poll_s) if peer == "our client" else None
                    ticks, counter = result or stock(host_end, baud, poll_s)
                    used = (cpu_seconds(pid) - used) / SECONDS
                    with connect(uri) as client:
                        by_cycle = skipped(client)
                    missing = ticks[-1] - ticks[0] + 1 - len(ticks)
                    show(
                        f"{name}, poll {poll_s * 1000:.0f} ms, {peer}",
                        f"{len(ticks)} ticks, missing {missing}"
                        f" (cycle skipped {by_cycle}, counter {counter}), board CPU {used:.1%}",
                    )


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 1
    print(f"Trace of 100 DINT at 1 ms, {SECONDS:.0f} s each, {runs} runs")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
        for line in LINES:
            one_line(line, Path(name, line.split()[0]), image, runs)
