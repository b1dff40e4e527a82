# SPDX-License-Identifier: MIT
"""retain: what a board keeps of retain variables, and forgetting it."""

from __future__ import annotations

import argparse
import sys

from serial_runtime.cli.command import (
    Command,
    UsageError,
    counted,
    json_option,
    open_board,
    print_json,
    printable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def summary(status: dict[str, Any]) -> str:
    """How keeping goes, in a line. `status`: the fields of a RetainStatus."""
    if not status["enabled"]:
        return "nothing is kept (profile key retain.enabled)"
    text = counted(status["kept"], "value")
    if status["orphans"]:
        text += f", {status['orphans']} of them without a variable"
    if status["written_ago_ns"] >= 0:
        text += (
            f", written {status['written_ago_ns'] / 1e9:.0f} s ago and "
            f"{counted(status['writes'], 'time')} since the runtime began"
        )
    return f"{text}; {status['trouble']}" if status["trouble"] else text


def _show(arguments: argparse.Namespace) -> None:

    from serial_runtime import iec

    with open_board(arguments) as board:
        status, values = board.retained()
    rows = [
        {
            "path": one.path,
            "type": iec.type_name(one.iec_type, one.capacity),
            "value": iec.format(one.iec_type, iec.unpack(one.iec_type, one.value)[0]),
            "orphan": one.orphan,
        }
        for one in values
    ]
    if arguments.json:
        print_json({**status._asdict(), "values": rows})
        return
    print(summary(status._asdict()))
    for row in rows:
        note = "   (the program has no such variable)" if row["orphan"] else ""
        print(printable(f"{row['path']:32} {row['type']:10} {row['value']}{note}"))


def _clear(arguments: argparse.Namespace) -> None:
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError("this forgets all retained values; confirm with --yes")
        answer = input(f"Forget all retained values of {arguments.uri}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing done")
            return
    with open_board(arguments) as board:
        board.clear_retained()
    print("cleared")


def _run(arguments: argparse.Namespace) -> int:
    action = " ".join(arguments.words) or "show"
    if action not in ("show", "clear"):
        raise UsageError(f"{action!r} is no action: show or clear")
    (_show if action == "show" else _clear)(arguments)
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="clear: do not ask")
    json_option(parser, "show: print JSON")


RETAIN = Command(
    _run,
    description="Show the values of retain variables that the board keeps over a stop, and those "
    "that it still has of a former program; or forget them all, while no program runs.",
    example="  serial-runtime retain ERPC:///dev/ttyUSB0:115200 show\n"
    "  serial-runtime retain ERPC:///dev/ttyUSB0:115200 clear --yes\n",
    options=_options,
    rest="words",
    words="[show|clear]",
    rest_help="default: show",
)
