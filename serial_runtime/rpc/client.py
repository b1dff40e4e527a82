# SPDX-License-Identifier: MIT
"""The client: every operation a user has on a board, over any link.

It works with stock eRPC servers of the IDE's service too, as far as that service goes; everything
else raises CallUnsupported. Any number of threads may use one client; each call waits for its own
answer, and short commands overtake uploads. Values travel in wire form; ``serial_runtime.iec``
turns them into Python's.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from serial_runtime.errors import (
    CallRefused,
    CallUnsupported,
    ProtocolError,
    TableChanged,
    VariableError,
)
from serial_runtime.plc.trigger import Condition, Mode
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.board.common import (
    BoardStatus,
    Capabilities,
    ChangeStatus,
    Connection,
    CycleStatistics,
    Force,
    IoDriver,
    IoPoint,
    LinkStatistics,
    MaximumRecord,
    ProgramInfo,
    RetainedValue,
    RetainStatus,
    Supervision,
    TraceTrigger,
    Variable,
)
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import Identity, PlcStatus, Status
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.image_cache import ImageCache
from serial_runtime.rpc.link import Link
from serial_runtime.rpc.link_figures import Message
from serial_runtime.rpc.log_lines import LogLine, read_log
from serial_runtime.rpc.online_change import OnlineChange
from serial_runtime.rpc.opener import Opener
from serial_runtime.rpc.plain_refusal import UNSUPPORTED, check_value
from serial_runtime.rpc.stub_api import Reference
from serial_runtime.rpc.stub_manager import StubManager
from serial_runtime.rpc.task_figures import TaskFigures, read_record, read_task
from serial_runtime.rpc.trace import Capture, Snapshot, Trace, Trigger
from serial_runtime.rpc.upload import Sent, Target, Upload
from serial_runtime.rpc.variable_table import NO_TABLE, VariableTable, read_table
from serial_runtime.transport import Transport
from serial_runtime.transport.uri import SerialEndpoint, parse

__all__ = [
    "Capture",
    "Client",
    "Condition",
    "LogLine",
    "Mode",
    "Sent",
    "Snapshot",
    "Trace",
    "Trigger",
    "connect",
]

T = TypeVar("T")
_STATUS = struct.Struct("<i4II")  # state, messages per level, return value
_STATES = frozenset(Status)


def connect(
    uri: str,
    *,
    timeout_s: float = 10.0,
    reconnect_s: float = 60.0,
    on_trouble: Callable[[str], object] = lambda text: None,
    bridged: bool = False,
    recent: deque[Message] | None = None,
) -> Client:
    """Open the link and find out who is there.

    `timeout_s` bounds every call, `reconnect_s` the wait for a link that was lost; `on_trouble`
    is told, in words for the user, when a call has to wait for the link. `bridged`: the calls are
    those of others, who are not at the line. `recent` keeps the last messages, see `Link.recent`.
    Raises UriError, LinkError, LinkTimeout when nobody answers.
    """
    endpoint = parse(uri)
    fast_baud = endpoint.fast if isinstance(endpoint, SerialEndpoint) else 0
    opener = Opener(uri, endpoint, timeout_s, on_trouble)
    try:
        client = Client(opener.open, timeout_s, reconnect_s, on_trouble, bridged, recent, fast_baud)
    except BaseException:
        opener.close()
        raise
    client.on_close = opener.close
    return client


class Client:
    """A board at the other end of a link."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        timeout_s: float = 10.0,
        reconnect_s: float = 60.0,
        on_trouble: Callable[[str], object] = lambda text: None,
        bridged: bool = False,
        recent: deque[Message] | None = None,
        fast_baud: int = 0,
    ) -> None:
        """`open_transport` opens the link, and opens it again when it was lost."""
        self.on_close: Callable[[], object] = lambda: None  # called behind the link's end
        self.link = Link(
            open_transport, timeout_s, reconnect_s, on_trouble, bridged, recent, fast_baud
        )
        manager = StubManager(self.link)
        self._ide = BeremizPLCObjectServiceClient(manager)
        self._board = BoardServiceClient(manager)
        self._table = NO_TABLE  # replaced as a whole

    @property
    def ours(self) -> bool:
        """Whether the peer is a serial runtime, or else a stock server of the IDE's service."""
        return self.link.ours

    @property
    def ide(self) -> BeremizPLCObjectServiceClient:
        """Service 1 itself, for callers that pass calls on."""
        return self._ide

    @property
    def board(self) -> BoardServiceClient:
        """Service 2 itself, for callers that pass calls on and have indices."""
        return self._board

    def close(self) -> None:
        """Close the session and the link; idempotent."""
        try:
            self.link.close()
        finally:
            self.on_close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Who and how.

    def status(self) -> PlcStatus:
        """State of the PLC and number of log lines per level."""
        # Without the stub and its codec, see `ide_service.encode_status`.
        outputs = self.link.call(Ide.SERVICE_ID, Ide.GETPLCSTATUS_ID)
        if len(outputs) != _STATUS.size:
            raise ProtocolError(f"GetPLCstatus answered with {len(outputs)} bytes")
        state, *counts, value = _STATUS.unpack(outputs)
        check_value("GetPLCstatus", value)
        return PlcStatus(_known(state), counts)

    def plc_id(self) -> str:
        """The board's name; "" when it does not tell."""
        if self.ours:
            return self.capabilities().id
        identity = Reference()
        if self._ide.GetPLCID(identity) == UNSUPPORTED:
            return ""
        found: Identity = identity.value
        return found.ID

    def identity(self) -> Identity:
        """The board's ID and its secret. CallRefused: it tells nobody, or not here."""
        identity = Reference()
        value = self._ide.GetPLCID(identity)
        found: Identity = identity.value
        if value == UNSUPPORTED or not (found.ID and found.PSK):
            raise CallUnsupported("this runtime tells no identity, or not on this way in")
        check_value("GetPLCID", value)
        return found

    def capabilities(self) -> Capabilities:
        """Versions and limits."""
        found: Capabilities = _output(self._board.GetCapabilities)
        return found

    def link_statistics(self) -> LinkStatistics:
        """The board's figures of this link since it was opened."""
        found: LinkStatistics = _output(self._board.GetLinkStatistics)
        return found

    def board_status(self) -> BoardStatus:
        """State of the PLC in more words than `status` has."""
        status = Reference()
        self._board.GetBoardStatus(status)
        found: BoardStatus = status.value
        _known(found.plc)
        return found

    def program(self) -> ProgramInfo:
        """What is loaded."""
        found: ProgramInfo = _output(self._board.GetProgram)
        return found

    def supervision(self) -> Supervision:
        """Crashes in a row, safe mode, the guard of the outputs."""
        found: Supervision = _output(self._board.GetSupervision)
        return found

    def connections(self) -> list[Connection]:
        """The ways in that somebody else must open for the board, and how they stand."""
        found: list[Connection] = _output(self._board.GetConnections)
        return found

    def io_drivers(self) -> list[IoDriver]:
        """The drivers of process I/O and how they do, that of the whole image first."""
        found: list[IoDriver] = _output(self._board.GetIoDrivers)
        return found

    def io_points(self) -> list[IoPoint]:
        """Every place of the process image that a driver maps."""
        points: list[IoPoint] = []
        while True:
            part = Reference()
            self._board.GetIoPoints(len(points), part)
            if not part.value:
                return points
            points += part.value

    # The program.

    def match_md5(self, md5: str) -> bool:
        """Whether the program with this digest is loaded."""
        match = Reference()
        check_value("MatchMD5", self._ide.MatchMD5(md5, match))
        return bool(match.value)

    def download(
        self,
        image: bytes,
        md5: str = "",
        extra_files: Sequence[tuple[str, bytes]] = (),
        progress: Callable[[int, int], None] = lambda done, total: None,
        whole: bool = False,
    ) -> Sent:
        """Replace the program. `progress` is told bytes done and bytes in total.

        A board of ours gets as little as will do: a patch of the program it has, if this user has
        downloaded that one too, unless `whole`. Goes on after the link was lost or the board
        restarted, and from where an earlier download of the same image was broken off.
        """
        target, cache = Target(), ImageCache()
        if self.ours:
            board = self.capabilities()
            base = b"" if whole else cache.get(self.program().md5)
            target = Target(board.max_program, board.codings, base)
        upload = Upload(self.link, self._ide, self._board, progress, target)
        sent = upload.run(image, md5, extra_files)
        if self.ours:
            cache.put(image)
        return sent

    def prepare_change(
        self,
        image: bytes,
        extra_files: Sequence[tuple[str, bytes]] = (),
        progress: Callable[[int, int], None] = lambda done, total: None,
        *,
        probation: int = 0,
        strict: bool = False,
    ) -> OnlineChange:
        """Download a new version of the running program, for an online change.

        Nothing is changed yet: see `OnlineChange`. The program will be on trial for `probation`
        cycles, 0: as many as ten seconds hold. `strict`: refuse a change that loses a value.
        """
        change = OnlineChange(self._board, probation, strict)
        board, cache = self.capabilities(), ImageCache()
        target = Target(board.max_program, board.codings, cache.get(self.program().md5))
        upload = Upload(self.link, self._ide, self._board, progress, target, change.prepare)
        upload.run(image, "", extra_files)
        change.fetch_rows()
        cache.put(image)
        return change

    def change_status(self) -> ChangeStatus:
        """How the present online change stands, or the last one of the board's process."""
        found: ChangeStatus = _output(self._board.GetChange)
        return found

    def start(self, cold: bool = False) -> None:
        """Start the PLC; `cold`: retain variables begin at their initial values, too."""
        if cold:
            self._board.StartCold()
            return
        check_value("StartPLC", self._ide.StartPLC())
        # A stock server has no refusal: it does nothing and answers as ever.
        if not self.ours and self.status().status != Status.Started:
            raise CallRefused("the PLC has not started; the log of the runtime may tell why")

    def stop(self) -> None:
        """Stop the PLC; its outputs are safe then."""
        success = Reference()
        check_value("StopPLC", self._ide.StopPLC(success))
        if not success.value:
            raise CallRefused("StopPLC was refused; the log of the runtime may tell why")

    def repair(self) -> None:
        """Delete the program and its files."""
        check_value("RepairPLC", self._ide.RepairPLC())

    # Retain variables.

    def retain_status(self) -> RetainStatus:
        """How the board keeps the values of retain variables."""
        return self._retained(2**32 - 1)[0]

    def retained(self) -> tuple[RetainStatus, list[RetainedValue]]:
        """The same, and the values it keeps; those without a variable come first."""
        status, values = self._retained(0)
        while len(values) < status.kept:
            status, more = self._retained(len(values))
            if not more:
                break
            values += more
        return status, values

    def clear_retained(self) -> None:
        """Forget all of them. Refused while the program runs."""
        self._board.ClearRetained()

    def _retained(self, first: int) -> tuple[RetainStatus, list[RetainedValue]]:
        status, values = Reference(), Reference()
        self._board.GetRetained(first, status, values)
        return status.value, values.value

    # Variables.

    def variables(self) -> tuple[Variable, ...]:
        """The variable table of the loaded program, in the order of the indices.

        It is fetched when it is first needed, and again when the board says that another program
        is loaded: no index is ever used for a table it does not belong to.
        """
        info = self.program()
        if info.table != self._table.id:
            self._table = read_table(self._board, info)
        return self._table.rows

    def indices(self, names: Iterable[str]) -> list[int]:
        """Indices of variables by path; VariableError names those that come near."""
        return self._known_table().indices(names)

    def read(self, names: Sequence[str]) -> Snapshot:
        """Values of one cycle."""

        def read(table: int, indices: list[int]) -> Snapshot:
            tick, values = Reference(), Reference()
            self._board.ReadVariables(table, indices, tick, values)
            return Snapshot(tick.value, values.value)

        return self._with_indices(names, read)

    def force(self, values: Mapping[str, bytes]) -> None:
        """Force variables to values in wire form; others stay forced as they are."""

        def force(table: int, indices: list[int]) -> None:
            self._board.ForceVariables(table, list(map(Force, indices, values.values())))

        self._with_indices(values, force)

    def unforce(self, names: Sequence[str] = ()) -> None:
        """Release forced variables; without names: all."""
        if names:
            self.force(dict.fromkeys(names, b""))
        else:
            self._board.ReleaseForces()

    def forced(self) -> list[str]:
        """Paths of the forced variables."""
        table, indices = Reference(), Reference()
        self._board.GetForced(table, indices)
        if indices.value and table.value != self._table.id:
            self.variables()
        found = self._table
        if not indices.value or table.value != found.id:
            return []  # the program was replaced meanwhile, and its forces went with it
        if max(indices.value) >= len(found.rows):
            raise ProtocolError(f"the board forces variables beyond its {len(found.rows)}")
        return [found.rows[index].path for index in indices.value]

    def _known_table(self) -> VariableTable:
        if not self._table.rows:
            self.variables()
        return self._table

    def _with_indices(self, names: Iterable[str], call: Callable[[int, list[int]], T]) -> T:
        """Call with the indices of `names` and the table they belong to.

        Once more if the program was replaced meanwhile.
        """
        names = list(names)
        table = self._known_table()
        try:
            return call(table.id, table.indices(names))
        except TableChanged:
            self._table = NO_TABLE
            table = self._known_table()
            return call(table.id, table.indices(names))

    def statistics(self, reset: bool = False) -> CycleStatistics:
        """Figures of the cycle since the start or the last reset; then reset them."""
        statistics = Reference()
        self._board.GetStatistics(reset, statistics)
        found: CycleStatistics = statistics.value
        return found

    def task_figures(self, bins: bool = False) -> list[TaskFigures]:
        """Figures of the cycle as a whole, then of each task; with their histograms."""
        tasks = range(1 + len(self.program().tasks))
        return [read_task(self._board, task, bins) for task in tasks]

    def maximum(self, cause: int, task: int = 0) -> MaximumRecord:
        """The cycles around the greatest wakeup latency (cause 1) or execution time (2).

        Of the cycle, or of a task that has its own thread, counted from 1.
        """
        return read_record(self._board, task, cause)

    def reset_statistics(self, wakeup_above_ns: int = 0, execution_above_ns: int = 0) -> None:
        """Begin all figures anew, and record maxima above these thresholds from now on.

        0: whatever exceeds the first 1000 cycles.
        """
        self._board.ResetStatistics(wakeup_above_ns, execution_above_ns)

    def trace(
        self,
        names: Sequence[str],
        *,
        poll_s: float = 0.1,
        every: int = 0,
        trigger: Trigger | None = None,
    ) -> Trace:
        """Every tick's values of these variables, from now on.

        `every`: ticks that it divides; 1: all, and those that the line cannot take are lost; 0:
        all, or fewer when the line is too slow. With a trigger only what surrounds it.
        VariableError, TraceError.
        """
        places = {name.upper(): place for place, name in enumerate(names)}
        if trigger is not None and trigger.name.upper() not in places:
            raise VariableError(f"the trigger's variable {trigger.name} is not among those traced")

        def trace(table: int, indices: list[int]) -> Trace:
            known = self._table
            if known.id != table:  # another thread's call found another program
                raise TableChanged("the program was replaced: ask for its variables again")
            kinds = [known.rows[index].iec_type for index in indices]
            order = trigger.order(places[trigger.name.upper()]) if trigger else TraceTrigger()
            return Trace(self._board, table, indices, kinds, poll_s, every, order)

        return self._with_indices(names, trace)

    # The log.

    def log(
        self, levels: Sequence[int] = (0, 1, 2, 3), first: Sequence[int] = (0, 0, 0, 0)
    ) -> list[LogLine]:
        """Lines the board still has, by time; of each level those from number `first` on."""
        return read_log(self.link, levels, first, self.status().logcounts)

    def reset_log(self) -> None:
        """Forget all lines."""
        check_value("ResetLogCount", self._ide.ResetLogCount())


def _output(call: Callable[[Reference], object]) -> Any:
    """Of a call of service 2 that has one."""
    output = Reference()
    call(output)
    return output.value


def _known(state: int) -> int:
    """A state of the PLC. ProtocolError for one that does not exist."""
    if state not in _STATES:
        raise ProtocolError(
            f"the board tells {state} as the state of the PLC, which does not exist"
        )
    return state
