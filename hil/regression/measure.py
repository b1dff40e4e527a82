# SPDX-License-Identifier: MIT
"""Runs on the board, where it is the only thing that is new: one case after the other, a line of
JSON each. Started by `steps.sh`."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time

sys.path[:0] = [sys.argv[1], "/usr/lib/python3/dist-packages"]

from serial_runtime.board import Board, Options  # noqa: E402

# Name, program, priority (0: SCHED_OTHER), whether all values are traced.
CASES = (
    ("fifo", "regular", 80, False),
    ("traced", "regular", 80, True),
    ("threads", "threaded", 80, False),
    ("overruns", "holding", 80, False),
    ("other", "regular", 0, False),
)


def run(program: str, priority: int, traced: bool, seconds: float) -> dict[str, object]:
    """One case, beside processes that want all of the processor."""
    copy = f"/tmp/{program}-{os.getpid()}-{time.monotonic_ns()}.so"
    shutil.copy(f"/stage/{program}.so", copy)
    load = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3)]
    board = Board(Options(priority=priority))
    try:
        image = board.load(copy)
        records = 0
        generation = board.set_trace([one.index for one in image.variables] if traced else [])
        board.start()
        time.sleep(0.2)
        board.statistics(reset=True)
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if traced:
                data = board.read_trace(generation, 65536, min(left_s, 0.1))
                records += len(data) // (8 + 4 * len(image.variables))
            else:
                time.sleep(left_s)
        counted = board.statistics()
        values = board.read([one.index for one in image.variables])[1]
        lost = board.trace_dropped()
        scheduling = board.scheduling
        board.stop()
    finally:
        board.close()
        for one in load:
            one.kill()
            one.wait()
    names = [one.path.lower() for one in image.variables]
    return {
        "scheduling": scheduling,
        "ticks": counted.ticks,
        "overruns": counted.overruns,
        "skipped": counted.skipped,
        "wakeup_p99_ns": counted.wakeup.p99_ns,
        "wakeup_max_ns": counted.wakeup.max_ns,
        "jitter_max_ns": counted.jitter.max_ns,
        "execution_max_ns": counted.execution.max_ns,
        "trace_records": records,
        "trace_lost": lost,
        **dict(zip(names, struct.unpack(f"<{len(names)}I", values), strict=True)),
    }


def main() -> None:
    """Each case in a process of its own: a process has one board in its life."""
    if len(sys.argv) > 3:
        _, program, priority, traced = CASES[int(sys.argv[3])]
        print("result:", json.dumps(run(program, priority, traced, float(sys.argv[2]))))
        return
    for number, case in enumerate(CASES):
        print("case:", case[0], flush=True)
        subprocess.run([sys.executable, "-IS", __file__, *sys.argv[1:], str(number)], check=True)


if __name__ == "__main__":
    main()
