# SPDX-License-Identifier: MIT
"""Change the program OLD to NEW, which crashes; tell as JSON what became of it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from serial_runtime import board_change as change
from serial_runtime.board import Board, BoardState, Options
from serial_runtime.board_change import Phase
from serial_runtime.errors import SerialRuntimeError

told: dict[str, object] = {}


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, told
        time.sleep(0.001)


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except SerialRuntimeError as error:
        return str(error)
    return ""


board = Board(Options(priority=0, cpu_latency_us=-1, watchdog_ns=200_000_000))
image = board.load(sys.argv[1])
paths = [variable.path for variable in image.variables]
counters: list[int] = []
ticks: list[int] = []


def count() -> None:
    tick, value = board.read([paths.index("COUNTER")])
    ticks.append(tick)
    counters.append(struct.unpack("<I", value)[0])


def made() -> bool:
    """Again, if this machine was too busy to leave a cycle the time."""
    told["init"] = refusal(lambda: change.make_change({}))
    if "takes" in str(told["init"]):
        change.drop_change()  # the rehearsal was held up
        prepare()
    return not told["init"] or "init" in str(told["init"]) or board.state == BoardState.FAULTED


def end() -> NoReturn:
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)  # as execve: nothing of a tainted process is run down


def prepare() -> None:
    path = f"{sys.argv[2]}.{time.monotonic_ns()}"  # a process takes each once
    shutil.copy(sys.argv[2], path)
    new = change.open_change(path)
    known = [(paths.index(row.path), row.index) for row in new.variables if row.path in paths]
    usable = [
        (before, after)
        for before, after in known
        if change.conversion(image.variables[before], new.variables[after])
    ]
    change.rehearse_change(usable, 100000)
    until(lambda: change.change_state().phase is Phase.READY)


board.start()
board.set_forces({paths.index("SPEED"): struct.pack("<h", 9)})
until(lambda: board.read([])[0] > 30)
prepare()
count()
until(made)
if board.state == BoardState.FAULTED:
    told["crash"] = board.fault().reason
    told["drop"] = change.drop_change()
    count()
    told.update(counters=counters)
    end()
if "stop" in sys.argv:
    until(lambda: change.change_state().phase is Phase.ROLLED_BACK)
    board.stop()
    told["fault"] = change.drop_change()
    told["logs"] = [record.text for record in board.drain_log()]
    told.update(tainted=board.tainted, state=board.state)
    end()
if not told["init"]:
    until(lambda: change.change_state().phase is Phase.ROLLED_BACK)
    told["read"] = refusal(lambda: board.read([0]))
    told["keep"] = refusal(change.keep_change)
told["fault"] = change.drop_change()
count()
told["forced"] = struct.unpack("<h", board.read([paths.index("SPEED")])[1])[0]
told["text"] = board.read([paths.index("TEXT")])[1][1:].decode()
until(lambda: board.read([])[0] > ticks[-1] + 5)
count()
told.update(counters=counters, ticks=ticks, tainted=board.tainted, running=board.state == 2)
told["again"] = refusal(lambda: change.open_change(sys.argv[2]))
board.stop()
told["start"] = refusal(board.start)
end()
