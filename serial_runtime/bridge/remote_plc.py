# SPDX-License-Identifier: MIT
"""A board on a serial line: what all connections of the bridge share.

Each connection sees it through a `Seat`, because traces and forces belong to connections.

Forces set with a trace list (an IDE's) end with their connection: a crashed IDE must not leave a
force behind that nobody sees. Forces set one by one (`serial-runtime force`, which connects only
for a moment) belong to nobody and stay until they are released or the PLC stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from serial_runtime.board_types import Variable
from serial_runtime.bridge.forces import Forces
from serial_runtime.bridge.mirror import Mirror
from serial_runtime.bridge.shared_client import ABSENT_S, SharedClient
from serial_runtime.bridge.traces import Traces
from serial_runtime.bridge.uploads import Uploads
from serial_runtime.errors import (
    CallUnsupported,
    LinkError,
    SerialRuntimeError,
)
from serial_runtime.plc.log import WARNING
from serial_runtime.process_io.drivers import DriverState, PointState
from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.stub_api import Reference

T = TypeVar("T")
COMMANDS = "a command"  # owner of the forces that were set one by one


class RemotePLC:
    """The board, and what its clients have of it."""

    def __init__(
        self,
        open_client: Callable[[], Client],
        say: Callable[[str], object],
        absent_s: float = ABSENT_S,
    ) -> None:
        """`say` is told what the operator of the bridge should know; without a sign of it for
        `absent_s` the board is disconnected."""
        self.line = SharedClient(open_client, absent_s)
        self.mirror = Mirror(self.line, say, self._changed, self._polled)
        self.traces = Traces(
            self.line, lambda text: self.mirror.note(WARNING, text), self.mirror.saw
        )
        self.uploads = Uploads(say)
        self.capabilities = board_types.Capabilities()
        self._forces = Forces()
        self._forcing = threading.Lock()  # protects the three; held while the board is told
        self._orphans: set[Hashable] = set()  # owners that have gone before their forces
        self._doubt = False  # the board may have released some
        self._broken = False  # the program broke: none of them is left
        self._is_known = False  # the capabilities are those of the board that is there
        self._table: tuple[int, tuple[Variable, ...]] = (0, ())

    def start(self) -> None:
        """Begin to poll the board."""
        self.mirror.start()
        self.traces.start()

    def close(self) -> None:
        """Release what connections force, end the threads, close the line."""
        with self._forcing:
            self._orphans |= self._forces.owners - {COMMANDS}
            try:
                self._reconcile()
            except SerialRuntimeError as error:
                self.mirror.note(WARNING, f"forces stay on the board: {error}")
        self.line.close()
        self.traces.close()
        self.mirror.close()
        self.uploads.close()

    def call(self, work: Callable[[BoardServiceClient], T]) -> T:
        """Pass a call of service 2 on."""
        if not self.line.ours:
            raise CallUnsupported(
                "the board behind the bridge is a stock eRPC server: only the IDE's calls work"
            )
        return self.line.call(lambda client: work(client.board))

    def io_drivers(self) -> list[DriverState]:
        """Of the board."""
        found = Reference()
        self.call(lambda board: board.GetIoDrivers(found))
        return [
            DriverState(one.name, one.what, one.state, one.since_ns / 1e9) for one in found.value
        ]

    def io_points(self, first: int) -> list[PointState]:
        """As many as a reply of the board has."""
        found = Reference()
        self.call(lambda board: board.GetIoPoints(first, found))
        return [
            PointState(one.driver, one.address, one.source, one.width, one.value, one.good)
            for one in found.value
        ]

    def operate(self, work: Callable[[Client], T]) -> T:
        """Pass on what changes the PLC; the status is true again when it returns."""
        try:
            answer = self.line.operate(work)
        except LinkError:
            raise
        except SerialRuntimeError:
            self._refresh()
            raise
        self._refresh()
        return answer

    def variables(self, table: int) -> tuple[Variable, ...]:
        """The variable table; fetched once for each program."""
        if table != self._table[0] or not table:
            rows: list[Variable] = []
            while part := self._rows(table, len(rows)):
                rows += part
            self._table = (table, tuple(rows))
        return self._table[1]

    def _rows(self, table: int, first: int) -> list[Variable]:
        found = Reference()
        self.call(lambda board: board.GetVariables(table, first, found))
        return [
            Variable(
                index,
                row.path,
                row.iec_type,
                row.direction,
                row.location,
                row.options,
                row.capacity,
            )
            for index, row in enumerate(found.value, first)
        ]

    def program(self) -> board_types.ProgramInfo:
        """What is loaded."""
        found = Reference()
        self.call(lambda board: board.GetProgram(found))
        info: board_types.ProgramInfo = found.value
        return info

    # ---- forces ------------------------------------------------------------------------------

    def force(
        self,
        writer: Hashable,
        table: int,
        change: Callable[[Forces], Forces],
        released: Mapping[int, bytes] | None = None,
    ) -> None:
        """Change the book and tell the board. VariableError, LinkError: nothing is changed.

        `released` may name variables that are not in the book: forced before the bridge came.
        """
        with self._forcing:
            self._reconcile()
            before, after = self._forces, change(self._forces)
            self._tell({**(released or {}), **before.changes(after)}, table)
            self._forces = after
        for index, loser, value in before.taken(after, writer):
            what = f"is forced to {value.hex()} now" if value else "is released"
            self.mirror.note(
                WARNING,
                f"{self._name(index)} {what} by {writer}: {loser.owner} had forced it to "
                f"{loser.value.hex()}",
            )

    def release_forces(self) -> None:
        """Release every force, whosever it is."""
        with self._forcing:
            self.call(BoardServiceClient.ReleaseForces)
            self._forces = Forces()

    def disconnected(self, owner: Hashable) -> None:
        """An owner has gone: release what it forces, now or when the board is back."""
        with self._forcing:
            if not self._forces.of(owner):
                return
            self._orphans.add(owner)
            try:
                self._reconcile()
            except SerialRuntimeError as error:
                self.mirror.note(WARNING, f"forces of {owner} cannot be released yet: {error}")

    def _tell(self, changes: Mapping[int, bytes], table: int) -> None:
        if changes:
            orders = [board_types.Force(index, value) for index, value in changes.items()]
            self.call(lambda board: board.ForceVariables(table, orders))

    def _reconcile(self) -> None:
        """With _forcing held: bring the book up to date with what happened to the board."""
        if self._broken:
            self._broken, self._forces = False, Forces()
        if not (self._doubt or self._orphans) or not self._forces:
            self._doubt = False
            self._orphans.clear()
            return
        table, found = Reference(), Reference()
        self.call(lambda board: board.GetForced(table, found))
        self._forces = self._forces.restricted(set(found.value))
        self._doubt = False
        for owner in list(self._orphans):
            after = self._forces.replaced(owner, {})
            released = self._forces.changes(after)
            self._tell(released, table.value)
            self._forces = after
            self._orphans.discard(owner)
            if released:
                self.mirror.note(
                    WARNING,
                    f"forces of {owner}, which has disconnected, are released: "
                    + ", ".join(map(self._name, released)),
                )

    def _changed(self, before: int) -> None:
        """The PLC's status is another, or the board restarted: it may have released forces."""
        self._doubt = True
        if self.mirror.state == Status.Broken:
            self._broken = True
        if before == Status.Disconnected:
            self._is_known = False

    def _polled(self) -> None:
        """The board is there: catch up."""
        if not self._is_known and self.line.ours:
            found = Reference()
            self.call(lambda board: board.GetCapabilities(found))
            self.capabilities = found.value
        self._is_known = True
        with self._forcing:
            self._reconcile()

    def _name(self, index: int) -> str:
        rows = self._table[1]
        return rows[index].path if index < len(rows) else f"variable {index}"

    def _refresh(self) -> None:
        try:
            self.mirror.refresh()
        except SerialRuntimeError:
            return  # the mirror's thread will see
