# SPDX-License-Identifier: MIT
"""A program that crashes, and the outputs that its I/O thread is told. Argument: the image."""

import sys
import time

from serial_runtime.board import Board, BoardState, Options
from serial_runtime.board_io import AREA_BYTES, PartPort
from serial_runtime.board_types import IoPart

none = bytes(AREA_BYTES)
lamp = bytes([1]) + bytes(AREA_BYTES - 1)
part = IoPart(inputs=lamp, outputs=lamp, lost=none, safe=none, stale_ns=10**12)
board = Board(Options(priority=0, cpu_latency_us=-1, io_parts=(part,)))
port = PartPort(0)
board.load(sys.argv[1])
board.start()
end = time.monotonic() + 60
while port.take()[1] != lamp and time.monotonic() < end:
    time.sleep(0.0005)
print(port.take()[0] != 2)
port.publish(lamp)  # it crashes when it sees that its lamp was seen
while board.state != BoardState.FAULTED and time.monotonic() < end:
    time.sleep(0.0005)
news, outputs = port.take()
print(news.name, outputs == none)
