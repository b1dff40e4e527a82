# SPDX-License-Identifier: MIT
"""stats: how regular the cycle is."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command, json_option, open_board, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.rpc.board.common import CycleStatistics, Distribution

_BAR = 40  # characters


def _microseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.1f}"


def table(statistics: CycleStatistics) -> list[str]:
    """The figures as lines of text, in microseconds."""
    if statistics.ticks == 0:
        return ["no program has run since the load, or the last --reset"]
    lines = [
        f"{statistics.ticks} ticks of {statistics.period_ns / 1e6:g} ms, "
        f"{statistics.overruns} overruns, {statistics.skipped} periods skipped",
        f"{'us':18}{'min':>9}{'average':>9}{'p99':>9}{'p99.9':>9}{'max':>9}",
    ]
    for name, d in (
        ("wakeup latency", statistics.wakeup),
        ("execution time", statistics.execution),
        ("  of it runtime", statistics.shim),
    ):
        figures = (d.min_ns, d.avg_ns, d.p99_ns, d.p999_ns, d.max_ns)
        lines.append(f"{name:18}" + "".join(f"{_microseconds(n):>9}" for n in figures))
    return lines


def histogram(title: str, d: Distribution) -> list[str]:
    """Bars over ranges that double: 0 to 1, 1 to 2, 2 to 4, ... microseconds."""
    sums: dict[int, int] = {}
    for number, count in enumerate(d.bins):
        edge = max((number * d.bin_ns // 1000).bit_length(), 0)
        sums[edge] = sums.get(edge, 0) + count
    filled = [edge for edge, count in sums.items() if count]
    rows = [
        (f"{(1 << edge) // 2:>5} to {1 << edge} us", sums.get(edge, 0))
        for edge in range(min(filled, default=0), max(filled, default=-1) + 1)
    ]
    if d.overflow:
        rows.append((f"{'above':>5} {len(d.bins) * d.bin_ns // 1000} us", d.overflow))
    most = max(count for _, count in rows)
    width = max(len(label) for label, _ in rows)
    bars = (
        f"  {label:{width}} {count:>8}  {'#' * -(-_BAR * count // most)}".rstrip()
        for label, count in rows
    )
    return [title, *bars]


def _run(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        statistics = board.statistics(reset=arguments.reset)
    if arguments.json:
        from dataclasses import asdict

        print_json(asdict(statistics))
        return 0
    lines = table(statistics)
    if arguments.histogram and statistics.ticks:
        lines += histogram("wakeup latency", statistics.wakeup)
        lines += histogram("execution time", statistics.execution)
    print("\n".join(lines))
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reset", action="store_true", help="begin anew after this answer")
    parser.add_argument("--histogram", action="store_true", help="show how they are distributed")
    json_option(parser, "print JSON: nanoseconds, histograms included")


STATS = Command(
    _run,
    description="Statistics of the scan cycle since its start or the last --reset. Wakeup "
    "latency: from the planned begin of a cycle to the real one. Execution time: from there to "
    "its end. An overrun is a cycle longer than its period.",
    example="  serial-runtime stats ERPC:///dev/ttyUSB0:115200 --histogram\n",
    options=_options,
)
