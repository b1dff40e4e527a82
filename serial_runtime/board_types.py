# SPDX-License-Identifier: MIT
"""What the board tells and is told: plain immutable values, no C module needed.

Import them from :mod:`serial_runtime.board`, or from here where there is no C module.
"""

from __future__ import annotations

import enum

from serial_runtime.named_tuple import NamedTuple


class BoardState(enum.IntEnum):
    """What the board does; FAULTED is final for the process."""

    EMPTY = 0
    STOPPED = 1
    RUNNING = 2
    FAULTED = 3


class GpioLine(NamedTuple):
    """A line of a GPIO chip: `struct io_gpio_line` of board/io/gpio.h."""

    line: int
    use: int  # of enum io_gpio_use
    debounce_us: int = 0
    value_byte: int = 0
    value_mask: int = 0
    count_bytes: int = 0
    count_byte: int = 0


class GpioChip(NamedTuple):
    """A GPIO chip that serves a part of the process image; `quality`: its bits, an area."""

    chip: str
    lines: tuple[GpioLine, ...]
    poll_ns: int
    priority: int = 0
    quality: bytes = b""


class IoPart(NamedTuple):
    """A part of the process image with an I/O thread: areas of 1024 bytes, see board/io/part.h."""

    inputs: bytes
    outputs: bytes
    lost: bytes
    safe: bytes
    stale_ns: int
    gpio: GpioChip | None = None  # None: a thread of Python serves it, through a `PartPort`


class IoNews(enum.IntEnum):
    """What the outputs are that an I/O thread takes."""

    OLD = 0
    NEW = 1
    SAFE = 2


class GpioState(NamedTuple):
    """How a GPIO chip does; an empty text: well. ``since_ns``: of the monotonic clock."""

    text: str
    since_ns: int
    priority_error: int = 0  # errno: its thread did not get the priority


class Options(NamedTuple):
    """How the board runs programs.

    ``priority``: SCHED_FIFO 1 to 98, 0 for not real time. ``cpu``: -1 for any. ``watchdog_ns``: how
    long one cycle may take; 0 for max(100 ms, 10 base ticks). ``trace_ring_bytes``: a power of two.
    ``cpu_latency_us``: held in /dev/cpu_dma_latency while a program runs; -1: not held. ``io``:
    "none" or "sim:NAME"; ``io_parts``: beside it. ``own_cycle``: objects of the Beremiz IDE run
    their own cycle. ``python``: programs may have Python code evaluated.
    ``threads``: tasks that want to have threads of their own, on ``task_cpu`` (-1: any; -2: as
    ``cpu``). ``sensitivity``: of the watchdog, 1 to 100. ``overruns``: so many in a row are a
    fault; 0: never.
    """

    priority: int = 80
    cpu: int = -1
    watchdog_ns: int = 0
    trace_ring_bytes: int = 1 << 20
    cpu_latency_us: int = 0
    io: str = "none"
    io_parts: tuple[IoPart, ...] = ()
    own_cycle: bool = False
    python: bool = False
    threads: bool = True
    task_cpu: int = -2
    sensitivity: int = 1
    overruns: int = 0


class Evaluation(NamedTuple):
    """Python code that the program wants evaluated; ``call`` and ``run`` name the answer."""

    call: int
    run: int
    code: str


class SharedValue(NamedTuple):
    """A variable shared with Python: how often it has changed (wraps), its value on the wire."""

    changes: int
    value: bytes


class Task(NamedTuple):
    """A task of a program; IEC priority 0 is the highest."""

    name: str
    interval_ns: int
    priority: int
    own_thread: bool = False


class Variable(NamedTuple):
    """One row of the variable table; numbers as in plc_abi.h."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    path: str
    type: int
    direction: int
    location: str
    options: int
    capacity: int


class Image(NamedTuple):
    """A loaded program. ``beremiz``: an object of that IDE, whose variables have no names here;
    ``own_cycle``: and it runs its own cycle, and keeps its retain variables itself."""

    name: str
    build_id: str
    tasks: tuple[Task, ...]
    variables: tuple[Variable, ...]
    beremiz: bool = False
    own_cycle: bool = False


class Fault(NamedTuple):
    """Why the program ended: a sentence, the signal (0: its own fault call) and the tick."""

    reason: str
    signal: int
    tick: int


class LogRecord(NamedTuple):
    """A message of the program, with the wall time it was written at."""

    level: int
    tick: int
    sec: int
    nsec: int
    text: str


class Distribution(NamedTuple):
    """A histogram. Percentiles are the upper edge of their bin of ``bin_ns``."""

    count: int  # type: ignore[assignment]  # hides tuple.count
    min_ns: int
    avg_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    overflow: int
    bins: tuple[int, ...]
    bin_ns: int = 1000
    p50_ns: int = 0
    last_ns: int = 0
    p9999_ns: int = 0


class Statistics(NamedTuple):
    """How well the cycle, or a task, keeps its time, since the start or the last reset.

    ``wakeup``: release to running; ``execution``: running to done; ``jitter``: how far the time
    from start to start is off the interval; ``shim``: the runtime's own part, of the cycle only.
    ``ticks``: how often it ran; ``overruns``: of these, not done at the next release; ``skipped``:
    whole periods skipped because of them. ``period_ns`` is the base tick, 0 without a program, or
    the task's interval; ``load_ppm`` is the share of it that execution takes, in millionths.
    """

    ticks: int
    overruns: int
    skipped: int
    period_ns: int
    wakeup: Distribution
    execution: Distribution
    shim: Distribution
    jitter: Distribution = Distribution(0, 0, 0, 0, 0, 0, 0, ())
    load_ppm: int = 0


class RecordedCycle(NamedTuple):
    """A cycle of a record. ``task``: the one that took longest, counted from 1; 0: none ran."""

    tick: int
    wakeup_ns: int
    execution_ns: int
    jitter_ns: int
    task: int


class MaximumCause(enum.IntEnum):
    """What was greater than ever before."""

    WAKEUP = 1
    EXECUTION = 2

    @property
    def text(self) -> str:
        """For the user."""
        return "wakeup latency" if self is MaximumCause.WAKEUP else "execution time"


class MaximumRecord(NamedTuple):
    """The cycles around a new maximum, in order; ``cycles[position]`` is the one.

    ``task``: whose maximum, 0 for the cycle as a whole. ``before_ns``: the maximum until then.
    """

    task: int
    cause: MaximumCause
    value_ns: int
    before_ns: int
    position: int
    cycles: tuple[RecordedCycle, ...]
