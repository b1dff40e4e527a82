# SPDX-License-Identifier: MIT
"""trace: every tick of some variables into a CSV file."""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from serial_runtime import iec
from serial_runtime.cli.command import (
    COUNT,
    INTERRUPTED,
    Command,
    UsageError,
    json_option,
    number,
    open_board,
    print_json,
)
from serial_runtime.cli.variables import Selection
from serial_runtime.errors import SerialRuntimeError, StateError
from serial_runtime.iec import IecType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.iec.text import Value
    from serial_runtime.rpc.client import Client, Snapshot


class Recorder:
    """Writes samples as CSV rows and gaps in the ticks as comment rows; counts both."""

    def __init__(self, file: TextIO, chosen: Selection) -> None:
        self._csv = csv.writer(file, lineterminator="\n")
        self._file = file
        self._chosen = chosen
        self.ticks = self.gaps = self.missing = 0
        self.first = self.last = 0
        self.ended = ""  # why, when it did not come to the end that was asked for
        self.failure: SerialRuntimeError | None = None
        self._csv.writerow(["tick", *map(_heading, chosen.names, chosen.kinds)])

    @property
    def span(self) -> int:
        """Ticks from the first sample to the last, those missing included."""
        return self.ticks + self.missing

    def add(self, sample: Snapshot) -> None:
        """Write one sample."""
        if self.ticks:
            lost = (sample.tick - self.last - 1) & 0xFFFFFFFF  # ticks wrap at 2**32
            if lost:
                self.gaps += 1
                self.missing += lost
                self._file.write(f"# gap: {lost} ticks missing after tick {self.last}\n")
        else:
            self.first = sample.tick
        self.last = sample.tick
        self.ticks += 1
        values = self._chosen.values(sample.values)
        self._csv.writerow([sample.tick, *map(_cell, self._chosen.kinds, values)])

    def summary(self) -> str:
        """The count in a sentence."""
        if not self.ticks:
            return f"nothing recorded; {self.ended}"
        gaps = "no gap"
        if self.gaps:
            gaps = f"{self.gaps} gap{'s'[: self.gaps > 1]} with {self.missing} ticks missing"
        return (
            f"{self.ticks} ticks ({self.first} to {self.last}) of {len(self._chosen.names)} "
            f"variables, {gaps}{self.ended and '; ' + self.ended}"
        )


def _heading(name: str, kind: IecType) -> str:
    return f"{name} [s]" if kind == IecType.TIME else name


def _cell(kind: IecType, value: Value) -> str | int | float:
    """As a spreadsheet wants it: numbers plain, BOOL 0 or 1, TIME in seconds."""
    if kind == IecType.BOOL:
        return int(value)
    if kind == IecType.TIME:
        seconds, nanoseconds = divmod(abs(int(value)), 1_000_000_000)
        return f"{'-' if int(value) < 0 else ''}{seconds}.{nanoseconds:09}"
    if kind in (IecType.REAL, IecType.LREAL):
        return iec.format(kind, value)
    if kind in (IecType.DATE, IecType.TOD, IecType.DT):
        return iec.format(kind, value).partition("#")[2]
    return value


def _wanted_ticks(arguments: argparse.Namespace, board: Client) -> int | None:
    ticks: int | None = arguments.ticks
    if arguments.duration is not None:
        period_s = board.statistics().period_ns / 1e9
        ticks = max(1, round(arguments.duration / period_s))
    return ticks


def _record(board: Client, recorder: Recorder, names: list[str], wanted: int | None) -> int:
    """Record until the end; the exit status. An error is kept if there is something to show."""
    from serial_runtime.rpc.ide.common import Status

    try:
        with board.trace(names) as trace:
            while wanted is None or recorder.span < wanted:
                samples = trace.poll()
                for sample in samples:
                    if wanted is None or recorder.span < wanted:
                        recorder.add(sample)
                if not samples and trace.plc != Status.Started:
                    recorder.ended = "then the program stopped"
                    break
    except KeyboardInterrupt:
        recorder.ended = "then Ctrl-C"
        return 0 if wanted is None else INTERRUPTED
    except SerialRuntimeError as error:
        if not recorder.ticks:
            raise
        recorder.ended, recorder.failure = f"then: {error}", error
    return 0


@contextlib.contextmanager
def _target(name: str) -> Iterator[TextIO]:
    """The file to write: it gets its name, and replaces another, when it is complete."""
    path = os.path.realpath(name)
    if name == "-":
        yield sys.stdout
    elif os.path.exists(path) and not os.path.isfile(path):  # a device, a pipe
        with open(path, "w", encoding="utf-8", newline="") as file:
            yield file
    else:
        part = f"{path}.part"
        try:
            with open(part, "w", encoding="utf-8", newline="") as file:
                yield file
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.name:
        raise UsageError("name at least one variable; `serial-runtime watch --count 1` shows all")
    from serial_runtime.rpc.ide.common import Status

    with open_board(arguments) as board:
        chosen = Selection(board, arguments.name)
        if board.status().status != Status.Started:
            raise StateError("no program is running, so there are no ticks to record; start it")
        wanted = _wanted_ticks(arguments, board)
        with _target(arguments.output) as file:
            recorder = Recorder(file, chosen)
            if not (arguments.json or wanted):
                print("recording until Ctrl-C", file=sys.stderr, flush=True)
            status = _record(board, recorder, chosen.names, wanted)
    target = sys.stderr if arguments.output == "-" else sys.stdout
    if arguments.json and target is sys.stdout:
        print_json(
            {
                "file": arguments.output,
                "ticks": recorder.ticks,
                "first": recorder.first,
                "last": recorder.last,
                "gaps": recorder.gaps,
                "missing": recorder.missing,
                "ended": recorder.ended,
            }
        )
    else:
        print(f"{arguments.output}: {recorder.summary()}", file=target)
    if recorder.failure:
        raise recorder.failure
    return status


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", dest="output", required=True, metavar="FILE.csv", help="file to write; - for stdout"
    )
    end = parser.add_mutually_exclusive_group()
    end.add_argument(
        "--duration",
        type=number(float, 0.001, 1e9),
        metavar="S",
        help="end after S seconds of PLC time",
    )
    end.add_argument("--ticks", type=COUNT, metavar="N", help="end after N ticks")
    json_option(parser, "print the summary as JSON")


TRACE = Command(
    _run,
    description="Record variables at every tick of the PLC into a CSV file, until Ctrl-C or the "
    "end given. The board keeps what the line cannot take at once; what it had to drop is a "
    "comment row (# gap: ...) and counted in the summary. TIME is in seconds, BOOL 0 or 1. The "
    "file is FILE.csv.part until the recording ends, in whatever way.",
    example="  serial-runtime trace ERPC:///dev/ttyUSB0:115200 TANK.LEVEL PUMP1.SPEED "
    "-o tank.csv --duration 10\n",
    options=_options,
    rest="name",
    words="NAME... -o FILE.csv",
    rest_help="a variable, in any case",
)
