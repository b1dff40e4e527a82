# SPDX-License-Identifier: MIT
"""Download of incompressible data over a paced line, against raw bytes over the same line.

Each with a USB adapter's latency timer of 1 ms and of 16 ms at the host's end. The data are random
bytes behind a real image, so that the board takes them as a program; the time is that of the whole
command, from the first byte to the program loaded.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import show_ratio
from benchmarks.programs import build
from benchmarks.rig import cable, runtime
from serial_runtime.rpc.client import connect
from serial_runtime.transport import connect as open_link

BAUDS = (115200, 921600, 3_000_000)
TURNAROUNDS_MS = (1, 16)
LINE_S = 20.0  # of line time, each


def raw_rate(folder: Path, baud: int, size: int, *options: str) -> float:
    """Bytes per second of raw bytes, first byte sent to last byte received."""
    with cable(folder, baud, *options) as (board_end, host_end):
        host = open_link(f"ERPC://{host_end}:{baud}")
        board = open_link(f"ERPC://{board_end}:{baud}")
        sender = threading.Thread(target=host.write, args=(bytes(size),))
        began, seen = time.perf_counter(), 0
        sender.start()
        while seen < size:
            seen += len(board.read(5.0))
        rate = size / (time.perf_counter() - began)
        sender.join()
        host.close()
        board.close()
        return rate


def download_rate(folder: Path, baud: int, image: bytes, *options: str) -> float:
    """Bytes of data sent per second, from the command to the program loaded."""
    with (
        cable(folder / "cable", baud, *options) as (board_end, host_end),
        runtime(board_end, folder / "store", "--baud", str(baud)),
        connect(f"ERPC://{host_end}:{baud}") as client,
    ):
        began = time.perf_counter()
        sent = client.download(image).bytes_sent  # the image before the random bytes shrinks
        return sent / (time.perf_counter() - began)


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 3
    print(f"Download of incompressible data over a paced line, {runs} runs of {LINE_S:g} s each")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
        for baud in BAUDS:
            size = int(baud / 10 * LINE_S)
            program = image + os.urandom(size - len(image))
            for turnaround_ms in TURNAROUNDS_MS:
                adapter = ("--turnaround-ms", str(turnaround_ms))
                of_raw, of_nominal, raw = [], [], []
                for turn in range(runs):
                    folder = Path(name, f"{baud}-{turnaround_ms}-{turn}")
                    line = raw_rate(folder / "raw", baud, size, *adapter)
                    rate = download_rate(folder / "download", baud, program, *adapter)
                    raw.append(line / (baud / 10))
                    of_raw.append(rate / line)
                    of_nominal.append(rate / (baud / 10))
                rate = statistics.median(of_nominal) * baud / 10
                what = f"adapter's timer {turnaround_ms} ms, {size} bytes"
                print(f" {baud} baud, {what}, {rate:.0f} B/s")
                show_ratio("raw bytes / nominal rate", raw)
                show_ratio("download / raw bytes", of_raw, ">= 0.97")
                show_ratio("download / nominal rate", of_nominal, ">= 0.97")
