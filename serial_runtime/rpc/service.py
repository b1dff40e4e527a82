# SPDX-License-Identifier: MIT
"""Service 2 over the PLC object: what its generated stub calls; ``ide_service`` is its twin.

Handlers raise; who carries the call decides what becomes of an exception: the envelope sends it
as a refusal with its sentence, a plain service 1 call has no place for a sentence and is answered
as `plain_refusal` says. One pair of handlers serves one link and is used by that link's thread
only.
"""

from __future__ import annotations

from serial_runtime.errors import VariableError
from serial_runtime.plc.changes import Order
from serial_runtime.plc.coding import UploadPlan, codings
from serial_runtime.plc.trace import TraceOptions
from serial_runtime.rpc.access import Role
from serial_runtime.rpc.board import common as board_types
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.detail import forces_text, program_text
from serial_runtime.rpc.limits import REPLY_OVERHEAD
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from typing import TypeVar

    from serial_runtime.board import Distribution
    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.rpc.about import About
    from serial_runtime.rpc.access import Caller
    from serial_runtime.rpc.limits import Limits
    from serial_runtime.rpc.served_line import ServedLine

    T = TypeVar("T")

_BATCH_OVERHEAD = 80  # the same of ReadTrace
_BIN_BYTES, _CYCLE_BYTES = 4, 20  # on the wire
_TROUBLE = 120  # characters of what is told beside retained values
_RETAIN_OVERHEAD = 96
_RETAINED_BYTES = 11  # of a retained value on the wire, beside its path and itself

_POINT_BYTES = 19  # of a point of process I/O, beside its two texts
_ROW_BYTES = 12  # of a variable on the wire, beside its two texts


class BoardHandler(IBoardService):
    """Service 2. `owner` names whose uploads the calls mean; it is set before each call."""

    def __init__(
        self, plc: PLC, limits: Limits, about: About, line: ServedLine, caller: Caller
    ) -> None:
        self.owner: Hashable = None
        self._plc = plc
        self._limits = limits
        self._about = about
        self._line = line
        self._caller = caller

    def GetCapabilities(self, capabilities: Reference) -> None:
        capabilities.value = board_types.Capabilities(
            id=self._about.board_id,
            runtime=self._about.runtime,
            machine=self._about.machine,
            backend=self._about.backend,
            max_frame=self._limits.max_frame,
            window=self._line.window,
            max_program=self._about.max_program,
            codings=codings(),
        )

    def GetBoardStatus(self, status: Reference) -> None:
        found = self._plc.board_status()
        status.value = board_types.BoardStatus(
            plc=found.plc,
            real_time=found.real_time,
            scheduling=found.scheduling,
            forced=found.forced,
            traced=found.traced,
            trace_lost=found.trace_lost,
            fault=found.fault,
            uptime_ns=found.uptime_ns,
        )

    def GetProgram(self, info: Reference) -> None:
        found = self._plc.program()
        info.value = board_types.ProgramInfo(
            loaded=found.loaded,
            md5=found.md5,
            name=found.name,
            build_id=found.build_id,
            variables=found.variables,
            table=found.table,
            tasks=[board_types.Task(t.name, t.interval_ns, t.priority) for t in found.tasks],
        )

    def GetVariables(self, table: int, first: int, variables: Reference) -> None:
        rows = self._fitting(
            self._plc.variables(table)[first:],
            lambda row: _ROW_BYTES + len(row.path.encode()) + len(row.location.encode()),
        )
        variables.value = [
            board_types.Variable(
                path=row.path,
                location=row.location,
                iec_type=row.type,
                direction=row.direction,
                options=row.options,
                capacity=row.capacity,
            )
            for row in rows
        ]

    def GetTypes(self, table: int, indices: list[int], types: Reference) -> None:
        rows = self._plc.variables(table)
        for index in indices:
            if index >= len(rows):
                raise VariableError(f"variable {index} does not exist: the program has {len(rows)}")
        types.value = bytes(rows[index].type for index in indices)

    def ReadVariables(
        self, table: int, indices: list[int], tick: Reference, values: Reference
    ) -> None:
        tick.value, values.value = self._plc.read_variables(indices, table)
        if len(values.value) > self._limits.reply_bytes - REPLY_OVERHEAD:
            raise VariableError(
                f"the values of these {len(indices)} variables take {len(values.value)} bytes, "
                f"a reply on this link {self._limits.reply_bytes}; read fewer at a time"
            )

    def ForceVariables(self, table: int, forces: list[board_types.Force]) -> None:
        values = {force.index: force.value for force in forces}
        self._caller.detail = forces_text(values)
        self._plc.force_variables(values, table)

    def GetForced(self, table: Reference, indices: Reference) -> None:
        table.value, forced = self._plc.forced()
        indices.value = sorted(forced)

    def ReleaseForces(self) -> None:
        self._plc.release_forces()

    def GetStatistics(self, reset: bool, statistics: Reference) -> None:
        if reset:
            self._caller.need(Role.OPERATE, "to reset the statistics")
        found = self._plc.statistics(reset)
        statistics.value = board_types.CycleStatistics(
            ticks=found.ticks,
            overruns=found.overruns,
            skipped=found.skipped,
            period_ns=found.period_ns,
            wakeup=_distribution(found.wakeup),
            execution=_distribution(found.execution),
            shim=_distribution(found.shim),
        )

    def GetRetained(self, first: int, status: Reference, values: Reference) -> None:
        found, kept = self._plc.retained(first)
        status.value = board_types.RetainStatus(
            enabled=found.enabled,
            kept=found.kept,
            orphans=found.orphans,
            writes=found.writes,
            written_ago_ns=found.written_ago_ns,
            trouble=found.trouble[:_TROUBLE],
        )
        rows = self._fitting(
            kept,
            lambda one: (
                _RETAINED_BYTES + len(one.key.path.encode("utf-8", "replace")) + len(one.value)
            ),
            _RETAIN_OVERHEAD + len(status.value.trouble.encode()),
        )
        values.value = [
            board_types.RetainedValue(*one.key, orphan=one.orphan, value=one.value) for one in rows
        ]

    def ClearRetained(self) -> None:
        self._plc.clear_retained()

    def StartCold(self) -> None:
        self._plc.start(cold=True)

    def OpenTrace(
        self, table: int, indices: list[int], options: board_types.TraceOptions, token: Reference
    ) -> None:
        asked = options.trigger
        trigger = None
        if asked.mode:
            from serial_runtime.plc.trigger import TriggerOrder

            trigger = TriggerOrder(
                asked.mode,
                asked.position,
                asked.condition,
                asked.value,
                asked.pre,
                asked.post,
                asked.timeout,
            )
        wanted = TraceOptions(options.compressors, options.every, trigger)
        token.value = self._plc.open_trace(indices, table, wanted)

    def ReadTrace(self, token: int, cursor: int, max_bytes: int, batch: Reference) -> None:
        room = min(max_bytes, self._limits.reply_bytes - _BATCH_OVERHEAD)
        longest = min(max_bytes, self._limits.most_reply - _BATCH_OVERHEAD)
        state, found = self._plc.read_trace(token, cursor, room, longest)
        batch.value = board_types.TraceBatch(
            plc=state,
            next_cursor=found.next_cursor,
            more=found.more,
            done=found.done,
            lost=found.lost,
            decimated=found.decimated,
            every=found.every,
            since=found.since,
            capture=found.capture,
            trigger_tick=found.trigger_tick,
            timed_out=found.timed_out,
            coding=found.coding,
            records=found.records,
            samples=found.samples,
        )

    def CloseTrace(self, token: int) -> None:
        self._plc.close_trace(token)

    def OpenUpload(self, plan: board_types.UploadPlan, offset: Reference, held: Reference) -> None:
        wanted = UploadPlan(
            plan.md5, plan.size, plan.coding, plan.base, plan.digest, plan.coded_size
        )
        offset.value, held.value = self._plc.open_upload(self.owner, wanted)

    def WriteUpload(self, offset: int, data: bytes) -> None:
        self._plc.write_upload(self.owner, offset, data)

    def FinishUpload(self) -> None:
        self._plc.finish_upload(self.owner)

    def GetTaskStatistics(self, task: int, statistics: Reference) -> None:
        found = self._plc.figures.task(task)
        statistics.value = board_types.TaskStatistics(
            name=found.name,
            interval_ns=found.interval_ns,
            runs=found.runs,
            overruns=found.overruns,
            skipped=found.skipped,
            load_ppm=found.load_ppm,
            own_thread=found.own_thread,
            wakeup=_timing(found.wakeup),
            execution=_timing(found.execution),
            jitter=_timing(found.jitter),
            shim=_timing(found.shim),
            mode_switches=found.mode_switches,
        )

    def GetBins(self, task: int, figure: int, first: int, bins: Reference) -> None:
        bins.value = self._plc.figures.bins(task, figure, first, self._room(_BIN_BYTES))

    def GetRecord(self, task: int, cause: int, first: int, record: Reference) -> None:
        found = self._plc.figures.record(task, cause, first, self._room(_CYCLE_BYTES))
        record.value = board_types.MaximumRecord(
            number=found.number,
            cause=found.cause,
            value_ns=found.value_ns,
            before_ns=found.before_ns,
            position=found.position,
            count=found.count,
            cycles=[
                board_types.RecordedCycle(c.tick, c.wakeup_ns, c.execution_ns, c.jitter_ns, c.task)
                for c in found.cycles
            ],
        )

    def ResetStatistics(self, wakeup_above_ns: int, execution_above_ns: int) -> None:
        self._plc.figures.reset(wakeup_above_ns, execution_above_ns)

    def GetLinkStatistics(self, statistics: Reference) -> None:
        statistics.value = self._line.statistics()

    def SetBaud(self, baud: int) -> None:
        self._line.set_baud(baud, self.owner)

    def GetSupervision(self, supervision: Reference) -> None:
        found = self._plc.supervision()
        supervision.value = board_types.Supervision(
            safe_mode=found.safe_mode,
            crashes=found.crashes,
            crash_limit=found.crash_limit,
            last_crash=found.last_crash,
            guarded=found.guarded,
        )

    def GetIoDrivers(self, drivers: Reference) -> None:
        drivers.value = [
            board_types.IoDriver(one.name, one.what, one.text, int(max(one.for_s, 0) * 1e9))
            for one in self._about.io_drivers()
        ]

    def GetIoPoints(self, first: int, points: Reference) -> None:
        rows = self._fitting(
            self._about.io_points(first),
            lambda row: _POINT_BYTES + len(row.address) + len(row.source.encode()),
        )
        points.value = [board_types.IoPoint(*row) for row in rows]

    def GetConnections(self, connections: Reference) -> None:
        connections.value = [
            board_types.Connection(uri, state) for uri, state in self._about.connections()
        ]

    def PrepareChange(self, order: board_types.ChangeOrder, report: Reference) -> None:
        files = [(file.name, file.blob) for file in order.extra_files]
        self._caller.detail = program_text(order.md5, files)
        found = self._plc.changes.prepare(
            self.owner, Order(order.md5, order.blob, files, order.probation, order.strict)
        )
        report.value = board_types.ChangeReport(
            number=found.number,
            rows=len(found.rows),
            copy_ns=found.figures.copy_ns,
            busy_ns=found.figures.busy_ns,
            period_ns=found.figures.period_ns,
            probation=found.probation,
        )

    def GetChangeRows(self, number: int, first: int, rows: Reference) -> None:
        found = self._fitting(
            self._plc.changes.rows(number, first),
            lambda row: _ROW_BYTES + len(row.name.encode()) + len(row.text.encode()),
        )
        rows.value = [board_types.ChangeRow(row.fate, row.name, row.text) for row in found]

    def MakeChange(self, number: int) -> None:
        self._plc.changes.make(number)

    def DropChange(self, number: int) -> None:
        self._plc.changes.drop(number)

    def GetChange(self, status: Reference) -> None:
        found = self._plc.changes.status()
        status.value = board_types.ChangeStatus(*(found or ("", 0, "")))

    def Echo(self, data: bytes, same: Reference) -> None:
        same.value = bytes(data[: self._limits.reply_bytes - REPLY_OVERHEAD])

    def _room(self, item_bytes: int) -> int:
        """How many of them fit a reply."""
        return (self._limits.reply_bytes - REPLY_OVERHEAD) // item_bytes

    def _fitting(
        self, rows: Iterable[T], size: Callable[[T], int], overhead: int = REPLY_OVERHEAD
    ) -> list[T]:
        """As many of the first rows as fit a reply; one, if there is one."""
        fitting: list[T] = []
        room = self._limits.reply_bytes - overhead
        for row in rows:
            room -= size(row)
            if room < 0 and fitting:
                break
            fitting.append(row)
        return fitting


def _distribution(found: Distribution) -> board_types.Distribution:
    return board_types.Distribution(
        bin_ns=found.bin_ns,
        count=found.count,
        min_ns=found.min_ns,
        avg_ns=found.avg_ns,
        p50_ns=found.p50_ns,
        p99_ns=found.p99_ns,
        p999_ns=found.p999_ns,
        max_ns=found.max_ns,
        overflow=found.overflow,
        bins=_without_trailing_zeros(found.bins),
    )


def _timing(found: Distribution) -> board_types.Timing:
    return board_types.Timing(
        bin_ns=found.bin_ns,
        count=found.count,
        last_ns=found.last_ns,
        min_ns=found.min_ns,
        avg_ns=found.avg_ns,
        p50_ns=found.p50_ns,
        p99_ns=found.p99_ns,
        p999_ns=found.p999_ns,
        p9999_ns=found.p9999_ns,
        max_ns=found.max_ns,
        overflow=found.overflow,
    )


def _without_trailing_zeros(bins: Sequence[int]) -> list[int]:
    end = len(bins)
    while end and not bins[end - 1]:
        end -= 1
    return list(bins[:end])
