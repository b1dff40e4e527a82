# SPDX-License-Identifier: MIT
"""Online changes as clients ask for them: prepare, make or drop, and how it stands.

What it takes to make one is ``online_change``, imported with the first.
"""

from __future__ import annotations

import time

from serial_runtime.board import BoardState
from serial_runtime.errors import SerialRuntimeError, StateError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.installation import Uploaded
from serial_runtime.worker import serialized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from serial_runtime.board import Board
    from serial_runtime.plc.change_report import Row
    from serial_runtime.plc.installation import Installation
    from serial_runtime.plc.loader import Loader, Prepared
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.online_change import ChangeReport, ChangeStatus, OnlineChange
    from serial_runtime.plc.watch import Watch
    from serial_runtime.worker import Worker

_MEASURING_S = 30.0
_POLL_S = 0.005


class Order(NamedTuple):
    """What a change is asked for with."""

    md5: str
    blob_id: bytes
    extra_files: Sequence[tuple[str, bytes]] = ()
    probation: int = 0  # cycles; 0: as many as ten seconds hold
    strict: bool = False  # refuse it if a value would be lost


class Changes:
    """Of one PLC. Any thread, but for what says worker."""

    def __init__(
        self,
        worker: Worker,
        board: Board,
        loader: Loader,
        watch: Watch,
        log: Log,
        installation: Installation,
    ) -> None:
        self.worker = worker
        self._board = board
        self._loader = loader
        self._watch = watch
        self._log = log
        self._installation = installation
        self._change: OnlineChange | None = None

    def prepare(self, owner: Hashable, order: Order) -> ChangeReport:
        """Store uploads as for a load, open the program beside the running one, and measure.

        Nothing that runs is changed. Refusals as of a load, and StateError: nothing runs, or the
        copy cannot be measured. The owner's end, or another program, drops the change.
        """
        md5, blob_id, extra_files, probation, strict = order

        def begin(prepared: Prepared) -> ChangeReport:
            return self._measured(self._begin(owner, prepared, probation, strict))

        uploaded = Uploaded(md5, blob_id, extra_files)
        return self._installation.run(owner, uploaded, begin, another=True)

    @serialized
    def rows(self, number: int, first: int) -> Sequence[Row]:
        """The report of the change that is open, from row `first` on. StateError."""
        report = self._known().report(number)
        return report.rows[first:] if report is not None else ()

    @serialized
    def make(self, number: int) -> None:
        """Run the new program in place of the present one, with its values.

        StateError, ProgramFault: it is dropped, and the present one runs on. A trace has ended.
        """
        try:
            self._known().make(number)
        except SerialRuntimeError as error:
            self._installation.refuse(error)
            raise

    @serialized
    def drop(self, number: int) -> None:
        """Forget a change that was prepared. StateError when it was made, or is another one."""
        self._known().require(number)
        self._known().drop()

    @serialized
    def status(self) -> ChangeStatus | None:
        """How the present or the last change stands; None: this process has made none."""
        self.follow()
        return self._change.status() if self._change is not None else None

    # Worker: what the PLC object tells.

    @property
    def on_trial(self) -> bool:
        """The program that runs is not the stored one, yet."""
        return self._change is not None and self._change.on_trial

    def follow(self) -> None:
        """Every now and then: keep what has passed its trial, notice what was taken back."""
        if self._change is not None:
            self._change.follow()

    def owner_closed(self, owner: Hashable) -> None:
        """A change that it has opened is dropped."""
        if self._change is not None:
            self._change.drop(owner)

    def make_way(self) -> None:
        """Another program will be loaded. StateError while a change is on trial."""
        if self._change is None:
            return
        if self._change.on_trial and self._board.state == BoardState.RUNNING:
            raise StateError(
                "an online change is on trial: wait until it is kept, or stop the program, which "
                "takes it back"
            )
        self._change.drop()

    def stopping(self) -> None:
        """The program is about to be stopped."""
        if self._change is not None:
            self._change.drop()

    def stopped(self) -> None:
        """It was: on trial, the old one is the board's again."""
        if self._change is not None:
            self._change.stopped()

    # Inside.

    @serialized
    def _begin(self, owner: Hashable, prepared: Prepared, probation: int, strict: bool) -> int:
        from serial_runtime.plc.online_change import OnlineChange

        if self._change is None:
            self._change = OnlineChange(self._board, self._loader, self._watch, self._log)
        try:
            return self._change.begin(owner, prepared, probation, strict)
        except BaseException:
            self._loader.discard(prepared)
            raise

    def _measured(self, number: int) -> ChangeReport:
        end_s = time.monotonic() + _MEASURING_S
        while time.monotonic() < end_s:
            report = self._report(number)
            if report is not None:
                return report
            time.sleep(_POLL_S)
        self.drop(number)
        raise StateError("the running program's cycles are too long to measure the change in them")

    @serialized
    def _report(self, number: int) -> ChangeReport | None:
        return self._known().report(number)

    def _known(self) -> OnlineChange:
        if self._change is None:
            raise StateError("there is no online change: prepare one first")
        return self._change
