# SPDX-License-Identifier: MIT
"""Who gets a fault signal: ours on the scan thread, their owner on every other one.

Arguments: what happens in the end, a good image, one that crashes. In the end: "python" (the
interpreter itself crashes), "python-abort", "default" (it crashes without faulthandler),
"program" (the image crashes after faulthandler took the signals from us; then one is sent).
"""

import ctypes
import faulthandler
import os
import signal
import sys
import time

from serial_runtime.board import Board, BoardState, Options

end, good, bad = sys.argv[1:]
board = Board(Options(cpu_latency_us=-1))
if end in ("python", "python-abort"):
    faulthandler.enable()
board.load(good)
board.start()
board.stop()
if end == "program":
    faulthandler.enable()
print("ready", flush=True)
if end == "python-abort":
    os.abort()
if end in ("python", "default"):
    ctypes.string_at(0)
board.load(bad)
board.start()
limit = time.monotonic() + 60
while board.state == BoardState.RUNNING and time.monotonic() < limit:
    time.sleep(0.001)
print(board.fault().reason, flush=True)
os.kill(os.getpid(), signal.SIGFPE)
