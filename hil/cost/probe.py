# SPDX-License-Identifier: MIT
"""Runs on the board, by itself, with the Python there: ``probe.py RUNS REQUEST PROGRAM``.

REQUEST is a frame that any runtime answers, in hexadecimal; PROGRAM an image of 1 ms. Prints one
line, ``cost:`` and JSON. What it starts comes from the installed package.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import tty

PYTHON = "/usr/bin/python3"
RUNTIME = "/usr/bin/serial-runtime"
REFERENCE = "import serial, erpc"
# What the runtime of the Beremiz IDE imports to serve its clients, as far as Debian has it.
PEER = (
    "import click, msgpack, zeroconf, erpc; from twisted.internet import reactor; "
    "from autobahn.twisted import wamp, websocket"
)
STORE = "/tmp/cost-store"
ADDRESS = "127.0.0.1:4001"
_AGAIN_S = 0.005  # a request that came before the line was open is lost
_TRACED_S = 5.0


def seconds(*words: str) -> float:
    """How long a command takes."""
    began = time.monotonic()
    subprocess.run(words, check=True)
    return time.monotonic() - began


def resident_kb(pid: int) -> int:
    """What a process has in memory."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def processor_ns(pid: int) -> int:
    """What all threads of a process have used of the processor."""
    tasks = os.listdir(f"/proc/{pid}/task")
    used = 0
    for task in tasks:
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            used += int(file.read().split()[0])
    return used


def start(request: bytes) -> tuple[float, float, int]:
    """Seconds from exec to READY and to the first reply, and the memory then, in kB."""
    host, board = pty.openpty()
    tty.setraw(board)
    told, tell = os.pipe()
    words = [RUNTIME, "serve", "--port", os.ttyname(board), "--dir", STORE]
    began = time.monotonic()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, tell, 1)])
    ready = reply = 0.0
    while not (ready and reply):
        readable = select.select([told] if not ready else [host], (), (), _AGAIN_S if ready else 60)
        if told in readable[0]:
            os.read(told, 4096)
            ready = time.monotonic() - began
            os.write(host, request)
        elif host in readable[0]:
            os.read(host, 4096)
            reply = time.monotonic() - began
        elif ready:
            os.write(host, request)
        else:
            raise SystemExit("the runtime does not start")
    memory = resident_kb(pid)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    for fd in (host, board, told, tell):
        os.close(fd)
    return ready, reply, memory


def loopback_up() -> None:
    """127.0.0.1 works, also where nothing has configured the network."""
    with socket.socket() as one:
        # SIOCSIFFLAGS, IFF_UP
        fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", 1))


def share(pid: int, over_s: float) -> float:
    """The part of the processor that a process takes."""
    used, began = processor_ns(pid), time.monotonic_ns()
    time.sleep(over_s)
    return (processor_ns(pid) - used) / (time.monotonic_ns() - began)


def running(program: str) -> dict[str, float]:
    """A program of 1 ms: shares of the processor and memory, with and without a trace."""
    loopback_up()
    words = [RUNTIME, "serve", "--tcp", ADDRESS, "--dir", STORE + "-run"]
    uri = f"ERPC://{ADDRESS}"
    figures: dict[str, float] = {}
    with subprocess.Popen(words, stdout=subprocess.PIPE) as one:
        try:
            assert one.stdout is not None
            one.stdout.readline()
            subprocess.run([RUNTIME, "load", uri, program, "--start"], check=True)
            time.sleep(1.0)
            figures["cycle_share"] = share(one.pid, _TRACED_S)
            names = [f"C{number}" for number in range(8)]
            trace = [RUNTIME, "trace", uri, *names, "-o", "/tmp/cost.csv", "--full"]
            # Longer than is measured, beside the start of the client.
            with subprocess.Popen([*trace, "--duration", str(3 * _TRACED_S)]) as client:
                while not os.path.exists("/tmp/cost.csv.part"):
                    time.sleep(0.1)
                time.sleep(1.0)
                figures["trace_share"] = share(one.pid, _TRACED_S)
                figures["used_kb"] = resident_kb(one.pid)
                if client.wait():
                    raise SystemExit("the trace has failed")
        finally:
            one.terminate()
    return figures


def peer_kb() -> int:
    """The memory of a process that has imported what the other runtime needs."""
    code = f"{PEER}; print(open('/proc/self/status').read())"
    text = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout
    return int(text.partition("VmRSS:")[2].split()[0])


def main() -> None:
    """Measure all of it."""
    runs, request, program = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3]
    shutil.rmtree(STORE, ignore_errors=True)
    starts = [start(request) for _ in range(runs + 1)][1:]  # the first one makes the store
    median = statistics.median
    figures: dict[str, float] = {
        "python_s": median(seconds(PYTHON, "-c", "pass") for _ in range(runs)),
        "reference_s": median(seconds(PYTHON, "-c", REFERENCE) for _ in range(runs)),
        "ready_s": median(one[0] for one in starts),
        "reply_s": median(one[1] for one in starts),
        "resident_kb": median(one[2] for one in starts),
        "peer_s": median(seconds(PYTHON, "-c", PEER) for _ in range(runs)),
        "peer_kb": peer_kb(),
        **running(program),
    }
    print("cost:", json.dumps(figures), flush=True)


main()
