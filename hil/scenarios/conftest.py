# SPDX-License-Identifier: MIT
"""What the scenarios have beside the fixtures of ``hil.plugin``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hil.boards.board import Board
from hil.scenarios.host import SOURCE, Host
from serial_runtime.rpc.client import Client


@pytest.fixture
def host(board: Board, tmp_path: Path) -> Host:
    """A user's computer at the host's end of the line."""
    return Host(tmp_path, board.uri)


@pytest.fixture
def running(plc: Client, program: Callable[[str | Path], bytes]) -> Client:
    """The board, with ``hil/programs/scenario.c`` running on it."""
    plc.download(program(SOURCE))
    plc.start()
    return plc
