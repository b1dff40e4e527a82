# SPDX-License-Identifier: MIT
"""io: the process I/O of a board: drivers, and every mapped point with value and quality."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command, json_option, open_board, print_json, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from serial_runtime.rpc.board.common import IoDriver, IoPoint


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _state(driver: IoDriver) -> str:
    return f"{driver.state}, for {driver.since_ns / 1e9:.0f} s" if driver.state else "well"


def table(drivers: Sequence[IoDriver], points: Sequence[IoPoint]) -> list[str]:
    """Two tables as lines of text."""
    lines = _aligned(
        [("driver", "serves", "state"), *((one.name, one.what, _state(one)) for one in drivers)]
    )
    if points:
        rows = [
            (
                point.address,
                str(point.value),
                "good" if point.good else "BAD",
                f"{drivers[point.driver].name}, {point.source}",
            )
            for point in points
        ]
        lines += ["", *_aligned([("address", "value", "quality", "source"), *rows])]
    return lines


def _run(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        drivers, points = board.io_drivers(), board.io_points()
    if arguments.json:
        print_json(
            {
                "drivers": [driver._asdict() for driver in drivers],
                "points": [point._asdict() for point in points],
            }
        )
        return 0
    for line in table(drivers, points):
        print(printable(line))
    return 0


IO = Command(
    _run,
    description="Show the process I/O of a board: its drivers and how they do, and of each point "
    "that its profile maps the value, whether it is good, and what stands behind it. Inputs are "
    "those the driver read last, outputs those it put out last; both also while no program runs.",
    example="  serial-runtime io ERPC://plc.local:3000\n"
    "  serial-runtime io ERPC://plc.local:3000 --json | jq '.points[] | select(.good | not)'\n",
    options=json_option,
)
