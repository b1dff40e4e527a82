# SPDX-License-Identifier: MIT
"""A board with its lamp on, which dies as it is told on standard input.

Arguments: the image (tests/board/images/wild.c), the name of the simulated I/O. Orders: "exit",
"abort", "execute", "wild"; none for whoever kills it.
"""

import os
import sys
import time

from serial_runtime.board import Board, Options

path, io = sys.argv[1:]
board = Board(Options(io=f"sim:{io}", cpu_latency_us=-1))
board.load(path)
board.start()
assert board.guarded
print("started", flush=True)
order = sys.stdin.readline().strip()
if order == "exit":
    os._exit(3)
elif order == "abort":
    os.abort()
elif order == "execute":
    os.execv(sys.executable, [sys.executable, "-c", "input()"])
elif order == "wild":
    board.set_forces({1: b"\1"})
    while True:
        time.sleep(0.001)
