# SPDX-License-Identifier: MIT
"""Crashes a program after its retain variables were asked for, or in its fini; prints as JSON
what can be taken then.

Arguments: the image, and when it crashes: "cycle" or "fini".
"""

import contextlib
import json
import sys
import time

from serial_runtime.board import Board, BoardState, Options
from serial_runtime.errors import ProgramFault

CYCLES, CRASH_AT = 0, 5
path, when = sys.argv[1:]
board = Board(Options(priority=0, cpu_latency_us=-1))
board.load(path)
board.start()
while board.read([CYCLES])[1] == b"\0\0\0\0":
    time.sleep(0.0005)
before = None
if when == "cycle":
    board.ask_retained()
    while (before := board.take_retained()) is None:
        time.sleep(0.0005)
    board.ask_retained()  # this answer is not taken before the crash
    board.set_forces({CRASH_AT: (1).to_bytes(4, "little")})
    while board.state == BoardState.RUNNING:
        time.sleep(0.0005)
else:
    with contextlib.suppress(ProgramFault):
        board.stop()
after = board.take_retained()
said = {"state": board.state.name}
for name, found in (("before", before), ("after", after)):
    said[name] = None if found is None else [found[0], found[1].hex()]
print(json.dumps(said), flush=True)
