# SPDX-License-Identifier: MIT
"""What a download of a program costs on the wire, against the same image sent as an IDE does it.

Both directions are counted where the client meets its serial port, from the first byte of the
handshake to the last of the goodbye. The program is the plant of ``benchmarks.plant``.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from erpc import Reference

from benchmarks.figures import show, show_ratio
from benchmarks.plant import program
from benchmarks.rig import cable, resident_mb, runtime
from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.stub_manager import StubManager
from serial_runtime.transport import Transport
from serial_runtime.transport import connect as open_link

BAUD = 115200
IDE_CHUNK = 4095
CASES = {
    "whole": ({}, 2.5),
    "statement edited": ({"edited": True}, 25),
    "variable added": ({"added": True}, 10),
}


class Cost(NamedTuple):
    """Of one download."""

    wire: int  # bytes, both directions
    seconds: float
    how: str = ""


class Counted:
    """A transport that counts."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self._inner.write(data)

    def read(self, timeout_s: float | None) -> bytes:
        data = self._inner.read(timeout_s)
        self.bytes += len(data)
        return data


def cost(uri: str, work: Callable[[Client], str]) -> Cost:
    """What `work` costs, done by a client of its own."""
    links: list[Counted] = []

    def opened() -> Any:
        links.append(Counted(open_link(uri)))
        return links[-1]

    began = time.perf_counter()
    with Client(opened) as client:
        how = work(client)
    return Cost(sum(link.bytes for link in links), time.perf_counter() - began, how)


def as_an_ide(client: Client, image: bytes) -> str:
    """Service 1, chunk after chunk, to our own board."""
    ide = BeremizPLCObjectServiceClient(StubManager(client.link))
    md5, blob_id, success = hashlib.md5(image).hexdigest(), Reference(), Reference()
    ide.SeedBlob(md5.encode(), blob_id)
    for at in range(0, len(image), IDE_CHUNK):
        ide.AppendChunkToBlob(image[at : at + IDE_CHUNK], blob_id.value, blob_id)
    ide.NewPLC(md5, blob_id.value, [], success)
    return "service 1"


def import_ms(module: str) -> float:
    """Import of a module in an interpreter that has the daemon's modules already."""
    code = (
        "import time, serial_runtime.daemon, serial_runtime.plc.plc_object, "
        "serial_runtime.rpc.server; began = time.perf_counter(); "
        f"import {module}; print((time.perf_counter() - began) * 1000)"
    )
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def board_cost(uri: str, pid: int, images: dict[str, bytes]) -> None:
    """What the decoding adds to a board's runtime: as it is first, then a patch."""
    sizes = []
    for case in ("whole", "variable added"):
        with Client(lambda: open_link(uri)) as client:
            if not sizes:
                as_an_ide(client, images["whole"])
                sizes.append(resident_mb(pid))
            how = client.download(images[case]).coding
        sizes.append(resident_mb(pid))
    times = [import_ms("zstandard") for _ in range(5)]
    show("board: import of the decompressor", f"{statistics.median(times):.1f} ms")
    show(
        "board: resident, before and after patches", f"{sizes[0]:.1f} -> {sizes[-1]:.1f} MB ({how})"
    )


def turn(uri: str, images: dict[str, bytes]) -> dict[str, tuple[Cost, Cost]]:
    """For each case, the download as an IDE does it and ours."""
    costs = {}
    base = images["whole"]
    for case, image in images.items():
        plain = cost(uri, lambda client, image=image: as_an_ide(client, image))
        with Client(lambda: open_link(uri)) as client:
            client.repair()
            if case != "whole":
                client.download(base)
        ours = cost(uri, lambda client, image=image: client.download(image).coding)
        costs[case] = plain, ours
    return costs


def images(folder: Path) -> dict[str, bytes]:
    """The program as it is, and after each of two edits."""
    built = {}
    for case, (edit, _) in CASES.items():
        source, image = folder / "plant.c", folder / "plant.so"
        source.write_text(program(**edit))
        build([source], image, include_dirs=[get_include()])
        built[case] = image.read_bytes()
    return built


def run(options: Sequence[str] = ()) -> None:
    runs = int(options[0]) if options else 2
    print(f"Download of a program at {BAUD} baud, bytes of both directions, {runs} runs")
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        built = images(Path(name))
        print(f" a generated plant program, image of {len(built['whole'])} bytes")
        turns = []
        for number in range(runs):
            folder = Path(name, str(number))
            with (
                cable(folder / "cable", BAUD) as (board_end, host_end),
                runtime(board_end, folder / "store", "--baud", str(BAUD)) as pid,
            ):
                uri = f"ERPC://{host_end}:{BAUD}"
                if number == 0:
                    board_cost(uri, pid, built)
                turns.append(turn(uri, built))
        for case, (_, target) in CASES.items():
            pairs = [costs[case] for costs in turns]
            plain, ours = pairs[0]
            show(
                case,
                f"{plain.wire} bytes {plain.seconds:.2f} s -> "
                f"{ours.wire} bytes {ours.seconds:.2f} s ({ours.how})",
            )
            show_ratio(
                "as an IDE / ours, bytes", [p.wire / o.wire for p, o in pairs], f">= {target}"
            )
            show_ratio("as an IDE / ours, time", [p.seconds / o.seconds for p, o in pairs])
