# SPDX-License-Identifier: MIT
"""What the PLC object answers with; names and meanings as in rpc/ide.erpc and rpc/board.erpc."""

from __future__ import annotations

from enum import IntEnum

from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.board import Task


class PlcStatus(IntEnum):
    """The status enum of service 1, without Disconnected, which no board says of itself."""

    EMPTY = 0
    STOPPED = 1
    STARTED = 2
    BROKEN = 3


class RestartPlan(NamedTuple):
    """The process shall re-execute itself once the reply is sent.

    `start`: autoload(True) there, whatever the profile says; otherwise autoload(False).
    """

    start: bool
    reason: str


class BoardStatus(NamedTuple):
    """State of the whole board."""

    plc: PlcStatus
    real_time: bool
    scheduling: str
    forced: int
    traced: int
    trace_lost: int
    fault: str
    uptime_ns: int


class Supervision(NamedTuple):
    """Crashes of the program, see ``crashes``, and the guard of the outputs."""

    safe_mode: bool
    crashes: int  # in a row
    crash_limit: int
    last_crash: str
    guarded: bool


class ProgramInfo(NamedTuple):
    """The loaded program; `md5` also when it is stored but not loaded."""

    loaded: bool
    md5: str
    name: str
    build_id: str
    variables: int
    table: int  # which variable table; 0: none
    tasks: tuple[Task, ...]


class TraceBatch(NamedTuple):
    """Samples of one ReadTrace; names as in rpc/board.erpc."""

    next_cursor: int
    more: bool
    done: bool
    lost: int
    decimated: int
    every: int
    since: int
    capture: int
    trigger_tick: int
    timed_out: bool
    coding: int
    records: int
    samples: bytes
