# SPDX-License-Identifier: MIT
"""What happens in the board by itself: messages of the program, faults, an end of the guard.

It is looked for every now and then, told in the log, and passed on to those whom it concerns.
"""

from __future__ import annotations

from serial_runtime.board import BoardState
from serial_runtime.plc.log import CRITICAL, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.board import Board
    from serial_runtime.plc.crashes import Crashes
    from serial_runtime.plc.log import Log

_UNGUARDED = (
    "outputs are not guarded, as the process that does it has ended or a GPIO chip was opened "
    "later than it began: they would stay as they are if the runtime died now; restart the runtime"
)


class Events:
    """Of one board. Worker thread only."""

    def __init__(
        self,
        board: Board,
        log: Log,
        crashes: Crashes,
        note: Callable[[int, str], None],
        ended: Callable[[], None],
    ) -> None:
        """`ended` is called when the program has crashed; `note` logs."""
        self._board = board
        self._log = log
        self._crashes = crashes
        self._note = note
        self._ended = ended
        self._fault_told = False
        self._unguarded_told = False
        self._drops_told = 0

    def take_messages(self) -> None:
        """Those of the program, into the log."""
        drops = self._board.log_dropped()
        records = self._board.drain_log()
        if records:
            self._log.extend(records)
        if drops != self._drops_told:
            self._note(WARNING, f"{drops - self._drops_told} messages of the program were lost")
            self._drops_told = drops

    def take_faults(self) -> None:
        """How the program does, and what guards its outputs."""
        state = self._board.state
        if state == BoardState.RUNNING:
            self._crashes.runs()
        elif state != BoardState.FAULTED:
            self._crashes.ended()
        if not self._board.guarded and not self._unguarded_told:
            self._unguarded_told = True
            self._note(CRITICAL, _UNGUARDED)
        if state == BoardState.FAULTED and not self._fault_told:
            self._fault_told = True
            self._ended()
            reason = self._board.fault().reason
            self._crashes.faulted(reason)
            self._note(CRITICAL, f"the program is broken: {reason}")
        if self._crashes.trouble:
            self._note(WARNING, self._crashes.trouble)
            self._crashes.trouble = ""
