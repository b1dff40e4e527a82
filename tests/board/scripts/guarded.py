# SPDX-License-Identifier: MIT
"""A board with its lamp on, which dies as it is told on standard input.

Arguments: the image (tests/board/images/wild.c), the name of the simulated I/O, and "parts" for
parts of process I/O beside it. Orders: "exit", "abort", "execute", "wild"; none for who
kills it.
"""

import os
import sys
import time

from serial_runtime.board import Board, Options
from serial_runtime.board_types import GpioChip, GpioLine, IoPart

path, io, *more = sys.argv[1:]
parts: tuple[IoPart, ...] = ()
if more:
    none = bytes(1024)
    chip = GpioChip("/dev/no-chip", (GpioLine(1, 1, value_byte=9, value_mask=1),), 10**6, 0, none)
    part = IoPart(none, bytes([0xFF]) * 1024, none, none, 10**9)
    parts = (part, part._replace(gpio=chip))
board = Board(Options(io=f"sim:{io}", cpu_latency_us=-1, io_parts=parts))
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
