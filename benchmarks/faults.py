# SPDX-License-Identifier: MIT
"""Bad lines: an upload and many mixed calls at several bit error rates, and single wrong bytes.

What is checked: the program that arrived is the one sent; every value read is that of its variable
(V_i is tick + i); every start and stop executed exactly once (the board's log counts them). What is
measured: goodput against the clean line, and how long one wrong byte holds up a call, in units of
the retransmission timeout (RTO), which is the measure of the line that the client itself has.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.rig import Cable, line, runtime
from serial_runtime.iec import IecType, pack, unpack
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

BAUD = 921600
RATES = (0.0, 1e-6, 1e-5, 1e-4)  # bit error rates
UPLOAD = 300_000
CALLS = 10_000
LEVEL_INFO = 2


class Mixed:
    """Calls of every kind a user makes, each answer checked."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.starts = self.stops = 0
        client.start()
        self.starts += 1
        self.running = True

    def call(self) -> None:
        kind = self.random.randrange(100)
        if kind < 40:
            assert self.client.status().status == (
                Status.Started if self.running else Status.Stopped
            )
        elif kind < 80:
            self.read()
        elif kind < 90:
            value = self.random.randrange(1 << 31)
            self.client.force({"V7": pack(IecType.DINT, value)})
            assert self.client.forced() == ["V7"]
            self.client.unforce()
        elif kind < 94:
            assert not self.client.match_md5("0" * 32)
        elif self.running:
            self.client.stop()
            self.running, self.stops = False, self.stops + 1
        else:
            self.client.start()
            self.running, self.starts = True, self.starts + 1

    def read(self) -> None:
        # But for the one that was forced: it keeps the value until the next cycle.
        names = self.random.sample(range(8, 100), self.random.randrange(1, 20))
        snapshot = self.client.read([f"V{index}" for index in names])
        place = 0
        for index in names:
            value, place = unpack(IecType.DINT, snapshot.values, place)
            # Before the first cycle all values are 0, the tick too.
            assert value == snapshot.tick + index or snapshot.tick == 0 == value

    def check(self) -> None:
        """The board executed exactly the starts and stops that were called."""
        assert self.client.status().logcounts[LEVEL_INFO] == self.starts + self.stops


def upload_rate(client: Client, image: bytes) -> float:
    program = image + os.urandom(UPLOAD - len(image))
    began = time.perf_counter()
    client.download(program)
    rate = len(program) / (time.perf_counter() - began)
    assert client.program().md5 == hashlib.md5(program).hexdigest()
    return rate


def at_rates(folder: Path, image: bytes, runs: int) -> None:
    goodput: dict[float, list[float]] = {rate: [] for rate in RATES}
    for turn in range(runs):
        for ber in RATES:
            place = folder / f"{ber}-{turn}"
            with (
                line(place / "cable", BAUD, "--ber", str(ber), "--seed", str(turn)) as laid,
                runtime(laid.board_end, place / "store", "--baud", str(BAUD)),
                connect(f"ERPC://{laid.host_end}:{BAUD}", timeout_s=60) as client,
            ):
                goodput[ber].append(upload_rate(client, image))
                client.reset_log()
                mixed = Mixed(client, turn)
                began = time.perf_counter()
                if ber and turn == 0:
                    for _ in range(CALLS):
                        mixed.call()
                    mixed.check()
                    took_s = time.perf_counter() - began
                    figures = client.link.figures
                    show(
                        f"bit error rate {ber:g}: {CALLS} mixed calls",
                        f"all done in {took_s:.1f} s, {mixed.starts + mixed.stops} starts and "
                        f"stops executed once; {figures.retransmissions} retransmissions",
                    )
    for ber in RATES[1:]:
        ratios = [rate / clean for rate, clean in zip(goodput[ber], goodput[0.0], strict=True)]
        show_ratio(f"upload at {ber:g} / clean line", ratios, ">= 0.80" if ber == 1e-5 else "")


def wrong_bytes(folder: Path, image: bytes) -> None:
    """One byte flipped, dropped, inserted, at every position of a request and of a reply."""
    with (
        line(folder / "cable", BAUD) as laid,
        runtime(laid.board_end, folder / "store", "--baud", str(BAUD)),
        connect(f"ERPC://{laid.host_end}:{BAUD}") as client,
    ):
        client.download(image)
        for _ in range(50):
            client.status()
        for direction in ("to-board", "to-host"):
            before = client.link.figures
            client.status()
            after = client.link.figures
            size = after.sent_bytes - before.sent_bytes
            if direction == "to-host":
                size = after.received_bytes - before.received_bytes
            for fault in ("flip {} {} 4", "drop {} {}", "insert {} {} 5a"):
                took = [one_wrong(laid, client, fault.format(direction, at)) for at in range(size)]
                show(
                    f"{fault.split()[0]} {direction}, {size} positions, recovery / RTO",
                    f"median {statistics.median(took):.2f}, longest {max(took):.2f}",
                    "<= 3",
                )


def one_wrong(laid: Cable, client: Client, fault: str) -> float:
    for _ in range(3):
        client.status()
    rto_s = client.link.figures.rto_s
    laid.tell(fault)
    began = time.perf_counter()
    client.status()
    return (time.perf_counter() - began) / rto_s


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 3
    print(f"Bad lines at {BAUD} baud, {runs} uploads of {UPLOAD} bytes at each rate")
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
        wrong_bytes(Path(name, "single"), image)
        at_rates(Path(name), image, runs)
