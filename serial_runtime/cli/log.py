# SPDX-License-Identifier: MIT
"""log: what program and runtime have to say."""

from __future__ import annotations

import argparse
import time

from serial_runtime.cli.command import (
    INTERVAL_S,
    Command,
    json_option,
    open_board,
    print_json,
    printable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.rpc.client import LogLine

LEVELS = ("critical", "warning", "info", "debug")


def _level(text: str) -> int:
    names = {name: number for number, name in enumerate(LEVELS)}
    names.update({str(number): number for number in range(4)})
    if text.lower() not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LEVELS)} or 0 to 3")
    return names[text.lower()]


def _print(line: LogLine, as_json: bool) -> None:
    level = LEVELS[line.level]
    if as_json:
        print_json({**line._asdict(), "level": level})
        return
    day = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.sec))
    stamp = f"{day}.{line.nsec // 1000:06d}"
    print(f"{stamp}  {level:8}  tick {line.tick:<8}  {printable(line.text)}", flush=True)


def _run(arguments: argparse.Namespace) -> int:
    levels = range(arguments.level + 1)
    first = [0, 0, 0, 0]
    try:
        with open_board(arguments) as board:
            while True:
                counts = board.status().logcounts
                # Fewer than were seen: the board has restarted, and counts anew.
                first = [0 if f > c else f for f, c in zip(first, counts, strict=True)]
                for line in board.log(levels, first):
                    _print(line, arguments.json)
                    first[line.level] = max(first[line.level], line.number + 1)
                if not arguments.follow:
                    return 0
                time.sleep(arguments.interval)
    except KeyboardInterrupt:
        if arguments.follow:  # the way to end it
            return 0
        raise


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--level",
        type=_level,
        default=3,
        metavar="LEVEL",
        help="only this severe or more: critical, warning, info or debug (default: all)",
    )
    parser.add_argument("--follow", action="store_true", help="go on with new lines until Ctrl-C")
    parser.add_argument(
        "--interval", type=INTERVAL_S, default=0.5, metavar="S", help="between looks (default: 0.5)"
    )
    json_option(parser, "print one JSON document a line")


LOG = Command(
    _run,
    description="Show the log of program and runtime, oldest line first, with the board's time "
    "(in your time zone) and the tick of the cycle.",
    example="  serial-runtime log ERPC:///dev/ttyUSB0:115200 --level warning --follow\n",
    options=_options,
)
