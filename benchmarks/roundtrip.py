# SPDX-License-Identifier: MIT
"""GetPLCstatus over an unpaced pty: our client and runtime against PyPI's client and server.

Both pairs are up at the same time, each on a cable of its own, and take turns: on a shared machine
two measurements a minute apart differ by more than the two implementations.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import erpc

from benchmarks.figures import show, show_ratio
from benchmarks.rig import cable, cpu_seconds, runtime
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide import client as ide_client

CALLS = 3000
Peer = tuple[Callable[[], object], int]  # one call, and the server's process id


@contextlib.contextmanager
def stock(folder: Path) -> Iterator[Peer]:
    with cable(folder) as (board_end, host_end):
        command = [sys.executable, "-m", "benchmarks.stock_server", board_end]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            transport = erpc.transport.SerialTransport(host_end, 115200)
            manager = erpc.client.ClientManager(transport, erpc.basic_codec.BasicCodec)
            service = ide_client.BeremizPLCObjectServiceClient(manager)
            try:
                yield lambda: service.GetPLCstatus(erpc.Reference()), process.pid
            finally:
                transport.close()
                process.kill()


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Peer]:
    with (
        cable(folder / "cable") as (board_end, host_end),
        runtime(board_end, folder / "store") as pid,
        connect(f"ERPC://{host_end}") as client,
    ):
        yield client.status, pid


def turn(peer: Peer) -> tuple[float, float, float]:
    """Median and p99 of the round trip in microseconds, the server's CPU time per call too."""
    call, pid = peer
    cpu, times = cpu_seconds(pid), []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    cpu = (cpu_seconds(pid) - cpu) / CALLS * 1e6
    times.sort()
    return statistics.median(times), times[int(0.99 * CALLS)], cpu


def run(options: Sequence[str] = ()) -> None:
    turns = int(options[0]) if options else 30
    print(f"GetPLCstatus over an unpaced pty, {turns} turns of {CALLS} calls each")
    with (
        tempfile.TemporaryDirectory() as name,
        stock(Path(name, "stock")) as peer,
        ours(Path(name, "ours")) as mine,
    ):
        turn(peer), turn(mine)  # warm up
        pairs = [(turn(mine), turn(peer)) for _ in range(turns)]
    for label, figures in (("ours", [p[0] for p in pairs]), ("PyPI erpc", [p[1] for p in pairs])):
        p50, p99, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        show(label, f"p50 {p50:.0f} us, p99 {p99:.0f} us, server CPU {cpu:.0f} us per call")
    show_ratio("p50: ours / PyPI erpc", [mine[0] / peer[0] for mine, peer in pairs], "< 1")
    show_ratio("server CPU: ours / PyPI erpc", [mine[2] / peer[2] for mine, peer in pairs], "< 1")
