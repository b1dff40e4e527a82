# SPDX-License-Identifier: MIT
"""The bridge: what it adds to a call, and how eight clients share a line of 115200 baud.

Round trips: the same call by our client directly over the line and, in turns, over TCP through a
bridge on a line of the same kind with a runtime of its own. Fairness: stock clients (PyPI's, one
process each) poll status and traces every 100 ms as an IDE does, while another one transfers a
program; how long each had to wait for its answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from erpc import Reference
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.transport import TCPTransport

from benchmarks.figures import show, show_ratio
from benchmarks.programs import build
from benchmarks.rig import cable, runtime
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import TraceOrder

CALLS = 200
BAUD = 115200
CLIENTS = 8
SECONDS = 20.0
POLL_S = 0.1
CHUNK = 4095  # as the IDE


@contextlib.contextmanager
def bridge(port: str) -> Iterator[str]:
    """`serial-runtime bridge` on a free TCP port; the port number."""
    command = [sys.executable, "-m", "serial_runtime", "bridge", f"ERPC://{port}"]
    command += ["--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("READY"):
                yield line.split()[1]
                break
        else:
            raise RuntimeError("the bridge did not start")
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def board(folder: Path, image: bytes, baud: int | None) -> Iterator[str]:
    """A runtime on a cable that runs a program; the URI of the cable's other end."""
    with (
        cable(folder / "cable", baud) as (board_end, host_end),
        runtime(board_end, folder / "store"),
    ):
        uri = f"{host_end}:{baud or BAUD}"
        with connect(f"ERPC://{uri}") as client:
            client.download(image)
            client.start()
        yield uri


def stock(uri: str) -> tuple[TCPTransport, BeremizPLCObjectServiceClient]:
    host, port = uri.removeprefix("ERPC://").split(":")
    transport = TCPTransport(host, int(port), False)
    return transport, BeremizPLCObjectServiceClient(ClientManager(transport, BasicCodec))


def median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def round_trips(image: bytes, turns: int) -> None:
    for baud in (None, BAUD):
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            direct = stack.enter_context(
                connect(f"ERPC://{stack.enter_context(board(folder / 'direct', image, baud))}")
            )
            uri = stack.enter_context(board(folder / "bridged", image, baud))
            place = stack.enter_context(bridge(uri))
            through = stack.enter_context(connect(place))
            transport, ide = stock(place)
            stack.callback(transport.close)
            name = direct.variables()[0].path
            through.variables()

            def read(client: Client, name: str = name) -> Callable[[], object]:
                return lambda: client.read([name])

            polls = (lambda ide=ide: ide.GetPLCstatus(Reference()), direct.status)
            for label, bridged, alone in (
                ("a forwarded call (ReadVariables)", read(through), read(direct)),
                ("a status poll of a stock client", *polls),
            ):
                pairs = [(median_ms(bridged), median_ms(alone)) for _ in range(turns)]
                added = [one - other for one, other in pairs]
                line = f"{baud or 'unpaced'}, {label}"
                with_it, without = (
                    statistics.median(column) for column in zip(*pairs, strict=True)
                )
                show(line, f"{with_it:.2f} ms, directly {without:.2f} ms")
                show_ratio("  added, ms", added, "<= 1")


def poller(uri: str) -> int:
    """A client's process: polls until the time is over, prints its waits in milliseconds."""
    transport, ide = stock(uri)
    token, out = Reference(), Reference()
    ide.SetTraceVariablesList([TraceOrder(index, b"") for index in range(4)], token)
    waits: list[float] = []
    samples = 0
    began = due = time.monotonic()
    while due < began + SECONDS:
        time.sleep(max(0.0, due - time.monotonic()))
        asked = time.monotonic()
        ide.GetPLCstatus(out)
        ide.GetTraceVariables(token.value, out)
        waits.append((time.monotonic() - asked) * 1e3)
        samples += len(out.value.traces)
        due += POLL_S
    transport.close()
    print(json.dumps({"waits": waits, "samples": samples}))
    return 0


def call_meanwhile(uri: str, waits: list[float], over: threading.Event) -> None:
    """A short call over the line again and again: how long it takes, milliseconds."""
    transport, ide = stock(uri)
    while not over.wait(POLL_S):
        asked = time.monotonic()
        ide.MatchMD5("0", Reference())
        waits.append((time.monotonic() - asked) * 1e3)
    transport.close()


def transfer(uri: str, image: bytes) -> float:
    """What an IDE does when it transfers a program; seconds."""
    transport, ide = stock(uri)
    out, success, md5 = Reference(), Reference(), hashlib.md5(image).hexdigest()
    began = time.monotonic()
    ide.SeedBlob(md5.encode(), out)
    for at in range(0, len(image), CHUNK):
        ide.AppendChunkToBlob(image[at : at + CHUNK], out.value, out)
    ide.NewPLC(md5, out.value, [], success)
    transport.close()
    return time.monotonic() - began


def fairness(image: bytes) -> None:
    # Refused in the end, so that the running program goes on: an image followed by noise.
    bulk = image[:64] + os.urandom(int(BAUD / 10 * SECONDS * 0.7))
    with (
        tempfile.TemporaryDirectory() as name,
        board(Path(name), image, BAUD) as line,
        bridge(line) as place,
    ):
        command = [sys.executable, "-c", "import sys; from benchmarks import bridge; "]
        command[-1] += "bridge.poller(sys.argv[1])"
        clients = [
            subprocess.Popen([*command, place], stdout=subprocess.PIPE, text=True)
            for _ in range(CLIENTS)
        ]
        time.sleep(2.0)
        calls: list[float] = []
        over = threading.Event()
        caller = threading.Thread(target=call_meanwhile, args=(place, calls, over))
        caller.start()
        seconds = transfer(place, bulk)
        over.set()
        caller.join()
        answers = [json.loads(client.communicate()[0]) for client in clients]
    show("meanwhile transferred", f"{len(bulk)} bytes in {seconds:.1f} s")
    show(
        "meanwhile forwarded calls (MatchMD5)",
        f"{len(calls)}; min {min(calls):.1f}, median {statistics.median(calls):.1f}, "
        f"max {max(calls):.1f} ms",
    )
    due = int(SECONDS / POLL_S)
    for number, answer in enumerate(answers, 1):
        waits = answer["waits"]
        show(
            f"client {number}: served polls of {due}",
            f"{len(waits)}; wait min {min(waits):.2f}, median {statistics.median(waits):.2f}, "
            f"max {max(waits):.1f} ms; {answer['samples']} samples",
        )


def run(options: Sequence[str] = ()) -> None:
    turns = int(options[0]) if options else 5
    with tempfile.TemporaryDirectory() as name:
        image = build("hundred", Path(name)).read_bytes()
    print(f"The bridge's round trip, {turns} turns of {CALLS} calls")
    round_trips(image, turns)
    print(f"{CLIENTS} stock clients poll status and trace every {POLL_S * 1e3:.0f} ms, {BAUD} baud")
    fairness(image)
