# SPDX-License-Identifier: MIT
"""Trace of 100 DINT at 1 ms: which ticks arrive, with our client and with PyPI's."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import erpc

from benchmarks.figures import show
from benchmarks.programs import build
from benchmarks.rig import cable, cpu_seconds, runtime
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide import client as ide_client
from serial_runtime.rpc.ide import common

SECONDS = 10.0
NAMES = [f"V{index}" for index in range(100)]


def gaps(ticks: Sequence[int]) -> int:
    """Ticks missing between the first and the last."""
    return (ticks[-1] - ticks[0] + 1) - len(ticks)


def ours(client: Client, poll_s: float) -> tuple[list[int], int]:
    """Ticks received in SECONDS, and the lost counter of the board."""
    ticks = []
    with client.trace(NAMES, poll_s=poll_s) as trace:
        until = time.monotonic() + SECONDS
        for sample in trace:
            ticks.append(sample.tick)
            if time.monotonic() > until:
                break
        return ticks, trace.lost


def stock(host_end: str, poll_s: float) -> list[int]:
    """The same as the IDE polls: one GetTraceVariables per poll."""
    transport = erpc.transport.SerialTransport(host_end, 115200)
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
    return ticks


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 3
    print(f"Trace of 100 DINT at 1 ms, {SECONDS:.0f} s each, {runs} runs")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
        for baud in (None, 921600):
            with cable(Path(name, f"cable{baud}"), baud) as (board_end, host_end):
                port = f"ERPC://{host_end}:{baud or 115200}"
                rate = ["--baud", str(baud)] if baud else []
                with runtime(board_end, Path(name, f"store{baud}"), *rate) as pid:
                    with connect(port) as client:
                        client.download(image)
                        client.start()
                    for poll_s in (0.1, 0.5):
                        label = f"{baud or 'unpaced'}, poll {poll_s * 1000:.0f} ms"
                        for peer in ("our client", "PyPI erpc"):
                            lost, share, counters, cpu = [], [], [], []
                            for _ in range(runs):
                                used = cpu_seconds(pid)
                                if peer == "our client":
                                    with connect(port) as client:
                                        ticks, counted = ours(client, poll_s)
                                else:
                                    ticks = stock(host_end, poll_s)
                                    with connect(port) as client:
                                        counted = client.board_status().trace_lost
                                cpu.append((cpu_seconds(pid) - used) / SECONDS)
                                lost.append(gaps(ticks))
                                share.append(len(ticks) / (len(ticks) + gaps(ticks)))
                                counters.append(counted)
                            show(
                                f"{label}, {peer}",
                                f"lost {statistics.median(lost):.0f} (counter"
                                f" {statistics.median(counters):.0f}), got"
                                f" {statistics.median(share):.1%}, board CPU"
                                f" {statistics.median(cpu):.1%}",
                            )
