# SPDX-License-Identifier: MIT
"""Trace of 100 DINT at 1 ms over 921600 baud: 404 kB/s of samples, of which the line carries 92.

What changes from tick to tick decides what arrives. Every tick must be accounted for: delivered,
decimated (by a stated factor), lost, or skipped by the cycle itself on a busy machine.

Beside it, in the same run, PyPI's eRPC server sends the same samples as they are, over a line that
is as fast as it likes: what that costs it is the reference for the board's CPU.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import erpc

from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.rig import cable, cpu_seconds, runtime
from serial_runtime.rpc.client import Client, Trace, connect
from serial_runtime.rpc.ide import client as ide_client
from serial_runtime.rpc.ide import common

SECONDS = 20.0
STOCK_SECONDS = 10.0
BAUD = 921600
NAMES = [f"V{index}" for index in range(100)]
PATTERNS = {"random": 0, "steps": 1, "noise": 2, "counting": 3}
# Changing variables, how, and whether the line carries every tick.
CASES = [
    (0, "random", True),
    (5, "random", True),
    (20, "random", True),
    (20, "steps", True),
    (100, "counting", True),
    (100, "noise", True),
    (50, "random", False),
    (100, "random", False),
]


class Result(NamedTuple):
    ticks: int  # from the first sample to the last
    delivered: int
    decimated: int
    lost: int
    factors: Counter[int]  # samples by the factor that was stated for them
    wrong: int  # samples of a tick that the factor does not divide
    bytes_per_tick: float  # of those delivered, envelope and frame not counted
    cpu: float  # of one core


def stream(trace: Trace, pid: int) -> Result:
    """Poll for `SECONDS`, then account for what came after the first batch."""
    first = last = delivered = wrong = 0
    factors: Counter[int] = Counter()
    begin_s = time.monotonic()
    used_s = cpu_seconds(pid)
    decimated_before = lost_before = bytes_before = 0
    while True:
        samples = trace.poll()
        if not samples:
            continue
        if not first:
            first, decimated_before, lost_before = samples[-1].tick, trace.decimated, trace.lost
            bytes_before = trace.received_bytes
        else:
            delivered += len(samples)
            last = samples[-1].tick
            factors[trace.decimation] += len(samples)
            wrong += sum(sample.tick % trace.decimation != 0 for sample in samples)
        if time.monotonic() - begin_s > SECONDS:
            break
    took_s = time.monotonic() - begin_s
    return Result(
        last - first,
        delivered,
        trace.decimated - decimated_before,
        trace.lost - lost_before,
        factors,
        wrong,
        (trace.received_bytes - bytes_before) / delivered,
        (cpu_seconds(pid) - used_s) / took_s,
    )


def one_case(client: Client, pid: int, changing: int, pattern: str, carried: bool) -> float:
    """Print one line; the CPU used, of one core."""
    values = {"CHANGING": changing, "PATTERN": PATTERNS[pattern]}
    client.force({name: value.to_bytes(4, "little") for name, value in values.items()})
    client.statistics(reset=True)
    with client.trace(NAMES) as trace:
        result = stream(trace, pid)
        skipped = client.statistics().skipped
    rest = result.ticks - result.delivered - result.decimated - result.lost
    # The cycle's own gaps can lie before the first sample or behind the last.
    accounted = "yes" if 0 <= rest <= skipped else f"NO: {rest} too many"
    factors = ", ".join(f"{count} at 1:{n}" for n, count in sorted(result.factors.items()))
    goal = "0 lost, all at 1:1" if carried else "0 lost, decimated"
    show(
        f"{changing} changing, {pattern}",
        f"{result.ticks} ticks: {result.delivered} delivered ({factors}; {result.wrong} wrong),"
        f" {result.decimated} decimated, {result.lost} lost, cycle skipped {skipped},"
        f" accounted for: {accounted}; {result.bytes_per_tick:.1f} bytes a sample,"
        f" board CPU {result.cpu:.1%}",
        goal,
    )
    return result.cpu


class Stock:
    """PyPI's server on an unpaced cable, and its client."""

    def __init__(self, port: str, pid: int) -> None:
        self.pid = pid
        self._transport = erpc.transport.SerialTransport(port, 115200)
        manager = erpc.client.ClientManager(self._transport, erpc.basic_codec.BasicCodec)
        self._service = ide_client.BeremizPLCObjectServiceClient(manager)

    def stream(self) -> tuple[float, float]:
        """Poll for `STOCK_SECONDS`: CPU of the server, of one core, and samples per second."""
        token, traces = erpc.Reference(), erpc.Reference()
        self._service.SetTraceVariablesList([common.TraceOrder(i, b"") for i in range(100)], token)
        begin_s, used_s, samples = time.monotonic(), cpu_seconds(self.pid), 0
        while time.monotonic() - begin_s < STOCK_SECONDS:
            time.sleep(0.1)
            self._service.GetTraceVariables(token.value, traces)
            samples += len(traces.value.traces)
        took_s = time.monotonic() - begin_s
        return (cpu_seconds(self.pid) - used_s) / took_s, samples / took_s

    def close(self) -> None:
        self._transport.close()


@contextlib.contextmanager
def stock_server(folder: Path) -> Iterator[Stock]:
    with cable(folder) as (board_end, host_end):
        command = [sys.executable, "-m", "benchmarks.stock_server", board_end]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with contextlib.closing(Stock(host_end, process.pid)) as stock:
                yield stock
        finally:
            process.terminate()
            process.communicate()


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 1
    print(f"Trace of 100 DINT at 1 ms over {BAUD} baud, {SECONDS:.0f} s each, {runs} runs")
    ratios: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = build("patterns", folder).read_bytes()
        for _ in range(runs):
            with (
                stock_server(folder / "stock") as stock,
                cable(folder / "cable", BAUD) as (board_end, host_end),
                runtime(board_end, folder / "store", "--baud", str(BAUD)) as pid,
                connect(f"ERPC://{host_end}:{BAUD}") as client,
            ):
                client.download(image)
                client.start()
                used_s = cpu_seconds(pid)
                time.sleep(5)
                idle = (cpu_seconds(pid) - used_s) / 5
                show("board, program runs, nothing traced", f"CPU {idle:.1%}")
                before, _ = stock.stream()
                for changing, pattern, carried in CASES:
                    ours = one_case(client, pid, changing, pattern, carried)
                    after, rate = stock.stream()
                    theirs = (before + after) / 2  # the machine changes meanwhile
                    before = after
                    show("  PyPI erpc, same samples as they are", f"{rate:.0f}/s, CPU {theirs:.1%}")
                    ratios.setdefault((changing, pattern), []).append(ours / theirs)
    for (changing, pattern), found in ratios.items():
        show_ratio(f"board CPU / PyPI's, {changing} {pattern}", found, "<= 1")
