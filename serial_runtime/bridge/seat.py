# SPDX-License-Identifier: MIT
"""One connection's view of the board, with the interface of the PLC object.

Meaning and errors of the methods are those of ``plc.plc_object``, and LinkError where the line is
needed and is gone. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from serial_runtime.board_types import LogRecord, Variable
from serial_runtime.bridge.changes import Changes
from serial_runtime.bridge.figures import Figures
from serial_runtime.bridge.remote_plc import COMMANDS, RemotePLC
from serial_runtime.errors import (
    CallRefused,
    CallUnsupported,
    LinkError,
    SerialRuntimeError,
    TraceError,
)
from serial_runtime.plc.answers import TraceBatch
from serial_runtime.plc.coding import UploadPlan
from serial_runtime.plc.log import WARNING
from serial_runtime.plc.retain import RetainedValue, RetainStatus
from serial_runtime.plc.retain_file import Key
from serial_runtime.plc.trace import ALL_TICKS, TraceOptions
from serial_runtime.plc.watch import (
    FORCE_OVERFLOW,
    INVALID,
    LIST_OVERFLOW,
    MAX_FORCES,
    SUSPENDED,
    WRONG_SIZE,
)
from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.stub_api import Reference


class Seat:
    """What `rpc.server` serves on one connection."""

    restart = None  # it is the board that restarts, never the bridge

    def __init__(self, plc: RemotePLC, name: str) -> None:
        """`name` says in the log who it is."""
        self._plc = plc
        self.figures = Figures(plc)
        self.changes = Changes(plc)
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
            with plc.uploads.sending():
                plc.operate(lambda client: plc.uploads.send(client, image, md5, files))
        except SerialRuntimeError as error:
            # Not all of this is the board's, and in its log.
            self.log(WARNING, f"the download failed: {error}")
            raise
        plc.uploads.discard(owner, [blob_id, *(one for _, one in extra_files)])
        plc.traces.program_loaded(plc.program().table if plc.line.ours else 0)

    def start(self, cold: bool = False) -> None:
        self._operate("StartPLC", lambda client: client.start(cold))

    def stop(self) -> None:
        self._operate("StopPLC", Client.stop)

    def repair(self) -> None:
        self._operate("RepairPLC", Client.repair)
        self._plc.traces.program_loaded(0)

    def _operate(self, what: str, work: Callable[[Client], None]) -> None:
        try:
            self._plc.operate(work)
        # The refusals of its PLC stand in the board's own log; those of its policy do not.
        except (LinkError, CallRefused) as error:
            self.log(WARNING, f"{what} failed: {error}")
            raise

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
            code = FORCE_OVERFLOW if len(forces) > MAX_FORCES else WRONG_SIZE
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

    def supervision(self) -> board_types.Supervision:
        found = Reference()
        self._plc.call(lambda board: board.GetSupervision(found))
        supervision: board_types.Supervision = found.value
        return supervision

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

    def retained(self, first: int) -> tuple[RetainStatus, list[RetainedValue]]:
        status, found = Reference(), Reference()
        self._plc.call(lambda board: board.GetRetained(first, status, found))
        told: board_types.RetainStatus = status.value
        values = [
            RetainedValue(Key(one.path, one.iec_type, one.capacity), one.value, one.orphan)
            for one in found.value
        ]
        known = RetainStatus(
            told.enabled,
            told.kept,
            told.orphans,
            told.writes,
            told.written_ago_ns,
            told.trouble,
        )
        return known, values

    def clear_retained(self) -> None:
        self._plc.call(BoardServiceClient.ClearRetained)

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
    ) -> tuple[int, TraceBatch]:
        traces = self._plc.traces
        return self._plc.mirror.state, traces.read(token, cursor, max_bytes, longest_bytes)

    def close_trace(self, token: int) -> None:
        self._plc.traces.end(token)
