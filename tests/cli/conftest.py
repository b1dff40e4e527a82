# SPDX-License-Identifier: MIT
"""A board made of Python, behind the client's interface: what the commands talk to here."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import serial_runtime
from serial_runtime import iec
from serial_runtime.cli import main
from serial_runtime.errors import CallRefused, CallUnsupported, LinkClosed, VariableError
from serial_runtime.iec import IecType
from serial_runtime.rpc import client
from serial_runtime.rpc.board.common import (
    BoardStatus,
    Capabilities,
    ChangeReport,
    ChangeRow,
    ChangeStatus,
    Connection,
    CycleStatistics,
    Distribution,
    IoDriver,
    IoPoint,
    LinkStatistics,
    MaximumRecord,
    ProgramInfo,
    RetainedValue,
    RetainStatus,
    Supervision,
    Task,
    TaskStatistics,
    Timing,
    Variable,
)
from serial_runtime.rpc.client import LogLine, Sent, Snapshot
from serial_runtime.rpc.ide.common import Identity, PlcStatus, Status
from serial_runtime.rpc.link_figures import LinkFigures
from serial_runtime.rpc.task_figures import FIGURES, TaskFigures

TANK = Path(serial_runtime.__file__).parent / "demo" / "tank.c"
URI = "ERPC://fake:3000"


class FakeTrace:
    """Hands out prepared batches of ticks; an empty one means the program has stopped."""

    def __init__(self, board: FakeBoard, names: Sequence[str]) -> None:
        self._board = board
        self._names = names
        self._batches = list(board.trace_batches)
        self.plc = int(Status.Started)
        self.lost = self.decimated = self.since = 0
        self.decimation = 1
        self.capture = self.trigger_tick = 0
        self.timed_out = self.complete = self.done = False
        self.closed = False
        board.traces.append(self)

    def poll(self) -> list[Snapshot]:
        if not self._batches and self._board.trace_end:
            raise self._board.trace_end
        batch = self._batches.pop(0) if self._batches else []
        said: dict[str, object] = {}
        if isinstance(batch, tuple):  # with what the trace says of it
            batch, said = batch
        if not batch:
            self.plc = int(Status.Stopped)
        vars(self).update(said)
        return [Snapshot(tick, self._board.packed(self._names)) for tick in batch]

    def __enter__(self) -> FakeTrace:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True


class FakeChange:
    """Stands for rpc.online_change.OnlineChange."""

    rows = (
        ChangeRow(1, "TANK.LEVEL", "REAL"),
        ChangeRow(2, "TANK.INLET", "INT -> DINT"),
        ChangeRow(9, "state", "4 bytes without a row: begin anew"),
    )

    def __init__(self, board: FakeBoard, probation: int, strict: bool) -> None:
        self.report = ChangeReport(1, len(self.rows), 2500, 40_000, 1_000_000, probation)
        self._board = board
        self.strict = strict

    def make(self) -> None:
        self._board.change = ChangeStatus("on trial", self.report.probation)

    def drop(self) -> None:
        self._board.change = ChangeStatus("dropped")


class FakeLink:
    """A link with prepared figures; each look at them finds 100 bytes more on the line."""

    def __init__(self) -> None:
        self.transport = SimpleNamespace(name="/dev/fake", line_rate_Bps=11520.0)
        self.bauds: list[int] = []
        self._bytes = 0

    @property
    def figures(self) -> LinkFigures:
        self._bytes += 100
        return LinkFigures(
            0.001, 0.002, 0.03, 9, 2, 7, 1, 0, 3, 41, self._bytes, self._bytes, 5, 16, 1400
        )

    def run_at(self, baud: int) -> None:
        self.bauds.append(baud)

    def submit(self, service: int, method: int, arguments: bytes, *, bulk: bool = False) -> bytes:
        return arguments

    def wait(self, request: bytes) -> bytes:
        return request  # an echo


class FakeBoard:
    """State of a board, and the calls that change it."""

    def __init__(self) -> None:
        self.kept = [
            RetainedValue("OLD", IecType.STRING, 20, True, b"\2ab"),
            RetainedValue("FLOW.VOLUME", IecType.LREAL, 0, False, struct.pack("<d", 1.5)),
        ]
        self.trouble = ""
        self.link = FakeLink()
        self.ours = True
        self.is_old = False
        self.state = Status.Stopped
        self.table: list[Variable] = []
        self.values: dict[str, bytes] = {}
        self.forces: dict[str, bytes] = {}
        self.lines: list[LogLine] = []
        self.image = b""
        self.extra_files: list[tuple[str, bytes]] = []
        self.secret = ""  # which it tells
        self.tick = 100
        self.fault = ""
        self.trace_batches: list[list[int] | tuple[list[int], dict[str, object]]] = []
        self.trace_options: dict[str, object] = {}
        self.trace_end: BaseException | None = None  # behind the batches
        self.after_read: Callable[[], None] = lambda: None
        self.on_trouble: object = None  # tells the user
        self.uptime_s = 61
        self.traces: list[FakeTrace] = []
        self.figures = CycleStatistics(period_ns=10_000_000)
        self.resets = 0
        self.tasks = [task("", 0), task("MAIN", 0)]
        self.maxima: dict[tuple[int, int], MaximumRecord] = {}
        self.record_above_ns = (0, 0)
        self.change = ChangeStatus()
        self.supervised = Supervision(crash_limit=3, guarded=True)
        self.machine = "x86_64"
        self.closed = 0
        self.add("TANK.LEVEL", IecType.REAL, 1.25)
        self.add("TANK.INLET", IecType.BOOL, True)
        self.add("TANK.STATE", IecType.STRING, "holding", 24)
        self.add("RECIPE.TIME", IecType.TIME, 1_500_000_000)

    def add(self, path: str, kind: IecType, value: iec.Value, capacity: int = 0) -> None:
        self.table.append(Variable(path=path, iec_type=kind, capacity=capacity))
        self.values[path] = iec.pack(kind, value, capacity)

    def packed(self, names: Iterable[str]) -> bytes:
        paths = [self.table[i].path for i in self.indices(names)]
        return b"".join(self.forces.get(path, self.values[path]) for path in paths)

    def __enter__(self) -> FakeBoard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed += 1

    def status(self) -> PlcStatus:
        counts = [sum(line.level == level for line in self.lines) for level in range(4)]
        return PlcStatus(self.state, counts)

    def link_statistics(self) -> LinkStatistics:
        driver = [1000, 1000, 2, 17, 0, 0, 3]
        return LinkStatistics(
            frames=6, discarded_bytes=99, sessions=1, home_baud=9600, driver=driver
        )

    def plc_id(self) -> str:
        return "STOCK"

    def identity(self) -> Identity:
        if not self.secret:
            raise CallUnsupported("the secret is told in a pairing window only")
        return Identity("FAKE", self.secret)

    def capabilities(self) -> Capabilities:
        return Capabilities("FAKE", "0.1.0", self.machine, "posix", 4096, 8)

    def connections(self) -> list[Connection]:
        if self.is_old:
            raise CallUnsupported("the board's runtime is older")
        return [Connection("WAMP://router#realm#FAKE", "connected, anonymously")]

    def supervision(self) -> Supervision:
        if self.is_old:
            raise CallUnsupported("the board's runtime is older")
        return self.supervised

    def io_drivers(self) -> list[IoDriver]:
        return [
            IoDriver("none", "the whole process image", "", 0),
            IoDriver("modbus 1", "unit 3 at tcp://drive:502", "no reply", 12_400_000_000),
        ]

    def io_points(self) -> list[IoPoint]:
        return [
            IoPoint(1, "%IX0.0", "coil 7", 1, 1, True),
            IoPoint(1, "%QW20", "holding register 100", 16, 65535, False),
        ]

    def board_status(self) -> BoardStatus:
        return BoardStatus(
            plc=self.state,
            scheduling="NOT real time: run as root",
            forced=len(self.forces),
            fault=self.fault,
            uptime_ns=self.uptime_s * 1_000_000_000,
        )

    def program(self) -> ProgramInfo:
        tasks = [Task("MAIN", 10_000_000, 0)]
        return ProgramInfo(bool(self.table), "m" * 32, "TANK", "b" * 32, len(self.table), 1, tasks)

    def download(
        self,
        image: bytes,
        md5: str = "",
        extra_files: Sequence[tuple[str, bytes]] = (),
        progress: Callable[[int, int], None] = lambda *_: None,
        whole: bool = False,
    ) -> Sent:
        for done in range(0, len(image), 1000):
            progress(done, len(image))
        progress(len(image), len(image))
        self.image = image
        self.extra_files = list(extra_files)
        return Sent(len(image), "as it is") if whole else Sent(321, "patch")

    def prepare_change(
        self,
        image: bytes,
        extra_files: Sequence[tuple[str, bytes]],
        progress: Callable[[int, int], None],
        *,
        probation: int,
        strict: bool,
    ) -> FakeChange:
        progress(len(image), len(image))
        return FakeChange(self, probation or 10_000, strict)

    def change_status(self) -> ChangeStatus:
        if self.is_old:
            raise CallUnsupported("the board's runtime is older")
        return self.change

    def start(self, cold: bool = False) -> None:
        if not self.table:
            raise CallRefused("there is no program to start")
        self.state = Status.Started
        if cold:
            self.kept.clear()

    def retain_status(self) -> RetainStatus:
        if self.is_old:
            raise CallUnsupported("the board's runtime is older")
        orphans = sum(one.orphan for one in self.kept)
        return RetainStatus(True, len(self.kept), orphans, 7, 3_000_000_000, self.trouble)

    def retained(self) -> tuple[RetainStatus, list[RetainedValue]]:
        return self.retain_status(), self.kept

    def clear_retained(self) -> None:
        if self.state == Status.Started:
            raise CallRefused("the program runs")
        self.kept.clear()

    def stop(self) -> None:
        self.state = Status.Stopped

    def repair(self) -> None:
        self.table.clear()
        self.state = Status.Empty

    def variables(self) -> tuple[Variable, ...]:
        return tuple(self.table)

    def indices(self, names: Iterable[str]) -> list[int]:
        places = {row.path: i for i, row in enumerate(self.table)}
        for name in names:
            if name.upper() not in places:
                raise VariableError(f"no variable {name!r}; did you mean TANK.LEVEL?")
        return [places[name.upper()] for name in names]

    def read(self, names: Sequence[str]) -> Snapshot:
        self.tick += 1
        sample = Snapshot(self.tick, self.packed(names))
        self.after_read()
        return sample

    def force(self, values: Mapping[str, bytes]) -> None:
        self.forces.update(values)

    def unforce(self, names: Sequence[str] = ()) -> None:
        for name in names or list(self.forces):
            self.forces.pop(name, None)

    def forced(self) -> list[str]:
        return list(self.forces)

    def statistics(self, reset: bool = False) -> CycleStatistics:
        self.resets += reset
        return self.figures

    def task_figures(self, bins: bool = False) -> list[TaskFigures]:
        if self.is_old:
            raise CallUnsupported("the board does not know this call")
        if bins:
            return self.tasks
        return [TaskFigures(one.statistics, {name: [] for name in FIGURES}) for one in self.tasks]

    def maximum(self, cause: int, task: int = 0) -> MaximumRecord:
        return self.maxima.get((task, cause), MaximumRecord())

    def reset_statistics(self, wakeup_above_ns: int = 0, execution_above_ns: int = 0) -> None:
        self.resets += 1
        self.record_above_ns = wakeup_above_ns, execution_above_ns

    def log(self, levels: Sequence[int], first: Sequence[int]) -> list[LogLine]:
        return [e for e in self.lines if e.level in levels and e.number >= first[e.level]]

    def trace(self, names: Sequence[str], **options: object) -> FakeTrace:
        self.trace_options = options
        return FakeTrace(self, names)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands leave things for the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SERIAL_RUNTIME_DEBUG", raising=False)
    return tmp_path / "state"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    """The board at URI; every other one does not answer."""
    fake = FakeBoard()

    def connect(uri: str, **options: object) -> FakeBoard:
        if uri != URI:
            raise LinkClosed(f"{uri} does not answer")
        fake.on_trouble = options["on_trouble"]
        return fake

    monkeypatch.setattr(client, "connect", connect)
    monkeypatch.setenv("SERIAL_RUNTIME_URI", URI)
    return fake


class Result(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command: run("status", "--json")."""

    def call(*words: str) -> Result:
        status = main(list(words))
        return Result(status, *capsys.readouterr())

    return call


def timing(*bins: int, overflow: int = 0, bin_ns: int = 1000) -> Timing:
    """One whose figures are made up."""
    count = sum(bins) + overflow
    return Timing(bin_ns, count, 1400, 100, 1500, 1000, 3000, 3000, 3400, 3500, overflow)


def task(name: str, runs: int, **bins: list[int]) -> TaskFigures:
    """A task that ran so often, with these histograms."""
    shim = timing(*bins.get("shim", ()), bin_ns=10)
    statistics = TaskStatistics(
        name, 10_000_000, runs, 1, 2, 12_300, False,
        *(timing(*bins.get(one, ()), overflow=one == "wakeup") for one in FIGURES[:3]), shim, -1,
    )  # fmt: skip
    return TaskFigures(statistics, {one: bins.get(one, []) for one in FIGURES})


def distribution(*bins: int, overflow: int = 0) -> Distribution:
    """One with these counts in bins of 1 us."""
    return Distribution(1000, sum(bins), 100, 1500, 1000, 3000, 3000, 3500, overflow, list(bins))


@pytest.fixture
def busy(board: FakeBoard) -> FakeBoard:
    """The board running, with statistics."""
    board.state = Status.Started
    board.figures = CycleStatistics(
        ticks=107,
        overruns=1,
        skipped=2,
        period_ns=10_000_000,
        wakeup=distribution(0, 3, 50, 50, 0, 0, 0, 4, overflow=1),
        execution=distribution(100, 7),
        shim=distribution(107),
    )
    figures = {"wakeup": [0, 3, 50, 50, 0, 0, 0, 4], "execution": [100, 7], "jitter": [90, 16]}
    board.tasks = [task("", 107, **figures, shim=[0, 107]), task("MAIN", 107, **figures)]
    return board


@pytest.fixture
def image(tmp_path: Path, run) -> Path:
    """The demo program, built."""
    path = tmp_path / "tank.so"
    assert run("build", str(TANK), "-o", str(path)).status == 0
    return path
