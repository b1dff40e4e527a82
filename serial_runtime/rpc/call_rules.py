# SPDX-License-Identifier: MIT
"""What a client has to know of single methods: which may execute twice, and which take long."""

from __future__ import annotations

from serial_runtime.rpc.board.interface import IBoardService as Board
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

# Service and method of the calls that must not execute twice: of our board, and of a stock one.
_NOT_TWICE = frozenset(
    {
        (Ide.SERVICE_ID, Ide.NEWPLC_ID),
        (Ide.SERVICE_ID, Ide.REPAIRPLC_ID),
        (Ide.SERVICE_ID, Ide.RESETLOGCOUNT_ID),
        (Ide.SERVICE_ID, Ide.STARTPLC_ID),
        (Ide.SERVICE_ID, Ide.STOPPLC_ID),
        (Board.SERVICE_ID, Board.STARTCOLD_ID),
        (Board.SERVICE_ID, Board.PREPARECHANGE_ID),
        (Board.SERVICE_ID, Board.MAKECHANGE_ID),
    }
)
_NOT_TWICE_STOCK = _NOT_TWICE | {
    (Ide.SERVICE_ID, Ide.APPENDCHUNKTOBLOB_ID),
    (Ide.SERVICE_ID, Ide.GETTRACEVARIABLES_ID),
}
# These decode, or wait for disk, a trial load, or a program's init.
_SLOW = frozenset(
    {
        (Ide.SERVICE_ID, Ide.NEWPLC_ID),
        (Ide.SERVICE_ID, Ide.REPAIRPLC_ID),
        (Ide.SERVICE_ID, Ide.STARTPLC_ID),
        (Ide.SERVICE_ID, Ide.STOPPLC_ID),
        (Board.SERVICE_ID, Board.FINISHUPLOAD_ID),
        (Board.SERVICE_ID, Board.CLEARRETAINED_ID),
        (Board.SERVICE_ID, Board.STARTCOLD_ID),
        (Board.SERVICE_ID, Board.PREPARECHANGE_ID),
        (Board.SERVICE_ID, Board.MAKECHANGE_ID),
    }
)
_SLOW_S = 60.0


def may_repeat(service: int, method: int, *, ours: bool) -> bool:
    """Whether a call may execute twice; `ours`: on a board that keeps samples and blobs for it."""
    return (service, method) not in (_NOT_TWICE if ours else _NOT_TWICE_STOCK)


def patience_s(service: int, method: int, timeout_s: float) -> float:
    """How long to wait for the answer of a call, where `timeout_s` is for ordinary ones."""
    return max(timeout_s, _SLOW_S) if (service, method) in _SLOW else timeout_s
