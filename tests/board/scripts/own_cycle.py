# SPDX-License-Identifier: MIT
"""Starts and stops an object with its own cycle, in a process of its own; prints what is refused.

Argument: the object.
"""

import sys

from serial_runtime.board import Board, BoardState, Options
from serial_runtime.errors import ProgramFault

COUNT = 0

board = Board(Options(own_cycle=True, cpu_latency_us=-1, watchdog_ns=30_000_000))
board.load(sys.argv[1])
try:
    board.start()
    while board.read([COUNT])[1][0] < 20:
        pass
    board.stop()
except ProgramFault as error:
    print(error)
print(board.state == BoardState.FAULTED, board.tainted)
