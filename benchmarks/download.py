# SPDX-License-Identifier: MIT
"""Download of a program over a paced line, against raw bytes over the same line."""

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

SIZES = {115200: 120_000, 921600: 800_000}


def raw_rate(folder: Path, baud: int, size: int) -> float:
    """Bytes per second of raw bytes, first byte sent to last byte received."""
    with cable(folder, baud) as (board_end, host_end):
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


def download_rate(folder: Path, baud: int, image: bytes) -> float:
    """Bytes that were sent per second, from the first byte to the program accepted."""
    with (
        cable(folder / "cable", baud) as (board_end, host_end),
        runtime(board_end, folder / "store", "--baud", str(baud)),
        connect(f"ERPC://{host_end}:{baud}") as client,
    ):
        began = time.perf_counter()
        sent = client.download(image)
        return sent.bytes_sent / (time.perf_counter() - began)


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 3
    print(f"Download over a paced line, {runs} runs; random bytes appended to a real image")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
        for baud, size in SIZES.items():
            program = image + os.urandom(size - len(image))
            of_raw, of_nominal, raw = [], [], []
            for turn in range(runs):
                folder = Path(name, f"{baud}-{turn}")
                line = raw_rate(folder / "raw", baud, size)
                rate = download_rate(folder / "download", baud, program)
                raw.append(line / (baud / 10))
                of_raw.append(rate / line)
                of_nominal.append(rate / (baud / 10))
            rate = statistics.median(of_nominal) * baud / 10
            print(f" {baud} baud, {size} bytes, {rate:.0f} B/s")
            show_ratio("raw bytes / nominal rate", raw)
            show_ratio("download / raw bytes", of_raw, ">= 0.95")
            show_ratio("download / nominal rate", of_nominal, ">= 0.95")
