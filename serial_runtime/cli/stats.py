# SPDX-License-Identifier: MIT
"""stats: how regular the cycle and the tasks are."""

from __future__ import annotations

import argparse
import os
import sys

from serial_runtime.cli.command import (
    Command,
    UsageError,
    json_option,
    number,
    open_board,
    print_json,
    printable,
    samples,
    sampling_options,
)
from serial_runtime.cli.timings import Timing, histogram, table
from serial_runtime.errors import CallUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from serial_runtime.rpc.board.common import CycleStatistics, MaximumRecord
    from serial_runtime.rpc.client import Client
    from serial_runtime.rpc.task_figures import TaskFigures

_LABELS = {
    "wakeup": "wakeup latency",
    "execution": "execution time",
    "jitter": "period jitter",
    "shim": "runtime's part",
}
_ORDER = ("wakeup", "execution", "shim", "jitter")
_AROUND = 12  # cycles shown before and after a maximum
_NOTHING = "no program has run since the load, or the last --reset"
_THRESHOLD_US = number(float, 0, 4_000_000)


def _timings(task: TaskFigures) -> list[Timing]:
    """Those of its figures that were measured."""
    return [
        Timing(_LABELS[name], getattr(task.statistics, name), task.bins[name])
        for name in _ORDER
        if getattr(task.statistics, name).count
    ]


def _heading(task: TaskFigures) -> str:
    s = task.statistics
    whose = f"task {printable(s.name)}" if s.name else "cycle"
    if s.own_thread:
        whose += " on a thread of its own"
    runs = "runs" if s.name else "ticks"
    switches = f", {s.mode_switches} mode switches" if s.mode_switches >= 0 else ""
    return (
        f"{whose}: {s.runs} {runs} of {s.interval_ns / 1e6:g} ms, load {s.load_ppm / 1e4:.2f} %, "
        f"{s.overruns} overruns, {s.skipped} periods skipped{switches}"
    )


def lines(tasks: Sequence[TaskFigures], histograms: bool) -> list[str]:
    """The figures of all tasks as text."""
    if not tasks[0].statistics.runs:
        return [_NOTHING]
    text: list[str] = []
    for task in tasks:
        text.append(_heading(task))
        timings = _timings(task)
        text += table(timings) if timings else ["  it has not run yet"]
        if histograms:
            for timing in timings:
                figures = timing.figures
                title = timing.label.strip()
                text += histogram(title, timing.bins, figures.bin_ns, figures.overflow)
    return text


def _json(task: TaskFigures) -> dict[str, object]:

    found = task.statistics._asdict()
    for name, bins in task.bins.items():
        found[name]["bins"] = bins
    found["ticks"] = found.pop("runs")
    found["period_ns"] = found.pop("interval_ns")
    return found


def _all_json(tasks: Sequence[TaskFigures]) -> dict[str, object]:
    """The cycle's, with those of the tasks in a list."""
    whole = _json(tasks[0])
    del whole["name"]
    return {**whole, "tasks": [_json(task) for task in tasks[1:]]}


def _old_lines(statistics: CycleStatistics) -> list[str]:
    """Of a board whose runtime keeps figures of the cycle alone."""
    if statistics.ticks == 0:
        return [_NOTHING]
    head = (
        f"cycle: {statistics.ticks} ticks of {statistics.period_ns / 1e6:g} ms, "
        f"{statistics.overruns} overruns, {statistics.skipped} periods skipped"
    )
    text = [head, f"{'us':15}{'min':>9}{'average':>9}{'p99':>9}{'p99.9':>9}{'max':>9}"]
    for name, d in (
        ("wakeup", statistics.wakeup),
        ("execution", statistics.execution),
        ("shim", statistics.shim),
    ):
        figures = (d.min_ns, d.avg_ns, d.p99_ns, d.p999_ns, d.max_ns)
        text.append(f"{_LABELS[name]:15}" + "".join(f"{n / 1000:9.1f}" for n in figures))
    return text


def _show_old(arguments: argparse.Namespace, board: Client) -> int:
    if (
        arguments.watch or arguments.plot or arguments.maximum or arguments.histogram
    ) or _has_thresholds(arguments):
        raise CallUnsupported(
            "the board's runtime is older and has figures of the cycle only: without options, "
            "--reset and --json show them"
        )
    statistics = board.statistics(reset=arguments.reset)
    if arguments.json:
        print_json(statistics._asdict())
    else:
        print("\n".join(_old_lines(statistics)))
    return 0


# ---- the cycles around a maximum -----------------------------------------------------------------


def maximum_lines(whose: str, record: MaximumRecord, names: Sequence[str]) -> list[str]:
    """One record as text; `names` are those of the tasks."""
    what = _LABELS["wakeup" if record.cause == 1 else "execution"]
    value_us, before_us = record.value_ns / 1000, record.before_ns / 1000
    position = record.position
    text = [
        f"{whose}: greatest {what} {value_us:.1f} us in tick {record.cycles[position].tick}, "
        f"until then {before_us:.1f} us",
        f"{'tick':>12}{'wakeup us':>12}{'execution us':>14}{'jitter us':>12}  longest task",
    ]
    first = max(0, position - _AROUND)
    for at, cycle in enumerate(record.cycles[first : position + _AROUND + 1], first):
        longest = printable(names[cycle.task - 1]) if 0 < cycle.task <= len(names) else "-"
        text.append(
            f"{cycle.tick:>12}{cycle.wakeup_ns / 1000:>12.1f}{cycle.execution_ns / 1000:>14.1f}"
            f"{cycle.jitter_ns / 1000:>12.1f}  {longest}{'  <- maximum' * (at == position)}"
        )
    return text


def _show_maxima(arguments: argparse.Namespace, board: Client) -> int:
    names = [task.name for task in board.program().tasks]
    found = [
        (name, record)
        for task, name in enumerate(["", *names])
        for cause in (1, 2)
        if (record := board.maximum(cause, task)).cause
    ]
    if arguments.json:
        print_json([{"task": name, **record._asdict()} for name, record in found])
        return 0
    for name, record in found:
        whose = f"task {printable(name)}" if name else "cycle"
        print("\n".join(maximum_lines(whose, record, names)))
    if not found:
        print("no new maximum was recorded since the start, or the last --reset")
    return 0


# ---- the command ---------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace, board: Client) -> int:
    """Again and again; in place on a terminal that is tall enough."""
    height = 0
    terminal = sys.stdout.isatty() and not arguments.lines
    notes = arguments.notes
    try:
        for _ in samples(arguments):
            tasks = board.task_figures(bins=arguments.histogram)
            if arguments.json:
                print_json(_all_json(tasks))
            else:
                text = lines(tasks, arguments.histogram)
                if notes != arguments.notes:
                    notes, height = arguments.notes, 0
                if terminal and len(text) < os.get_terminal_size().lines:
                    up = f"\x1b[{height}F" if height else ""
                    print(up + "".join(f"\x1b[K{line}\n" for line in text) + "\x1b[J", end="")
                    height = len(text)
                else:
                    print("\n".join(text))
                    height = 0
                sys.stdout.flush()
    except KeyboardInterrupt:
        if arguments.count is None:  # the way to end it
            return 0
        raise
    return 0


def _plot(arguments: argparse.Namespace, board: Client, tasks: Sequence[TaskFigures]) -> None:
    from serial_runtime.cli.plot import Curve, Panel, draw

    about = board.capabilities()
    panels = [
        Panel(
            _LABELS[name],
            [
                Curve(task.statistics.name or "cycle", getattr(task.statistics, name), bins)
                for task in tasks
                if (bins := task.bins[name])
            ],
        )
        for name in ("wakeup", "execution", "jitter")
    ]
    whole = tasks[0].statistics
    title = (
        f"{about.id} ({about.machine}, {about.backend}): {whole.runs} ticks of "
        f"{whole.interval_ns / 1e6:g} ms, {whole.skipped} periods skipped"
    )
    draw(arguments.plot, title, panels)
    print(f"{arguments.plot} written", file=sys.stderr)


def _has_thresholds(arguments: argparse.Namespace) -> bool:
    return arguments.wakeup_above is not None or arguments.execution_above is not None


def _show(arguments: argparse.Namespace, board: Client) -> int:
    if arguments.maximum:
        return _show_maxima(arguments, board)
    if arguments.watch:
        return _watch(arguments, board)
    tasks = board.task_figures(bins=arguments.histogram or arguments.json or bool(arguments.plot))
    if arguments.json:
        print_json(_all_json(tasks))
    else:
        print("\n".join(lines(tasks, arguments.histogram)))
    if arguments.plot and tasks[0].statistics.runs:
        _plot(arguments, board, tasks)
    if arguments.reset or _has_thresholds(arguments):
        thresholds_us = (arguments.wakeup_above or 0, arguments.execution_above or 0)
        board.reset_statistics(*(round(us * 1000) for us in thresholds_us))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    changes = arguments.reset or _has_thresholds(arguments)
    if arguments.maximum + arguments.watch + (bool(arguments.plot) or changes) > 1:
        raise UsageError("--maximum and --watch go with neither each other nor --plot or --reset")
    if not arguments.watch and (arguments.count is not None or arguments.lines):
        raise UsageError("--count and --lines belong to --watch")
    if arguments.plot:
        from serial_runtime.cli.plot import check

        check(arguments.plot)
    with open_board(arguments) as board:
        try:
            return _show(arguments, board)
        except CallUnsupported:
            if not board.ours:
                raise
            return _show_old(arguments, board)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reset", action="store_true", help="begin anew after this answer")
    parser.add_argument("--histogram", action="store_true", help="show how they are distributed")
    parser.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw the histograms into a .png, .svg or .pdf (needs the extra serial-runtime[plot])",
    )
    parser.add_argument(
        "--maximum", action="store_true", help="show the cycles around the greatest maxima so far"
    )
    parser.add_argument(
        "--wakeup-above",
        type=_THRESHOLD_US,
        metavar="US",
        help="reset, then record only wakeup latencies above US microseconds, and log them as "
        "information (default: what exceeds the first 1000 cycles)",
    )
    parser.add_argument(
        "--execution-above", type=_THRESHOLD_US, metavar="US", help="the same for execution times"
    )
    sampling_options(parser)
    json_option(parser, "print JSON: nanoseconds, histograms included")


STATS = Command(
    _run,
    description="Statistics of the scan cycle and of each task since the start or the last "
    "--reset. Wakeup latency: from the planned begin to the real one. Execution time: from there "
    "to the end. Period jitter: how far the time from one begin to the next is off the interval. "
    "Load: execution time of all the time. An overrun is a run that was not done at the next one's "
    "planned begin. --interval, --count and --lines are those of --watch.",
    example="  serial-runtime stats ERPC:///dev/ttyUSB0:115200 --histogram\n"
    "  serial-runtime stats ERPC:///dev/ttyUSB0:115200 --plot board.png\n"
    "  serial-runtime stats ERPC:///dev/ttyUSB0:115200 --wakeup-above 100\n"
    "  serial-runtime stats ERPC:///dev/ttyUSB0:115200 --maximum\n",
    options=_options,
)
