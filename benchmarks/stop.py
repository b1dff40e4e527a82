# SPDX-License-Identifier: MIT
"""StopPLC during an upload: how long the command waits behind the data.

Two threads of one client, as in a bridge; the reference beside it is StopPLC on the idle line.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.rig import cable, runtime
from serial_runtime.rpc.client import Client, connect

BAUD = 115200
STOPS = 30
PAUSE_S = 0.3  # between stops, so that they meet the upload at any place


def stop_ms(client: Client) -> float:
    client.start()
    time.sleep(random.uniform(0, PAUSE_S))
    began = time.perf_counter()
    client.stop()
    return (time.perf_counter() - began) * 1000


def run(options: Sequence[str] = ()) -> None:
    stops = int(options[0]) if options else STOPS
    print(f"Stop during an upload at {BAUD} baud, {stops} stops")
    with (
        tempfile.TemporaryDirectory() as name,
        cable(Path(name, "cable"), BAUD) as (board_end, host_end),
        runtime(board_end, Path(name, "store"), "--baud", str(BAUD)),
        connect(f"ERPC://{host_end}:{BAUD}") as client,
    ):
        image = build("hundred", Path(name)).read_bytes()
        client.download(image)
        idle = [stop_ms(client) for _ in range(stops)]
        # The upload must last longer than the stops do.
        upload = image + os.urandom(int(BAUD / 10 * stops * (PAUSE_S + 1.0)))
        enough = threading.Event()

        def progress(done: int, total: int) -> None:
            if enough.is_set():
                raise InterruptedError

        def uploads() -> None:
            try:
                client.download(upload, progress=progress)
            except InterruptedError:
                return

        uploading = threading.Thread(target=uploads)
        uploading.start()
        busy = []
        for _ in range(stops):
            busy.append(stop_ms(client))
            if not uploading.is_alive():
                raise RuntimeError("the upload ended before the stops did")
        enough.set()
        uploading.join()
    for label, times in (("idle line", idle), ("during the upload", busy)):
        show(label, f"median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms")
    show("longest, during the upload", f"{max(busy):.0f} ms", "<= 300 ms")
    show_ratio("during the upload / idle", [b / i for b, i in zip(busy, idle, strict=True)])
