# SPDX-License-Identifier: MIT
"""The PLC object: every operation a client can ask for, on the worker thread, one by one.

Both services call it; refusals are exceptions whose text is meant for the user, and which are
logged as warnings, because the IDE shows its user nothing else. What a call may do:

    status    start          stop      new_plc             repair
    Empty     StateError     StateErr  -> Stopped          -> Empty
    Stopped   -> Started     StateErr  -> Stopped          -> Empty
    Started   StateError     -> Stop.  -> Stopped          StateError
    Broken    StateError *   StateErr  -> Stopped *        -> Empty *

A program fault taints the process: a parked thread may hold any lock, so the image is neither
called nor unloaded any more. Where the table has a *, a tainted process does all but the load,
says so in `restart`, and the daemon re-executes itself once the reply is sent; there `autoload`
finishes the work. A program that cannot be loaded is Broken too, without taint.
"""

from __future__ import annotations

import contextlib
import time

from serial_runtime.board import BoardState
from serial_runtime.errors import (
    SerialRuntimeError,
    StateError,
    StoreError,
    TableChanged,
    TraceError,
)
from serial_runtime.plc.answers import (
    BoardStatus,
    PlcStatus,
    ProgramInfo,
    RestartPlan,
    Supervision,
    TraceBatch,
)
from serial_runtime.plc.blobs import Blobs
from serial_runtime.plc.changes import Changes
from serial_runtime.plc.crashes import Crashes
from serial_runtime.plc.events import Events
from serial_runtime.plc.extensions import NoExtensions
from serial_runtime.plc.figures import Figures
from serial_runtime.plc.installation import Installation, Uploaded
from serial_runtime.plc.loader import Loader
from serial_runtime.plc.log import CRITICAL, INFO, WARNING, Log
from serial_runtime.plc.retain import Retain
from serial_runtime.plc.trace import ALL_TICKS, Trace, TraceOptions
from serial_runtime.plc.trial import load_on_trial
from serial_runtime.plc.uploads import Uploads
from serial_runtime.plc.watch import INVALID, SUSPENDED, Watch
from serial_runtime.worker import serialized, serialized_bulk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from serial_runtime.board import Board, Image, LogRecord, Statistics, Variable
    from serial_runtime.plc.coding import Decoding, UploadPlan
    from serial_runtime.plc.extensions import Extensions
    from serial_runtime.plc.loader import Prepared
    from serial_runtime.plc.program_store import ProgramStore
    from serial_runtime.plc.retain import RetainedValue, RetainStatus
    from serial_runtime.plc.retain_file import RetainFiles
    from serial_runtime.worker import Worker

_STATUS = {
    BoardState.EMPTY: PlcStatus.EMPTY,
    BoardState.STOPPED: PlcStatus.STOPPED,
    BoardState.RUNNING: PlcStatus.STARTED,
    BoardState.FAULTED: PlcStatus.BROKEN,
}


def _row(crashes: Crashes) -> str:
    times = "once" if crashes.count == 1 else f"{crashes.count} times in a row"
    return f"{times}: {crashes.reason}"


class PLC:
    """One PLC: a board, a program store, and what clients do with them.

    Any thread may call any method; they run on `worker`, but for `get_traces`, `read_trace` and
    `log`, which never wait and run where they are called, and the slow parts of `new_plc` and
    `finish_upload`. It owns board and store: `close`.
    """

    def __init__(
        self,
        board: Board,
        store: ProgramStore,
        worker: Worker,
        *,
        version: str = "",
        blob_quota_bytes: int = 32 << 20,
        trace_buffer_bytes: int = 4 << 20,
        trial: Callable[[str], None] = load_on_trial,
        keys_path: str = "",
        extensions: Callable[[Log], Extensions] = NoExtensions,
        retain_files: RetainFiles | None = None,
        retain_interval_s: float = 10.0,
        crash_limit: int = 3,
        stable_s: float = 60.0,
    ) -> None:
        """`keys_path`: only programs signed with one of these keys are taken, "": any.

        Without `retain_files` no retain variables are kept. `crash_limit`, `stable_s`: when to
        start nothing by itself any more, see ``crashes``.
        """
        self.worker = worker
        self.version = version
        self.restart: RestartPlan | None = None
        self._board = board
        self._store = store
        self._blobs = Blobs(store.spool_directory, blob_quota_bytes)
        self._uploads = Uploads(store.uploads_directory, blob_quota_bytes, self._blobs, store.find)
        self._log = Log()
        self._crashes = Crashes(store.directory, limit=crash_limit, stable_s=stable_s)
        self._watch = Watch(board, Trace(board, trace_buffer_bytes))
        self._extensions = extensions(self._log)
        self._retain = Retain(board, self._log, retain_files, retain_interval_s)
        self._loader = Loader(
            board, store, self._watch, self._log, trial, self._extensions, self._retain, keys_path
        )
        self.figures = Figures(worker, board, self._log, lambda: self._loader.image)
        self._installation = Installation(
            worker,
            self._blobs,
            self._uploads,
            self._loader,
            self.housekeeping,
            lambda: self.changes.make_way(),
            self._note,
        )
        self.changes = Changes(
            worker, board, self._loader, self._watch, self._log, self._installation
        )
        self._events = Events(board, self._log, self._crashes, self._note, self._loader.ended)
        self._born_ns = time.monotonic_ns()

    # ---- the daemon's side -------------------------------------------------------------------

    @serialized
    def autoload(self, start: bool) -> None:
        """Load the stored program, and start it: the worker's first job. A failure is logged.

        Not started in safe mode, which an order to start has ended before it came here.
        """
        crashes = self._crashes
        if crashes.count and not crashes.safe_mode:
            self._log.add(WARNING, f"the program has crashed {_row(crashes)}")
        as_ordered = self._loader.load_stored()
        if not start or not as_ordered or self._status() is not PlcStatus.STOPPED:
            return
        if crashes.safe_mode:
            self._log.add(
                CRITICAL,
                f"safe mode: the program is not started, since it has crashed {_row(crashes)}; "
                "start it, or load another one, to end that",
            )
            return
        with contextlib.suppress(SerialRuntimeError):  # logged
            self._start_or_refuse()

    @serialized
    def housekeeping(self) -> None:
        """Take over log messages and notice a fault; every now and then, see Worker.run."""
        self._events.take_messages()
        self._extensions.housekeeping()
        self.figures.poll()
        self.changes.follow()
        self._events.take_faults()
        self._retain.housekeeping()

    @serialized
    def summary(self) -> str:
        """The state in a few words, for whoever supervises the process."""
        image = self._loader.image
        words = self._status().name.capitalize() + (f": {image.name}" if image else "")
        return words + " (safe mode)" * self._crashes.safe_mode

    @serialized
    def close(self) -> None:
        """Stop and unload the program, close board and store. Not to be used any more."""
        self._watch.trace.close()
        self._watch.trace.quiesce()
        if not self._faulted:
            self._halt()
        if not self._board.tainted:
            self._loader.unload()
        self.housekeeping()
        self._extensions.close()
        self._retain.close()
        self._board.close()
        self._store.close()

    def log(self, level: int, text: str) -> None:
        """A message about a client, level 0 (critical) to 3 (debug). Any thread, at once."""
        self._log.add(level, text)

    @serialized
    def save_log(self) -> tuple[list[LogRecord], list[int]]:
        """What `restore_log` of the next process takes."""
        self.housekeeping()
        return self._log.save()

    @serialized
    def leave(self) -> None:
        """The last call before the process executes itself again, tainted as it may be."""
        self._board.dismiss_guard()

    def restore_log(self, records: Sequence[LogRecord], counts: Sequence[int]) -> None:
        """Go on with the log of the process before this one. Any thread."""
        self._log.restore(records, counts)

    # ---- service 1 ---------------------------------------------------------------------------

    @serialized
    def status(self) -> tuple[PlcStatus, tuple[int, int, int, int]]:
        """Status, and the number of log messages per level."""
        self.housekeeping()
        return self._status(), self._log.counts()

    @serialized
    def seed_blob(self, owner: Hashable, seed: bytes) -> bytes:
        """Begin an upload; returns its id. BlobError."""
        return self._blobs.seed(owner, seed)

    @serialized_bulk
    def append_chunk(self, owner: Hashable, data: bytes, blob_id: bytes) -> bytes:
        """Add to an upload; returns its new id. BlobError: unknown id, quota, being installed."""
        self._installation.require_unclaimed(owner, blob_id)
        return self._blobs.append(owner, data, blob_id)

    @serialized
    def purge_blobs(self, owner: Hashable) -> None:
        """Forget this owner's uploads."""
        self._blobs.purge(owner)

    @serialized
    def owner_closed(self, owner: Hashable) -> None:
        """The connection or session has ended: free what it holds."""
        self._blobs.purge(owner)
        self._uploads.close(owner)
        self.changes.owner_closed(owner)

    @serialized
    def match_md5(self, md5: str) -> bool:
        """Is this the program that is loaded, or stored to be loaded?"""
        if self.changes.on_trial:
            return self._loader.is_loaded(md5)
        try:
            return not self._store.empty and self._store.newest().md5 == md5
        except StoreError:
            return False  # damaged: whatever it is, it must be loaded again

    def new_plc(
        self,
        owner: Hashable,
        md5: str,
        blob_id: bytes,
        extra_files: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Install uploads as the program and its extra files (name, blob id), and load it.

        What waits for the disk and the trial load is done on the calling thread: the worker goes
        on serving. StoreError, BlobError, ImageError: refused. StateError: another program is
        being installed. The uploads are used up on success only.
        """
        self._installation.run(owner, Uploaded(md5, blob_id, extra_files), self._install)

    @serialized
    def _install(self, prepared: Prepared) -> None:
        self.housekeeping()
        self._crashes.clear()
        if self._loader.install(prepared):
            self.figures.forget()
            self._log.add(INFO, f"program {prepared.program.md5} loaded")
        else:
            reason = "only a new process can load the program"
            if self._board.tainted:
                reason = "a program was loaded after a program fault"
            self._plan_restart(start=False, reason=reason)

    @serialized
    def start(self, cold: bool = False) -> None:
        """Start the program; `cold`: retain variables begin at their initial values, too.

        StateError; ProgramFault when its init refuses.
        """
        self.housekeeping()
        self._crashes.clear()
        self._start_or_refuse(cold)

    def _start_or_refuse(self, cold: bool = False) -> None:
        try:
            self._start(cold)
        except SerialRuntimeError as error:
            self._note(WARNING, f"start refused: {error}")
            raise

    @serialized
    def stop(self) -> None:
        """Stop the program; forces are released. StateError when it is not started."""
        self.housekeeping()
        if self._status() is not PlcStatus.STARTED:
            error = StateError(f"the PLC is {self._status().name.lower()}, not started")
            self._note(WARNING, f"stop refused: {error}")
            raise error
        self._halt()
        self.housekeeping()
        if not self._faulted:
            self._log.add(INFO, "PLC stopped")

    @serialized
    def repair(self) -> None:
        """Delete program and extra files. StateError while started."""
        self.housekeeping()
        try:
            if self._status() is PlcStatus.STARTED:
                raise StateError("the PLC is started: stop it first (repair deletes the program)")
            if self._installation.under_way:
                raise StateError("a program is being loaded: repair when that is done")
            self._store.erase()
        except SerialRuntimeError as error:
            self._note(WARNING, f"repair refused: {error}")
            raise
        if self._board.tainted:
            self._plan_restart(start=False, reason="repaired after a program fault")
        else:
            self._loader.halt()
            self._loader.unload()
        self._loader.broken = ""
        self._crashes.clear()
        self._log.add(INFO, "program and extra files deleted")

    @serialized
    def log_message(self, level: int, msg_id: int) -> LogRecord:
        """One log message. StateError when there is none with this number."""
        self.housekeeping()
        return self._log.message(level, msg_id)

    @serialized
    def reset_log(self) -> None:
        """Forget all log messages and begin to count at 0."""
        self.housekeeping()
        self._log.reset()

    @serialized
    def set_trace_list(self, orders: Sequence[tuple[int, bytes]], keep_forces: bool = False) -> int:
        """Trace and force variables (index, force or empty): a token, or a negative code.

        Codes as in `watch`. An empty list suspends tracing and keeps forces; another one replaces
        them, unless it has none and is to keep them.
        """
        self.housekeeping()
        image = None if self._faulted else self._loader.image
        if not orders:
            if image is not None:
                self._watch.suspend()
            return SUSPENDED
        if image is None:
            return INVALID
        token, why = self._watch.set_list(image, orders, keep_forces)
        if token < 0:
            self._note(WARNING, f"trace list refused: {why}")
        return token

    def get_traces(self, token: int, max_bytes: int) -> tuple[PlcStatus, list[tuple[int, bytes]]]:
        """Samples (tick, values), oldest first, consumed; (BROKEN, []) for a stale token."""
        try:
            samples = self._watch.trace.take(token, max_bytes)
        except TraceError:
            return PlcStatus.BROKEN, []
        return self._status(), samples

    # ---- service 2 ---------------------------------------------------------------------------

    @serialized
    def open_upload(self, owner: Hashable, plan: UploadPlan) -> tuple[int, bytes]:
        """Begin an upload by offset, or go on with it: see ``Uploads.open``."""
        return self._uploads.open(owner, plan)

    @serialized_bulk
    def write_upload(self, owner: Hashable, offset: int, data: bytes) -> None:
        """Bytes of the upload that this owner has opened. BlobError."""
        self._uploads.write(owner, offset, data)

    def finish_upload(self, owner: Hashable) -> None:
        """Make the uploaded file a blob of this owner; its id is the file's MD5.

        The decoding takes its time, on the calling thread: it holds up nobody else. StoreError:
        the stream does not give the file, and is dropped. BlobError: no room.
        """
        decoding = self._begin_decoding(owner)
        decoding.run()
        self._end_decoding(owner, decoding)

    @serialized
    def _begin_decoding(self, owner: Hashable) -> Decoding:
        return self._uploads.begin(owner)

    @serialized
    def _end_decoding(self, owner: Hashable, decoding: Decoding) -> None:
        self._uploads.end(owner, decoding)

    @serialized
    def board_status(self) -> BoardStatus:
        """The state of the whole board."""
        self.housekeeping()
        trace = self._watch.trace
        faulted = self._board.state == BoardState.FAULTED
        return BoardStatus(
            self._status(),
            self._board.real_time,
            self._board.scheduling,
            len(self._watch.forced),
            trace.count,
            trace.lost,
            self._board.fault().reason if faulted else self._loader.broken,
            time.monotonic_ns() - self._born_ns,
        )

    @serialized
    def supervision(self) -> Supervision:
        """Crashes in a row, and whether the outputs are guarded."""
        self.housekeeping()
        crashes = self._crashes
        return Supervision(
            crashes.safe_mode, crashes.count, crashes.limit, crashes.reason, self._board.guarded
        )

    @serialized
    def program(self) -> ProgramInfo:
        """What is loaded, or at least stored."""
        return self._loader.info()

    @serialized
    def variables(self, table: int | None = None) -> tuple[Variable, ...]:
        """The variable table. StateError when no program is loaded.

        Here and below `table` is the one the caller's indices belong to (`program`): TableChanged
        when it is not the present one.
        """
        return self._require_image(table).variables

    @serialized
    def read_variables(self, indices: Sequence[int], table: int | None = None) -> tuple[int, bytes]:
        """The tick and the packed values of one cycle. StateError, VariableError."""
        self._require_image(table)
        return self._board.read(indices)

    @serialized
    def force_variables(self, values: Mapping[int, bytes], table: int | None = None) -> None:
        """Force these variables too (index: wire form); an empty value releases. VariableError."""
        self._require_usable("force a variable", table)
        self._watch.force(values)

    @serialized
    def forced(self) -> tuple[int, list[int]]:
        """The present table, and the indices of its forced variables."""
        return self._loader.table, self._watch.forced

    @serialized
    def release_forces(self) -> None:
        """Release every forced variable. StateError after a fault."""
        if self._watch.forced:
            self._require_usable("release a variable")
            self._watch.release()

    @serialized
    def statistics(self, reset: bool = False) -> Statistics:
        """Cycle statistics since the start or the last reset."""
        found = self._board.statistics(reset)
        if reset:
            self.figures.forget()
        return found

    @serialized
    def open_trace(
        self,
        indices: Sequence[int],
        table: int | None = None,
        options: TraceOptions = ALL_TICKS,
    ) -> int:
        """Trace these variables; returns a token. VariableError, TraceError."""
        return self._watch.open(self._require_usable("trace", table), indices, options)

    def read_trace(
        self, token: int, cursor: int, max_bytes: int, longest_bytes: int = 0
    ) -> tuple[PlcStatus, TraceBatch]:
        """Samples from `cursor` (first 0) on; earlier ones are acknowledged. TraceError.

        A sample that is alone longer than `max_bytes` may have `longest_bytes`.
        """
        batch = self._watch.trace.read(token, cursor, max_bytes, longest_bytes)
        return self._status(), batch

    @serialized
    def close_trace(self, token: int) -> None:
        """End a trace. TraceError when it is not the present one."""
        if token == 0 or token != self._watch.trace.token:
            raise TraceError("this trace has ended already")
        if self._faulted:
            self._watch.trace.close()
        else:
            self._watch.suspend()

    @serialized
    def retained(self, first: int = 0) -> tuple[RetainStatus, list[RetainedValue]]:
        """How keeping of retain variables goes, and what is kept, from this value on."""
        self.housekeeping()
        return self._retain.status(), self._retain.values()[first:]

    @serialized
    def clear_retained(self) -> None:
        """Forget all retained values. StateError while the program runs; StoreError."""
        self.housekeeping()
        try:
            self._retain.clear()
        except SerialRuntimeError as error:
            self._note(WARNING, f"retained values were not cleared: {error}")
            raise
        self._log.add(INFO, "retained values cleared")

    # ---- inside ------------------------------------------------------------------------------

    @property
    def _faulted(self) -> bool:
        return self._board.state == BoardState.FAULTED

    def _halt(self) -> None:
        self.changes.stopping()
        self._loader.halt()
        self.changes.stopped()

    def _status(self) -> PlcStatus:
        # Any thread: one attribute and one atomic of the shim.
        return PlcStatus.BROKEN if self._loader.broken else _STATUS[self._board.state]

    def _require_image(self, table: int | None = None) -> Image:
        image = self._loader.image
        if image is None:
            raise StateError(self._loader.broken or "no program is loaded: load one first")
        if table is not None and table != self._loader.table:
            raise TableChanged("the program was replaced: ask for its variables again")
        return image

    def _require_usable(self, what: str, table: int | None = None) -> Image:
        image = self._require_image(table)
        if self._faulted:
            raise StateError(f"cannot {what}: the program is broken, start or load it again")
        return image

    def _start(self, cold: bool) -> None:
        status = self._status()
        if status is PlcStatus.STARTED:
            raise StateError("the PLC is started already")
        if self._board.tainted:
            if self._store.empty:
                raise StateError("no program is stored: load one first")
            if cold:
                self._loader.forget_retained()
            self._plan_restart(start=True, reason="started again after a program fault")
            return
        if status is PlcStatus.EMPTY:
            raise StateError("no program is loaded: load one first")
        if status is PlcStatus.BROKEN:
            raise StateError(f"the PLC is broken: {self._loader.broken}")
        if cold:
            self._loader.forget_retained()
        self._watch.trace.restarted()
        self.figures.forget()
        self._crashes.begins()
        self._loader.start()

    def _note(self, level: int, text: str) -> None:
        """Log with the tick of the cycle, or of the fault that ended it."""
        tick = 0
        with contextlib.suppress(SerialRuntimeError):
            if self._board.state == BoardState.FAULTED:
                tick = self._board.fault().tick
            elif self._board.state == BoardState.RUNNING:
                tick = self._board.read(())[0]
        self._log.add(level, text, tick)

    def _plan_restart(self, *, start: bool, reason: str) -> None:
        self.restart = RestartPlan(start, reason)
        self._note(WARNING, f"the runtime restarts itself: {reason}")
