# SPDX-License-Identifier: MIT
"""Runs an image whose cycles are too long for their periods, and prints how it ended.

Arguments: the image, how many overruns in a row are a fault.
"""

import sys
import time

from serial_runtime.board import Board, BoardState, Options

path, overruns = sys.argv[1:]
board = Board(Options(cpu_latency_us=-1, watchdog_ns=30_000_000_000, overruns=int(overruns)))
board.load(path)
board.start()
end = time.monotonic() + 60
while board.state == BoardState.RUNNING and time.monotonic() < end:
    time.sleep(0.001)
print(board.fault().reason)
board.close()
