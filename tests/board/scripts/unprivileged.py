# SPDX-License-Identifier: MIT
"""Gives up every capability, runs an image all the same, and prints what it says as JSON.

Arguments: the image, how many bytes may be locked.
"""

import ctypes
import json
import resource
import sys
import threading
import time

resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
may_lock = int(sys.argv[2])
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (may_lock, may_lock))
except ValueError:  # without privilege it can only be lowered
    print("null")
    sys.exit()
libc = ctypes.CDLL(None, use_errno=True)
CAP_VERSION_3 = 0x20080522
header, none = (ctypes.c_uint32 * 2)(CAP_VERSION_3, 0), (ctypes.c_uint32 * 6)()
if libc.capset(header, none) != 0:
    raise OSError(ctypes.get_errno(), "capset")

from serial_runtime.board import Board, Options  # noqa: E402

board = Board(Options())
said = {"before": board.scheduling}
board.load(sys.argv[1])
board.start()
end = time.monotonic() + 60
while board.statistics().ticks < 20 and time.monotonic() < end:
    time.sleep(0.001)
threads = [threading.Thread(target=lambda: None) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
block = bytearray(8 << 20)  # more than 1 MiB
said.update(
    real_time=board.real_time, running=board.scheduling, ticks=board.statistics().ticks,
    state=board.state.name, backend=board.backend,
)  # fmt: skip
board.stop()
board.close()
print(json.dumps(said))
