# SPDX-License-Identifier: MIT
"""GetPLCstatus over an unpaced pty: our client and runtime against PyPI's client and server."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import erpc

from benchmarks.figures import show, show_ratio
from benchmarks.rig import cable, cpu_seconds, runtime
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide import client as ide_client

CALLS = 3000


def measure(call: Callable[[], object], server_pid: int) -> tuple[float, float, float]:
    """Median and p99 of the round trip in microseconds, the server's CPU time per call too."""
    for _ in range(100):
        call()
    cpu, times = cpu_seconds(server_pid), []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    cpu = (cpu_seconds(server_pid) - cpu) / CALLS * 1e6
    times.sort()
    return statistics.median(times), times[int(0.99 * CALLS)], cpu


def stock(folder: Path) -> tuple[float, float, float]:
    with cable(folder) as (board_end, host_end):
        command = [sys.executable, "-m", "benchmarks.stock_server", board_end]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            transport = erpc.transport.SerialTransport(host_end, 115200)
            manager = erpc.client.ClientManager(transport, erpc.basic_codec.BasicCodec)
            service = ide_client.BeremizPLCObjectServiceClient(manager)
            try:
                return measure(lambda: service.GetPLCstatus(erpc.Reference()), process.pid)
            finally:
                transport.close()
                process.kill()


def ours(folder: Path) -> tuple[float, float, float]:
    with (
        cable(folder / "cable") as (board_end, host_end),
        runtime(board_end, folder / "store") as pid,
        connect(f"ERPC://{host_end}") as client,
    ):
        return measure(client.status, pid)


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 5
    print(f"GetPLCstatus over an unpaced pty, {runs} runs of {CALLS} calls")
    mine, peer = [], []
    with tempfile.TemporaryDirectory() as name:
        for turn in range(runs):
            peer.append(stock(Path(name, f"stock{turn}")))
            mine.append(ours(Path(name, f"ours{turn}")))
    for label, figures in (("ours", mine), ("PyPI erpc", peer)):
        p50, p99, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        show(label, f"p50 {p50:.0f} us, p99 {p99:.0f} us, server CPU {cpu:.0f} us per call")
    pairs = list(zip(mine, peer, strict=True))
    show_ratio("p50: ours / PyPI erpc", [m[0] / p[0] for m, p in pairs], "< 1")
    show_ratio("server CPU: ours / PyPI erpc", [m[2] / p[2] for m, p in pairs], "< 1")
