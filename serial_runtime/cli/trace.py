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
from serial_runtime.cli.trigger import settle_trigger, trigger, trigger_name, trigger_options
from serial_runtime.cli.variables import Selection
from serial_runtime.errors import SerialRuntimeError, StateError
from serial_runtime.iec import IecType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serial_runtime.iec.text import Value
    from serial_runtime.rpc.client import Client, Snapshot, Trace


_MASK = 0xFFFFFFFF  # ticks wrap


class Recorder:
    """Writes samples as CSV rows, and what happens to the ticks as comment rows; counts both."""

    def __init__(self, file: TextIO, chosen: Selection) -> None:
        self._csv = csv.writer(file, lineterminator="\n")
        self._file = file
        self._chosen = chosen
        self._every = 1
        self.factors: set[int] = set()
        self.ticks = self.gaps = self.missing = self.captures = 0
        self.decimated = self.lost = 0  # as the board counts
        self.first = self.last = 0
        self.ended = ""  # why, when it did not come to the end that was asked for
        self.failure: SerialRuntimeError | None = None
        self._csv.writerow(["tick", *map(_heading, chosen.names, chosen.kinds)])

    def add(self, trace: Trace, samples: Iterable[Snapshot], wanted: int | None) -> bool:
        """Write a batch, of which the attributes of `trace` tell; False at the end wanted.

        `wanted` counts ticks from the first sample on.
        """
        for sample in samples:
            if not self.ticks:
                self.first = sample.tick
            elif wanted is not None and _distance(self.first, sample.tick) >= wanted:
                return False
            self._remark(trace, sample.tick)
            self.last = sample.tick
            self.ticks += 1
            values = self._chosen.values(sample.values)
            self._csv.writerow([sample.tick, *map(_cell, self._chosen.kinds, values)])
            if wanted is not None and _distance(self.first, sample.tick) == wanted - 1:
                return False
        self.decimated, self.lost = trace.decimated, trace.lost
        return True

    def _remark(self, trace: Trace, tick: int) -> None:
        if trace.decimation != self._every:
            self._every = trace.decimation
            each = "all ticks" if self._every == 1 else f"one tick of {self._every}"
            self._file.write(f"# decimation: {each} from tick {trace.since} on\n")
        self.factors.add(self._every)
        if trace.capture != self.captures:
            self.captures = trace.capture
            event = "nothing until" if trace.timed_out else "trigger at"
            self._file.write(f"# capture {self.captures}: {event} tick {trace.trigger_tick}\n")
        elif self.ticks:
            lost = _distance(self._due(trace.since, tick), tick) // self._every
            if lost:
                self.gaps += 1
                self.missing += lost
                self._file.write(f"# gap: {lost} ticks missing after tick {self.last}\n")

    def _due(self, since: int, tick: int) -> int:
        """The tick that should follow the last one; the factor in force is so from `since` on."""
        after = (self.last + 1) & _MASK
        if _distance(after, since) <= _distance(after, tick):
            after = since
        due = after + -after % self._every
        return due if due <= _MASK else 0

    def summary(self) -> str:
        """The count in a sentence."""
        if not self.ticks:
            return f"nothing recorded; {self.ended}"
        words = [
            f"{_number(self.ticks, 'tick')} ({self.first} to {self.last}) of "
            + _number(len(self._chosen.names), "variable"),
            "no gap",
        ]
        if self.gaps:
            words[-1] = f"{_number(self.gaps, 'gap')} with {_number(self.missing, 'tick')} missing"
        if self.captures:
            words.append(_number(self.captures, "capture"))
        elif self.decimated:
            factors = " or ".join(map(str, sorted(self.factors)))
            words.append(f"decimated: one tick of {factors} kept, {self.decimated} left out")
        return ", ".join(words) + (self.ended and f"; {self.ended}")


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s'[: count != 1]}"


def _distance(first: int, last: int) -> int:
    return (last - first) & _MASK


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


def _record(
    open_trace: Callable[[], Trace], recorder: Recorder, wanted: int | None, captures: int | None
) -> int:
    """Record until the end; the exit status. An error is kept if there is something to show."""
    from serial_runtime.rpc.ide.common import Status

    try:
        with open_trace() as trace:
            more, away = True, False
            while more and not trace.done:
                samples = trace.poll()
                more = recorder.add(trace, samples, wanted)
                if captures is not None and trace.capture >= captures and trace.complete:
                    break
                away = _tell_presence(trace.plc == Status.Disconnected, away)
                if not samples and not away and trace.plc != Status.Started:
                    recorder.ended = "then the program stopped"
                    break
    except KeyboardInterrupt:
        recorder.ended = "then Ctrl-C"
        return 0 if wanted is None and captures is None else INTERRUPTED
    except SerialRuntimeError as error:
        if not recorder.ticks:
            raise
        recorder.ended, recorder.failure = f"then: {error}", error
    return 0


def _tell_presence(away: bool, before: bool) -> bool:
    """A bridge may be without its board for a while; the trace goes on when that is back."""
    if away != before:
        what = "the bridge has lost the board; still waiting" if away else "the board is back"
        print(f"serial-runtime: {what}", file=sys.stderr, flush=True)
    return away


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
    names = list(arguments.name)
    if not names:
        raise UsageError("name at least one variable; `serial-runtime watch --count 1` shows all")
    captures = arguments.captures
    settle_trigger(arguments)
    if arguments.trigger is not None:
        if arguments.ticks or arguments.duration:
            raise UsageError("with --trigger the end is --mode single, --captures N or Ctrl-C")
        names.append(trigger_name(arguments.trigger))
        captures = 1 if arguments.mode == "single" else captures
    from serial_runtime.rpc.ide.common import Status

    with open_board(arguments) as board:
        chosen = Selection(board, names)
        if board.status().status != Status.Started:
            raise StateError("no program is running, so there are no ticks to record; start it")
        wanted = _wanted_ticks(arguments, board)
        event = None
        if arguments.trigger is not None:
            event = trigger(arguments, chosen, board.statistics().period_ns / 1e9)
        with _target(arguments.output) as file:
            recorder = Recorder(file, chosen)
            if not (arguments.json or wanted):
                around = f" around {arguments.trigger}" if event else ""
                end = _number(captures, "capture") if captures else "Ctrl-C"
                print(f"recording{around} until {end}", file=sys.stderr, flush=True)
            status = _record(
                lambda: board.trace(chosen.names, every=arguments.every, trigger=event),
                recorder,
                wanted,
                captures,
            )
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
                "decimated": recorder.decimated,
                "factors": sorted(recorder.factors),
                "lost": recorder.lost,
                "captures": recorder.captures,
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
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--every",
        type=number(int, 1, 2**31 - 1),
        default=0,
        metavar="N",
        help="only ticks that N divides (default: all, or fewer while the line is too slow)",
    )
    which.add_argument(
        "--full",
        dest="every",
        action="store_const",
        const=1,
        help="all ticks; what a slow line cannot take in time is lost",
    )
    trigger_options(parser)
    json_option(parser, "print the summary as JSON")


TRACE = Command(
    _run,
    description="Record variables at every tick of the PLC into a CSV file, until Ctrl-C or the "
    "end given, or only around events. The board keeps what the line cannot take at once; when the "
    "line is too slow for every tick, it keeps one of 2, 4, 8 ... and a comment row says so "
    "(# decimation: ...). Ticks that are missing otherwise are a comment row too (# gap: ...) and "
    "counted in the summary. TIME is in seconds, BOOL 0 or 1. The file is FILE.csv.part until the "
    "recording ends, in whatever way.",
    example="  serial-runtime trace ERPC:///dev/ttyUSB0:115200 TANK.LEVEL PUMP1.SPEED "
    "-o tank.csv --duration 10\n"
    "  serial-runtime trace ERPC:///dev/ttyUSB0:115200 TANK.LEVEL PUMP1.ON -o tank.csv \\\n"
    "      --trigger 'TANK.LEVEL rising 1.5' --pre 100 --post 400 --mode single\n",
    options=_options,
    rest="name",
    words="NAME... -o FILE.csv",
    rest_help="a variable, in any case",
)
