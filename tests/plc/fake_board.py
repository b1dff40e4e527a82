# SPDX-License-Identifier: MIT
"""A board in Python: the same rules as the C shim, cycles run when a test says so.

An image is any file whose last line holds words: `fail-load` (the shim refuses it), `unique` (one
in a process), `fail-init` (init refuses to start), `crash-init`, `crash-fini`, `retain` (the first
two DINT and the STRING are retain variables), `object` (one of the Beremiz IDE, which says so only
when it is started). It has `VARIABLES` DINT variables and one STRING.

It is strict where the real one forgives: what must never happen to a tainted process, or a
path loaded twice, is an AssertionError.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

from serial_runtime.board import (
    Board,
    BoardState,
    Fault,
    Image,
    LogRecord,
    MaximumRecord,
    Statistics,
    Task,
    Variable,
)
from serial_runtime.errors import (
    BoardError,
    ImageError,
    NewProcessNeeded,
    ProgramFault,
    StateError,
    VariableError,
)

VARIABLES = 8
RETAINED = (0, 1, VARIABLES)
DINT, STRING = 4, 20
RING_RECORDS = 64


def words_of(path: str) -> set[str]:
    with open(path, "rb") as file:
        return set(file.read().rpartition(b"\n")[2].decode("ascii", "replace").split())


class FakeBoard:
    """Stands for serial_runtime.board.Board; `as_board` says so to the type checker."""

    backend = "fake"
    scheduling = "a fake: not real time"
    real_time = False
    guarded = True
    trace_ring_bytes = 16 * 64  # small: the trace thread never waits long

    def __init__(self) -> None:
        self.state = BoardState.EMPTY
        self.tainted = False
        self.closed = False
        self.paths: list[str] = []
        self.unloads = 0
        self.forces: dict[int, bytes] = {}
        self.reading_threads: set[int] = set()
        self._inodes: set[int] = set()
        self._words: set[str] = set()
        self._unique = False
        self._image: Image | None = None
        self._fault = ""
        self._tick = 0
        self._trace: tuple[int, ...] = ()
        self._generation = 0
        self._dropped = 0
        self._ring: deque[tuple[int, bytes]] = deque()
        self._change = threading.Condition()
        self._log: list[LogRecord] = []
        self.records: list[MaximumRecord] = []
        self.record_above_ns = (0, 0)
        self.given: dict[int, bytes] = {}  # to the start
        self.asked = False  # for the retain variables, and not answered
        self.retain_refusal = ""
        self._retained: list[int] = []
        self._taken: tuple[int, bytes] | None = None

    def as_board(self) -> Board:
        return cast(Board, self)

    # ---- what a test does to it ----------------------------------------------------------------

    def run_cycles(self, count: int) -> None:
        """So many ticks of the running program."""
        assert self.state == BoardState.RUNNING
        if self.asked and count:
            self._answer()
        with self._change:
            for _ in range(count):
                self._capture()
                self._tick += 1
            self._change.notify_all()

    def crash(self, reason: str = "segmentation fault at address 0x0 in CRASH") -> None:
        assert self.state == BoardState.RUNNING
        self._fault = reason
        self.tainted = True
        self.state = BoardState.FAULTED

    def dismiss_guard(self) -> None:
        assert self.state != BoardState.RUNNING

    def _crashed(self, reason: str) -> None:
        self.state = BoardState.RUNNING
        self.crash(reason)
        raise ProgramFault(reason)

    def program_logs(self, level: int, text: str) -> None:
        self._log.append(LogRecord(level, self._tick, 1, 2, text))

    # ---- the interface -------------------------------------------------------------------------

    def load(self, path: str, md5: str = "") -> Image:
        self._untouched()
        if self.state == BoardState.RUNNING:
            raise StateError("a program runs")
        assert path not in self.paths, "the same path twice"
        inode = os.stat(path).st_ino
        self.paths.append(path)
        words = words_of(path)
        if "fail-load" in words:
            raise ImageError("the table is bad")
        if "unique" in words and self._unique:
            raise NewProcessNeeded("restart the runtime")
        self._unique = "unique" in words
        assert inode not in self._inodes, "the inode of the image that is loaded"
        self._inodes = {inode}
        self._words = words
        self.state = BoardState.STOPPED
        is_object = "object" in words
        kept = RETAINED if "retain" in words and not is_object else ()
        variables = [
            Variable(index, f"V{index}", DINT, 0, "", int(index in kept), 0)
            for index in range(VARIABLES)
        ]
        variables.append(Variable(VARIABLES, "TEXT", STRING, 0, "", int(bool(kept)), 20))
        if is_object:
            variables = [row._replace(path=f"VAR.{row.index}") for row in variables]
        tasks = (Task("MAIN", 1_000_000, 0),)
        self._image = Image("fake", "1", tasks, tuple(variables), is_object)
        self._retained = list(kept)
        return self._image

    def unload(self) -> None:
        self._untouched()
        if self.state != BoardState.STOPPED:
            raise StateError("not stopped")
        self.state = BoardState.EMPTY
        self._image = None
        self._inodes = set()  # the file may be gone, and its number used again
        self.unloads += 1

    def start(self, retained: Mapping[int, bytes] | None = None) -> None:
        self._untouched()
        if self.state != BoardState.STOPPED:
            raise StateError("not stopped")
        if "fail-init" in self._words:
            raise ProgramFault("init returned 1")
        if "crash-init" in self._words:
            self._crashed("segmentation fault in init")
        self._tick = 0
        self.state = BoardState.RUNNING
        self.given = dict(retained or {})
        self._taken = None
        if "object" in self._words and "retain" in self._words:
            self._retained = list(RETAINED)

    def stop(self) -> None:
        self._untouched()
        if self.state != BoardState.RUNNING:
            raise StateError("not running")
        if "crash-fini" in self._words:
            self._crashed("segmentation fault in fini")
        self._answer()
        self.forces = {}
        self.state = BoardState.STOPPED

    def fault(self) -> Fault:
        if self.state != BoardState.FAULTED:
            raise StateError("no fault")
        return Fault(self._fault, 11, self._tick)

    def set_trace(self, indices: Sequence[int]) -> int:
        self._untouched()
        self._checked(indices)
        with self._change:
            self._trace = tuple(indices)
            self._generation += 1
            self._dropped = 0
            return self._generation

    def read_trace(self, generation: int, max_bytes: int, timeout_s: float) -> bytes:
        self.reading_threads.add(threading.get_ident())
        with self._change:
            # A tenth of the time asked for: so many tests wait for the thread to end.
            self._change.wait_for(lambda: len(self._ring) > 0, timeout_s / 10)
            data = b""
            # A newer list's records are for the next read.
            while (
                self._ring
                and self._ring[0][0] <= generation
                and len(data) + len(self._ring[0][1]) <= max_bytes
            ):
                record_generation, record = self._ring.popleft()
                if record_generation == generation:
                    data += record
            return data

    def trace_dropped(self) -> int:
        return self._dropped

    def set_forces(self, forces: Mapping[int, bytes]) -> None:
        self._untouched()
        self._checked(list(forces))
        for index, value in forces.items():
            if index < VARIABLES and len(value) != 4:
                raise VariableError(f"V{index}: {len(value)} bytes, a DINT has 4")
        self.forces = dict(forces)

    def read(self, indices: Sequence[int]) -> tuple[int, bytes]:
        self._checked(indices)
        return self._tick, self._sample(indices)

    def retained(self) -> list[int]:
        return list(self._retained)

    def ask_retained(self) -> None:
        self._untouched()
        if self.state != BoardState.RUNNING:
            raise StateError("no program is running")
        if self.retain_refusal:
            raise BoardError(90, self.retain_refusal)
        self.asked = True
        self._taken = None

    def take_retained(self) -> tuple[int, bytes] | None:
        return self._taken

    def _answer(self) -> None:
        self.asked = False
        self._taken = (self._tick, self._sample(self._retained))

    def drain_log(self) -> list[LogRecord]:
        records, self._log = self._log, []
        return records

    def log_dropped(self) -> int:
        return 0

    def statistics(self, reset: bool = False, task: int = 0) -> Statistics:
        raise StateError("a fake keeps no statistics")

    def reset_statistics(self, wakeup_above_ns: int = 0, execution_above_ns: int = 0) -> None:
        self.record_above_ns = wakeup_above_ns, execution_above_ns

    def take_records(self) -> list[MaximumRecord]:
        records, self.records = self.records, []
        return records

    def close(self) -> None:
        assert self.state != BoardState.RUNNING
        self.closed = True

    # ---- inside --------------------------------------------------------------------------------

    def _untouched(self) -> None:
        assert not self.tainted, "a call into a tainted process"
        assert not self.closed, "a call after close"

    def _checked(self, indices: Sequence[int]) -> None:
        if self._image is None and indices:
            raise VariableError("no program")
        for index in indices:
            if not 0 <= index <= VARIABLES:
                raise VariableError(f"no variable {index}")

    def _sample(self, indices: Sequence[int]) -> bytes:
        data = b""
        for index in indices:
            value = self.forces.get(
                index, struct.pack("<I", (self._tick * 10 + index) & 0xFFFFFFFF)
            )
            data += b"\x00" if index == VARIABLES and index not in self.forces else value
        return data

    def _capture(self) -> None:
        if not self._trace:
            return
        values = self._sample(self._trace)
        if len(self._ring) >= RING_RECORDS:
            self._dropped += 1
            return
        record = struct.pack("<II", self._tick, len(values)) + values
        self._ring.append((self._generation, record))
