# SPDX-License-Identifier: MIT
"""The board: one PLC program, run by the C shim, seen from Python.

Threads: one thread, the worker, calls everything, except where a method names another one.
``board_native`` has what lies between Python and C.
"""

from __future__ import annotations

import atexit
import errno
import os
import struct
import time

from serial_runtime.board_figures import record_of, statistics_of
from serial_runtime.board_native import (
    TEXT_BYTES,
    Why,
    ffi,
    image_of,
    indices_of,
    lib,
    orders_of,
    text_of,
)
from serial_runtime.board_types import (
    BoardState,
    Distribution,
    Evaluation,
    Fault,
    Image,
    LogRecord,
    MaximumCause,
    MaximumRecord,
    Options,
    RecordedCycle,
    SharedValue,
    Statistics,
    Task,
    Variable,
)
from serial_runtime.errors import BoardError, StateError, VariableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


__all__ = [
    "Board", "BoardState", "Distribution", "Evaluation", "Fault", "Image", "LogRecord",
    "MaximumCause", "MaximumRecord", "Options", "RecordedCycle", "SharedValue",
    "Statistics", "Task", "Variable",
]  # fmt: skip

_READ_BYTES = 65000  # SNAPSHOT_MAX_BYTES
_SHARED_BYTES = 16384  # SHARED_MAX_BYTES
_NOTHING: Mapping[int, bytes] = {}
_STATES = tuple(BoardState)  # by value; faster than the call of an enum


class Board:
    """The board of this process; there can be one.

    Raises :class:`BoardError` when there is one already, or when an option cannot be met. Make it
    on the main thread: the real-time core of Xenomai wants that.
    """

    def __init__(self, options: Options) -> None:
        why = Why()
        io = ffi.new("char[]", options.io.encode())
        parts, keep = _io_parts(options)
        native = ffi.new(
            "struct board_options *",
            {
                "priority": options.priority,
                "cpu": options.cpu,
                "watchdog_ns": options.watchdog_ns,
                "trace_ring_bytes": options.trace_ring_bytes,
                "cpu_latency_us": options.cpu_latency_us,
                "io": io,
                "io_parts": parts,
                "io_part_count": len(options.io_parts),
                "python": options.python,
                "own_cycle": options.own_cycle,
                "threads": options.threads,
                "task_cpu": options.cpu if options.task_cpu == -2 else options.task_cpu,
                "sensitivity": options.sensitivity,
                "overruns": options.overruns,
            },
        )
        result = lib.board_open(native, why.buffer, TEXT_BYTES)
        del keep
        if result != 0:
            raise BoardError(-result, why.text())
        self.trace_ring_bytes = options.trace_ring_bytes
        self._own_cycle = options.own_cycle
        self._open = True
        self._process = os.getpid()
        self._period_ns = 0
        self._trace_buffer: Any = None
        self._log_record = ffi.new("struct log_record *")
        self._record = ffi.new("struct recorder_record *")
        self._record_above_ns = (0, 0)
        self._request = ffi.new("struct eval_request *")
        self._shared = ffi.new("uint8_t[]", _SHARED_BYTES) if options.python else None
        atexit.register(self.close)

    @property
    def state(self) -> BoardState:
        """Any thread; EMPTY once closed."""
        return _STATES[int(lib.board_state())]

    @property
    def tainted(self) -> bool:
        """Program code was abandoned in this process: only a new process can run a program."""
        return bool(lib.board_tainted())

    @property
    def guarded(self) -> bool:
        """Outputs become safe if this process dies, or there is no I/O."""
        return bool(lib.board_guarded())

    def dismiss_guard(self) -> None:
        """The last thing before this process executes another program: outputs are safe then."""
        lib.board_dismiss_guard()

    @property
    def real_time(self) -> bool:
        """The task thread has the real-time schedule that was asked for."""
        return self._scheduling()[0]

    @property
    def scheduling(self) -> str:
        """How tasks are scheduled, in a sentence; with the remedy when it is not real time."""
        return self._scheduling()[1]

    @property
    def backend(self) -> str:
        """``posix``, ``mercury`` or ``cobalt``."""
        return text_of(lib.board_backend())

    def _scheduling(self) -> tuple[bool, str]:
        self._check_open()
        text = ffi.new("char[]", TEXT_BYTES)
        real_time = bool(lib.board_scheduling(text, TEXT_BYTES))
        return real_time, text_of(text)

    def _check_open(self) -> None:
        if not self._open:
            raise StateError("the board was closed")

    def load(self, path: str, md5: str = "") -> Image:
        """Load an image; a stopped one is replaced if the new one is good.

        An object of the Beremiz IDE is told ``md5``, in hexadecimal digits. Raises
        :class:`ImageError` (with a sentence; :class:`NewProcessNeeded` when only this process
        cannot load it) and :class:`StateError` (running, tainted).
        """
        self._check_open()
        why = Why()
        native = ffi.new("struct board_image *")
        result = lib.board_load(os.fsencode(path), md5.encode(), native, why.buffer, TEXT_BYTES)
        why.check_image(result)
        self._period_ns = native.base_ns
        image = image_of(native, lib.board_task, lib.board_variable)
        return image._replace(own_cycle=image.beremiz and self._own_cycle)

    def unload(self) -> None:
        """Forget the program. :class:`StateError` while it runs, or in a tainted process."""
        self._check_open()
        why = Why()
        why.check(lib.board_unload(why.buffer, TEXT_BYTES))
        self._period_ns = 0

    def start(self, retained: Mapping[int, bytes] = _NOTHING) -> None:
        """Initial values, forces, the program's init, ``retained`` values, then the cycle.

        Of ``retained`` (wire form by index) only those of retain variables count.
        :class:`StateError` without a program or while one runs; :class:`ProgramFault` when init
        refuses (the state stays STOPPED) or crashes (FAULTED).
        """
        self._check_open()
        why = Why()
        orders, _keep = orders_of(retained)
        why.check(lib.board_start(orders, len(retained), why.buffer, TEXT_BYTES))

    def stop(self) -> None:
        """Return when the cycle has ended: outputs are safe, forces released, fini has run.

        :class:`StateError` when nothing runs; :class:`ProgramFault` when the program crashed before
        it could be stopped, or in its fini.
        """
        self._check_open()
        why = Why()
        why.check(lib.board_stop(why.buffer, TEXT_BYTES))

    def fault(self) -> Fault:
        """Why the program crashed; :class:`StateError` when it did not."""
        self._check_open()
        why = Why()
        signal, tick = ffi.new("int32_t *"), ffi.new("uint32_t *")
        why.check(lib.board_fault(why.buffer, TEXT_BYTES, signal, tick))
        return Fault(why.text(), max(signal[0], 0), tick[0])

    def set_trace(self, indices: Sequence[int]) -> int:
        """Record these variables every tick from the next cycle on; returns the new generation.

        An empty list records nothing. :class:`VariableError` for a bad index.
        """
        self._check_open()
        why = Why()
        native = indices_of(indices)
        return why.check(lib.board_set_trace(native, len(indices), why.buffer, TEXT_BYTES))

    def read_trace(self, generation: int, max_bytes: int, timeout_s: float) -> bytes:
        """Whole records of one generation: u32 tick, u32 length, values in wire form.

        The trace thread only. Waits up to ``timeout_s`` for the first record; ``b""`` when none
        came. :class:`BoardError` when the next record is longer than ``max_bytes``.
        """
        self._check_open()
        if self._trace_buffer is None or len(self._trace_buffer) != max_bytes:
            self._trace_buffer = ffi.new("uint8_t[]", max_bytes)
        buffer = self._trace_buffer
        timeout_ns = int(max(timeout_s, 0) * 1e9)
        count = lib.board_read_trace(generation, buffer, max_bytes, timeout_ns)
        if count < 0:
            raise BoardError(-count, f"the next trace record is longer than {max_bytes} bytes")
        return bytes(ffi.buffer(buffer, count))

    def trace_dropped(self) -> int:
        """Ticks lost to a full ring since the present list came into use. Any thread."""
        self._check_open()
        return int(lib.board_trace_dropped())

    def set_forces(self, forces: Mapping[int, bytes]) -> None:
        """Hold exactly these variables at these values (wire form); releases all others.

        :class:`VariableError` for an index, size or text that does not fit; the old ones stay then.
        """
        self._check_open()
        why = Why()
        orders, _keep = orders_of(forces)
        why.check(lib.board_set_forces(orders, len(forces), why.buffer, TEXT_BYTES))

    def read(self, indices: Sequence[int]) -> tuple[int, bytes]:
        """The tick, and the values in wire form as they were at the end of that one cycle.

        Of a program that runs its own cycle each value is read for itself, about that tick.
        :class:`VariableError` for a bad index or more than a reply can hold.
        """
        self._check_open()
        why = Why()
        tick = ffi.new("uint32_t *")
        to = ffi.new("uint8_t[]", _READ_BYTES)
        native = indices_of(indices)
        result = lib.board_read(native, len(indices), to, _READ_BYTES, tick, why.buffer, TEXT_BYTES)
        return tick[0], bytes(ffi.buffer(to, why.check(result)))

    def retained(self) -> list[int]:
        """Indices of the retain variables. A Beremiz object's are known once it was started.

        One that runs its own cycle keeps its values itself: it has none here.
        """
        count = lib.board_retained(ffi.NULL, 0)
        indices = ffi.new("uint32_t[]", max(count, 1))
        lib.board_retained(indices, count)
        return list(ffi.unpack(indices, count))

    def ask_retained(self) -> None:
        """Ask for the values of all retain variables at the end of a cycle.

        A stop asks by itself, for those of the last cycle. :class:`StateError` when nothing runs;
        :class:`BoardError` when they take too much.
        """
        self._check_open()
        why = Why()
        why.check(lib.board_ask_retained(why.buffer, TEXT_BYTES))

    def take_retained(self) -> tuple[int, bytes] | None:
        """The tick, and the values asked for last, in the order of ``retained``; None: none yet.

        After a fault of the program they are those of an earlier cycle, if any.
        """
        values, tick = ffi.new("uint8_t **"), ffi.new("uint32_t *")
        size = lib.board_take_retained(values, tick)
        return None if size < 0 else (tick[0], bytes(ffi.buffer(values[0], size)))

    # What follows needs Options.python. "Python thread": one thread, any one, that does it all.

    def take_evaluation(self) -> Evaluation | None:
        """The oldest request of the program, or None. Python thread; does not wait."""
        native = self._request
        if not lib.board_take_eval(native):
            return None
        code = bytes(ffi.buffer(native.code, native.length)).decode("latin-1")
        return Evaluation(native.call, native.run, code)

    def answer_evaluation(self, request: Evaluation, result: str) -> bool:
        """Hand a result to the cycle, cut at 254 characters; False: full, try again later.

        An answer to a run that has ended is thrown away. Python thread.
        """
        text = result.encode("latin-1", "replace")
        return bool(lib.board_answer_eval(request.call, request.run, text, len(text)) == 0)

    def share(self, indices: Sequence[int]) -> int:
        """Share exactly these variables with Python; returns the list's generation.

        :class:`VariableError` for a bad index or too many, :class:`StateError` without a program.
        """
        self._check_open()
        why = Why()
        return why.check(lib.board_share(indices_of(indices), len(indices), why.buffer, TEXT_BYTES))

    def read_shared(self, generation: int) -> list[SharedValue] | None:
        """All values of a list, of one cycle; None: not there yet, or any more. Python thread."""
        size = lib.board_read_shared(generation, self._shared, _SHARED_BYTES)
        if size < 0:
            return None
        data = bytes(ffi.buffer(self._shared, size))
        values = []
        at = 0
        while at < size:
            changes, length, room = struct.unpack_from("<IHH", data, at)
            values.append(SharedValue(changes, data[at + 8 : at + 8 + length]))
            at += 8 + room
        return values

    def write_shared(self, generation: int, position: int, value: bytes) -> bool:
        """Write one variable of a list (wire form) between two cycles; False: full, try later.

        A forced variable, or a list that is not in use any more, is left alone. Python thread.
        """
        result = lib.board_write_shared(generation, position, value, len(value))
        return bool(result == 0)

    def drain_log(self) -> list[LogRecord]:
        """All messages of the program since the last call, oldest first."""
        self._check_open()
        native = self._log_record
        records = []
        while lib.board_take_log(native):
            text = bytes(ffi.buffer(native.text, native.length)).decode("utf-8", "replace")
            records.append(LogRecord(native.level, native.tick, native.sec, native.nsec, text))
        return records

    def log_dropped(self) -> int:
        """Messages lost because a ring was full. Any thread."""
        self._check_open()
        return int(lib.board_log_dropped())

    def statistics(self, reset: bool = False, task: int = 0) -> Statistics:
        """Figures since the start or the last reset: of the cycle, or of a task, counted from 1.

        With ``reset`` those of all begin anew. The cycle's alone: any thread. :class:`StateError`
        for a program that runs its own cycle, :class:`VariableError` for a task it does not have.
        """
        self._check_open()
        figures = ffi.new("struct stats_figures *")
        result = lib.board_statistics(task, figures)
        while result == -errno.EAGAIN and self.state == BoardState.RUNNING:
            time.sleep(0.001)
            result = lib.board_statistics(task, figures)
        _check_statistics(result)
        if reset:
            self.reset_statistics(*self._record_above_ns)
        return statistics_of(figures, figures.interval_ns or self._period_ns)

    def mode_switches(self, task: int = 0) -> int:
        """How often the thread that runs a task left Xenomai's domain since the program's start.

        -1 where nobody counts that: without Cobalt, or without a program that was started.
        """
        self._check_open()
        count = ffi.new("uint32_t *")
        return int(count[0]) if lib.board_mode_switches(task, count) == 0 else -1

    def reset_statistics(self, wakeup_above_ns: int = 0, execution_above_ns: int = 0) -> None:
        """Begin all figures anew, and record only maxima above these thresholds from now on.

        0: whatever exceeds the first 1000 cycles. :class:`StateError` as in ``statistics``.
        """
        self._check_open()
        _check_statistics(lib.board_reset_statistics(wakeup_above_ns, execution_above_ns))
        self._record_above_ns = wakeup_above_ns, execution_above_ns

    def take_records(self) -> list[MaximumRecord]:
        """The new maxima since the last call, with the cycles around them."""
        self._check_open()
        native = self._record
        records = []
        while lib.board_take_record(native):
            records.append(record_of(native))
        return records

    def close(self) -> None:
        """Stop a running program and give everything back. Idempotent.

        A tainted process keeps what the abandoned program may still touch; it gets no new board.
        No other thread may be inside a method.
        """
        if self._open:
            self._open = False
            atexit.unregister(self.close)
            if os.getpid() == self._process:  # a forked child has no task thread to wait for
                lib.board_close()


def _io_parts(options: Options) -> tuple[Any, Any]:
    """For `struct board_options`, and what it refers to."""
    if not options.io_parts:
        return ffi.NULL, None
    from serial_runtime.board_io import native_parts

    return native_parts(options.io_parts)


def _check_statistics(result: int) -> None:
    if result == -errno.ENOTSUP:
        raise StateError(
            "there are no statistics of a program that runs its own cycle (profile key "
            "beremiz.cycle)"
        )
    if result == -errno.ENOENT:
        raise VariableError("the program has no such task; task 0 is the cycle as a whole")
    if result != 0:
        raise BoardError(-result, "the statistics were being written when the program crashed")
