# SPDX-License-Identifier: MIT
"""What each worker of the farm does with its board, through the rig's own fixtures."""

from __future__ import annotations

import time
from collections.abc import Callable

from hil.boards.board import Board, Pins
from hil.boards.folders import ROOT
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

_PATIENCE_S = 300.0


def _wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.05)


def test_load_run_check_force(
    board: Board, plc: Client, program: Callable[..., bytes], pins: Pins
) -> None:
    plc.download(program(ROOT / "hil" / "programs" / "pins.c"))
    plc.start()
    assert plc.status().status == Status.Started
    pins["DI1"] = True
    _wait_until(lambda: pins["DO1"])
    plc.force({"DO2": b"\1"})
    _wait_until(lambda: pins["DO2"])
    plc.unforce()
    _wait_until(lambda: not pins["DO2"])
    plc.stop()
    _wait_until(lambda: not pins["DO1"])
    board.go("off")
