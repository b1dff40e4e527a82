# SPDX-License-Identifier: MIT
"""Runs one image that crashes, in a process of its own, and prints what became of it as JSON.

Arguments: the image, the name of the simulated I/O, the watchdog time in ms; then the variable
that makes it crash and the byte to force there, unless it crashes when its lamp was seen.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from serial_runtime.board import Board, BoardState, Options
from serial_runtime.board_plant import Plant
from serial_runtime.errors import BoardError, ProgramFault, SerialRuntimeError

path, io, watchdog_ms, *force = sys.argv[1:]
said = {}


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.0005)


board = Board(
    Options(io=f"sim:{io}", cpu_latency_us=-1, watchdog_ns=int(float(watchdog_ms) * 1_000_000))
)
plant = Plant(io)
board.load(path)
generation = board.set_trace([0])
try:
    board.start()
    wait(lambda: said.update(lamp=plant.read_outputs(0, 1)[0]) or said["lamp"])
    plant.write_inputs(0, b"\1")
    if force:
        board.set_forces({int(force[0]): bytes([int(force[1])])})
    if "FINI" not in io:
        wait(lambda: board.state != BoardState.RUNNING)
except ProgramFault as error:
    said["start"] = str(error)
if board.state == BoardState.RUNNING:
    try:
        board.stop()
    except ProgramFault as error:
        said["stop"] = str(error)
said["state"] = board.state.name
said["tainted"] = board.tainted
said["fault"] = list(board.fault())
said["outputs"] = plant.read_outputs(0, 1)[0]
said["values"] = board.read([0, 1])[1].hex()
trace = board.read_trace(generation, 1 << 16, 0)
said["trace_bytes"] = len(trace)
said["last_tick"] = int.from_bytes(trace[-12:-8], "little")
said["ticks"] = board.statistics().ticks
said["scheduling"] = board.scheduling
said["log"] = len(board.drain_log())
refused = []
for operation in (board.stop, board.start, board.unload, lambda: board.load(path)):
    try:
        operation()
    except SerialRuntimeError as error:
        refused.append(type(error).__name__)
said["refused"] = refused
board.set_forces({})
ran = []
thread = threading.Thread(target=lambda: ran.append(1))
thread.start()
thread.join()
said["threads"] = len(ran)
said["child"] = subprocess.run([sys.executable, "-c", "print(7)"], check=True).returncode
board.close()
try:
    Board(Options())
except BoardError as error:
    said["next"] = str(error)
print(json.dumps(said))
