# SPDX-License-Identifier: MIT
"""The life of an online change: opened and measured, made, on trial, kept or taken back.

    opened  --make-->  on trial  --so many cycles-->  kept
       \\--drop           \\--a fault, or a stop-->  taken back

Opened, it is nothing but another image beside the running one. On trial the new program is the
board's, while the old one and its values stay, and stay what is stored: a power cut, too, takes
the change back. Worker thread only.
"""

from __future__ import annotations

import contextlib

from serial_runtime import board_change
from serial_runtime.board import BoardState
from serial_runtime.board_change import ChangeState, Phase
from serial_runtime.errors import BoardError, ImageError, StateError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.change_report import Fate, Row, carried_forces, compare, outside
from serial_runtime.plc.log import CRITICAL, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from serial_runtime.board import Board, Image
    from serial_runtime.plc.loader import Loader, Prepared
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.watch import Watch

# A probation that nobody has said the length of.
_PROBATION_NS = 10_000_000_000
_PROBATION_CYCLES = 10


class ChangeReport(NamedTuple):
    """What a change that was opened would do."""

    number: int
    rows: list[Row]
    figures: ChangeState
    probation: int  # cycles


class ChangeStatus(NamedTuple):
    """Of the present change, or of the last one."""

    state: str  # "", "opened", "on trial", "kept", "taken back"
    cycles_left: int
    text: str  # why it was taken back


class OnlineChange:
    """The one online change that may be under way."""

    def __init__(self, board: Board, loader: Loader, watch: Watch, log: Log) -> None:
        self._board = board
        self._loader = loader
        self._watch = watch
        self._log = log
        self._owner: Hashable = None
        self._prepared: Prepared | None = None
        self._number = 0
        self._image: Image | None = None
        self._probation = 0
        self._rows: list[Row] = []
        self._old_forces: dict[int, bytes] = {}
        self._made = False
        self._last = ChangeStatus("", 0, "")

    @property
    def open(self) -> bool:
        """A change is opened, and not made."""
        return self._prepared is not None and not self._made

    @property
    def on_trial(self) -> bool:
        """A change was made, and is neither kept nor taken back."""
        return self._prepared is not None and self._made

    def begin(self, owner: Hashable, prepared: Prepared, probation: int, strict: bool) -> int:
        """Open the prepared program and have the copy rehearsed; returns the change's number.

        ImageError, StateError.
        """
        old = self._loader.image
        if self._prepared is not None or old is None:
            raise StateError("there is no program to change, or another change is under way")
        new = board_change.open_change(prepared.path)
        try:
            rows, pairs = compare(old, new, self._watch.forced)
            rows += outside(board_change.statics())
            if strict:
                _refuse_losses(rows)
            period_ns = min(task.interval_ns for task in new.tasks)
            probation = probation or max(_PROBATION_NS // period_ns, _PROBATION_CYCLES)
            board_change.rehearse_change(pairs, probation)
        except BaseException:
            board_change.drop_change()
            raise
        self._owner, self._prepared, self._image = owner, prepared, new
        self._rows, self._probation, self._made = rows, probation, False
        self._number += 1
        self._last = ChangeStatus("opened", 0, "")
        return self._number

    def report(self, number: int) -> ChangeReport | None:
        """What it would do, once the copy was measured. StateError: it is gone."""
        self.require(number)
        figures = board_change.change_state()
        if figures.phase is Phase.REHEARSING:
            return None
        return ChangeReport(number, self._rows, figures, self._probation)

    def make(self, number: int) -> None:
        """Run the new program. StateError, ProgramFault: the old one runs on, the change is gone.

        The trace has ended in either case.
        """
        prepared = self.require(number)
        old, new = self._loader.image, self._image
        assert old is not None
        assert new is not None
        forces = self._watch.forces
        carried = carried_forces(old, new, forces)
        self._watch.trace.close()
        self._watch.trace.quiesce()
        try:
            board_change.make_change(carried)
        except BaseException:
            self.drop()
            self._loader.present_again()
            raise
        self._made = True
        self._old_forces = forces
        self._watch.replace_forces(carried)
        self._loader.change_to(prepared, new)
        self._last = ChangeStatus("on trial", self._probation, "")
        self._log.add(WARNING, f"changed online to program {prepared.program.md5}, on trial")

    def drop(self, owner: Hashable | None = None) -> None:
        """Forget a change that was not made; only if `owner` opened it, unless that is None."""
        if not self.open or owner not in (None, self._owner):
            return
        board_change.drop_change()
        self._forget(discard=True)
        self._last = ChangeStatus("", 0, "")

    def follow(self) -> None:
        """Every now and then: keep what has passed its trial, notice what was taken back."""
        if not self.on_trial:
            return
        state = board_change.change_state()
        # What the present cycle holds up is done at the next look.
        with contextlib.suppress(BoardError):
            if state.phase in (Phase.ROLLED_BACK, Phase.RELEASED):
                self._take_back()
            elif state.phase is Phase.CONFIRMED or (
                state.phase is Phase.PROBATION and state.cycles_left == 0
            ):
                self._keep()

    def stopped(self) -> None:
        """The program was stopped: on trial, the old one is the board's again."""
        if self.on_trial and self._board.state == BoardState.STOPPED:
            board_change.drop_change()
            self._back("the program was stopped while the change was on trial")

    def status(self) -> ChangeStatus:
        """How it stands."""
        if not self.on_trial:
            return self._last
        return self._last._replace(cycles_left=board_change.change_state().cycles_left)

    def require(self, number: int) -> Prepared:
        """The program of the change with this number, which is open. StateError."""
        if self._prepared is None or self._made or number != self._number:
            raise StateError("this online change is gone: begin it again")
        return self._prepared

    def _keep(self) -> None:
        assert self._prepared is not None
        try:
            board_change.keep_change()
        except StateError:
            return  # at the last moment; the next look finds out
        self._last = ChangeStatus("kept", 0, "")
        self._log.add(INFO, f"online change to program {self._prepared.program.md5} kept")
        prepared = self._prepared
        self._forget(discard=False)
        self._loader.keep_change(prepared)

    def _take_back(self) -> None:
        self._watch.trace.close()
        self._watch.trace.quiesce()
        self._back(board_change.drop_change())

    def _back(self, reason: str) -> None:
        self._last = ChangeStatus("taken back", 0, reason)
        self._log.add(CRITICAL, f"the online change was taken back: {reason}")
        running = self._board.state == BoardState.RUNNING
        self._watch.replace_forces(self._old_forces if running else {})
        self._loader.change_back(running=running)
        self._forget(discard=True)

    def _forget(self, *, discard: bool) -> None:
        if self._prepared is not None and discard:
            self._loader.discard(self._prepared)
        self._prepared = self._image = None
        self._rows, self._old_forces, self._made = [], {}, False


def _refuse_losses(rows: list[Row]) -> None:
    lost = [row for row in rows if row.fate in (Fate.RESET, Fate.DROPPED, Fate.OUTSIDE)]
    if lost:
        names = ", ".join(row.name or row.text for row in lost[:5])
        raise ImageError(
            f"{len(lost)} value{'s' * (len(lost) > 1)} would be lost ({names}"
            f"{', ...' * (len(lost) > 5)}), and the change was asked to lose none"
        )
