# SPDX-License-Identifier: MIT
"""The daemon from its start to the first reply, and its memory when idle."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import show, verdict
from benchmarks.rig import cable, resident_mb
from serial_runtime.protocol.frame import encode_frame
from serial_runtime.transport import connect as open_link

# GetPLCstatus as any stock client sends it, repeated until somebody answers.
REQUEST = encode_frame(bytes.fromhex("0004010101000000"))
REFERENCE = "import serial, erpc"


def with_bytecode(folder: Path) -> dict[str, str]:
    """An environment in which all is compiled once, as an installed package is."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def first_reply(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds to the first reply, and resident MB then."""
    with cable(folder / "cable") as (board_end, host_end):
        link = open_link(f"ERPC://{host_end}")
        command = [sys.executable, "-m", "serial_runtime", "serve", "--port", board_end]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--dir", str(folder / "store")],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            answer = b""
            while not answer:
                link.write(REQUEST)
                answer = link.read(0.005)
            return (time.perf_counter() - began) * 1e3, resident_mb(process.pid)
        finally:
            process.terminate()
            process.wait()
            link.close()


def bare(environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", REFERENCE], env=environment, check=True)
    return (time.perf_counter() - began) * 1e3


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 11
    print(f"Start of the daemon, median of {runs} runs")
    with tempfile.TemporaryDirectory() as name:
        environment = with_bytecode(Path(name))
        turns = [
            (first_reply(Path(name, str(turn)), environment), bare(environment))
            for turn in range(runs + 1)
        ][1:]  # the first one compiles
    results = [turn[0] for turn in turns]
    reference = statistics.median(turn[1] for turn in turns)
    start = statistics.median(result[0] for result in results)
    show("start to first reply", f"{start:.0f} ms")
    show(f"reference: python -c '{REFERENCE}'", f"{reference:.0f} ms")
    show("ratio", f"{start / reference:.2f}", verdict(start / reference, 1.5))
    resident = statistics.median(result[1] for result in results)
    show("resident", f"{resident:.1f} MB", verdict(resident, 25))
