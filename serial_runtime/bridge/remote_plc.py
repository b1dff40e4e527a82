# SPDX-License-Identifier: MIT
"""A board on a serial line with the interface of the PLC object, for `rpc.server`.

`RemotePLC` is what all connections share; a `Seat` is one connection's view of it, because traces
and forces belong to connections. Meaning and errors of the methods are those of
``plc.plc_object``, and LinkError where the line is needed and is gone. Any thread.

Forces set with a trace list (an IDE's) end with their connection: a crashed IDE must not leave a
force behind that nobody sees. Forces set one by one (`serial-runtime force`, which connects only
for a moment) belong to nobody and stay until they are released or the PLC stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from erpc import Reference

from serial_runtime.board_types import LogRecord, Variable
from serial_runtime.bridge.forces import Forces
from serial_runtime.bridge.mirror import Mirror
from serial_runtime.bridge.shared_client import ABSENT_S, SharedClient
from serial_runtime.bridge.traces import Traces
from serial_runtime.bridge.uploads import Uploads
from serial_runtime.errors import (
    CallUnsupported,
    LinkError,
    SerialRuntimeError,
    TraceError,
)
from serial_runtime.plc.answers import PlcStatus, TraceBatch
from serial_runtime.plc.coding import UploadPlan
from serial_runtime.plc.log import WARNING
from serial_runtime.plc.trace import ALL_TICKS, TraceOptions
from serial_runtime.plc.watch import FORCE_OVERFLOW, INVALID, LIST_OVERFLOW, SUSPENDED, WRONG_SIZE
from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

T = TypeVar("T")
COMMANDS = "a command"  # owner of the forces that were set one by one
_FORCES_MOST = 4096


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
        self._is_known = False  # the capabilities are those of the board that is there
        self._table: tuple[int, tuple[Variable, ...]] = (0, ())

    def start(self) -> None:
        """Begin to poll the board."""
        self.mirror.start()
        self.traces.start()

    def close(self) -> None:
        """End the threads, close the line."""
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

    def operate(self, what: str, work: Callable[[Client], T]) -> T:
        """Pass on what changes the PLC; the status is true again when it returns.

        A refusal stands in the board's own log; that the line was gone is told here.
        """
        try:
            answer = self.line.operate(work)
        except LinkError as error:
            self.mirror.note(WARNING, f"{what} failed: {error}")
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


class Seat:
    """One connection's view of the board, with the interface of the PLC object."""

    restart = None  # it is the board that restarts, never the bridge

    def __init__(self, plc: RemotePLC, name: str) -> None:
        """`name` says in the log who it is."""
        self._plc = plc
        self._name = name

    def __str__(self) -> str:
        return self._name

    def close(self) -> None:
        """The connection has ended: its traces and forces do, too."""
        self._plc.traces.unsubscribe(self)
        self._plc.disconnected(self)

    def log(self, level: int, text: str) -> None:
        """A message about this client, for the log."""
        self._plc.mirror.note(level, f"{text} ({self._name})")

    # ---- service 1 ---------------------------------------------------------------------------

    def status(self) -> tuple[int, tuple[int, int, int, int]]:
        return self._plc.mirror.status()

    def log_message(self, level: int, msg_id: int) -> LogRecord:
        return self._plc.mirror.log.message(level, msg_id)

    def reset_log(self) -> None:
        self._plc.mirror.reset_log()

    def seed_blob(self, owner: Hashable, seed: bytes) -> bytes:
        return self._plc.uploads.seed(owner, seed)

    def append_chunk(self, owner: Hashable, data: bytes, blob_id: bytes) -> bytes:
        return self._plc.uploads.append(owner, data, blob_id)

    def purge_blobs(self, owner: Hashable) -> None:
        self._plc.uploads.purge(owner)

    def owner_closed(self, owner: Hashable) -> None:
        self._plc.uploads.owner_closed(owner)

    def match_md5(self, md5: str) -> bool:
        return self._plc.line.call(lambda client: client.match_md5(md5))

    def new_plc(
        self,
        owner: Hashable,
        md5: str,
        blob_id: bytes,
        extra_files: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        plc = self._plc
        try:
            image, files = plc.uploads.take(owner, md5, blob_id, extra_files)
        except SerialRuntimeError as error:
            self.log(WARNING, f"new program refused: {error}")
            raise
        plc.operate("the download", lambda client: plc.uploads.send(client, image, md5, files))
        plc.uploads.discard(owner, [blob_id, *(one for _, one in extra_files)])
        plc.traces.program_loaded(plc.program().table if plc.line.ours else 0)

    def start(self) -> None:
        self._plc.operate("StartPLC", Client.start)

    def stop(self) -> None:
        self._plc.operate("StopPLC", Client.stop)

    def repair(self) -> None:
        self._plc.operate("RepairPLC", Client.repair)
        self._plc.traces.program_loaded(0)

    def set_trace_list(self, orders: Sequence[tuple[int, bytes]]) -> int:
        plc, indices = self._plc, [index for index, _ in orders]
        if not orders:
            plc.traces.unsubscribe(self)
            return SUSPENDED
        if not plc.line.ours:
            return plc.traces.subscribe_stock(self, orders)
        forces = {index: value for index, value in orders if value}
        code = INVALID
        try:
            table = plc.program().table
            plc.traces.check(table, indices)
            code = FORCE_OVERFLOW if len(forces) > _FORCES_MOST else WRONG_SIZE
            plc.force(self, table, lambda book: book.replaced(self, forces))
            code = LIST_OVERFLOW
            return plc.traces.subscribe(self, table, indices)
        except LinkError as error:
            self.log(WARNING, f"trace list failed: {error}")
            raise
        except SerialRuntimeError as error:
            self.log(WARNING, f"trace list refused: {error}")
            return code

    def get_traces(self, token: int, max_bytes: int) -> tuple[int, list[tuple[int, bytes]]]:
        try:
            return self._plc.mirror.state, self._plc.traces.take(token, max_bytes)
        except TraceError:
            return int(Status.Broken), []

    # ---- service 2 ---------------------------------------------------------------------------

    def open_upload(self, owner: Hashable, plan: UploadPlan) -> tuple[int, bytes]:
        return self._plc.uploads.open(owner, plan)

    def write_upload(self, owner: Hashable, offset: int, data: bytes) -> None:
        self._plc.uploads.write(owner, offset, data)

    def finish_upload(self, owner: Hashable) -> None:
        self._plc.uploads.finish(owner)

    def board_status(self) -> board_types.BoardStatus:
        if not self._plc.line.ours:
            what = "unknown: the board is a stock eRPC server"
            return board_types.BoardStatus(plc=self._plc.mirror.state, scheduling=what)
        found = Reference()
        self._plc.call(lambda board: board.GetBoardStatus(found))
        status: board_types.BoardStatus = found.value
        return status

    def program(self) -> board_types.ProgramInfo:
        return self._plc.program() if self._plc.line.ours else board_types.ProgramInfo()

    def variables(self, table: int) -> tuple[Variable, ...]:
        return self._plc.variables(table)

    def read_variables(self, indices: Sequence[int], table: int) -> tuple[int, bytes]:
        tick, values = Reference(), Reference()
        self._plc.call(lambda board: board.ReadVariables(table, list(indices), tick, values))
        return tick.value, values.value

    def force_variables(self, values: Mapping[int, bytes], table: int) -> None:
        released = {index: value for index, value in values.items() if not value}
        self._plc.force(COMMANDS, table, lambda book: book.updated(COMMANDS, values), released)

    def forced(self) -> tuple[int, list[int]]:
        table, indices = Reference(), Reference()
        self._plc.call(lambda board: board.GetForced(table, indices))
        return table.value, indices.value

    def release_forces(self) -> None:
        self._plc.release_forces()

    def statistics(self, reset: bool = False) -> board_types.CycleStatistics:
        found = Reference()
        self._plc.call(lambda board: board.GetStatistics(reset, found))
        statistics: board_types.CycleStatistics = found.value
        return statistics

    def open_trace(
        self, indices: Sequence[int], table: int, options: TraceOptions = ALL_TICKS
    ) -> int:
        if not self._plc.line.ours:
            raise CallUnsupported("the board behind the bridge is a stock eRPC server")
        if options.trigger is not None:
            raise TraceError("a bridge has no triggers: connect to the board itself for that")
        if not indices:
            raise TraceError("no variables to trace: name at least one")
        every = max(1, options.every)
        return self._plc.traces.subscribe(self, table, indices, keeps=True, every=every)

    def read_trace(
        self, token: int, cursor: int, max_bytes: int, longest_bytes: int = 0
    ) -> TraceBatch:
        state = PlcStatus(self._plc.mirror.state)
        return self._plc.traces.read(token, cursor, state, max_bytes, longest_bytes)

    def close_trace(self, token: int) -> None:
        self._plc.traces.end(token)
