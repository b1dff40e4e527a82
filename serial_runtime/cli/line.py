# SPDX-License-Identifier: MIT
"""line: the line emulator, for trying programs over a bad serial line without hardware."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.line.process import run

    return run(arguments)


def _options(parser: argparse.ArgumentParser) -> None:
    from serial_runtime.line.process import COMMANDS, add_options

    add_options(parser)
    parser.epilog = f"{COMMANDS}\n\n{parser.epilog}"


LINE = Command(
    _run,
    description="A virtual serial cable: two ttys joined by a line of a real baud rate, as bad as "
    "you want it, to try programs without hardware. It prints the board's and the host's device "
    "path, then READY, and runs until its standard input ends, SIGTERM or Ctrl-C. At the end it "
    "prints its counters, a line of JSON for each direction. The same seed meets the same faults "
    "at the same bytes.",
    example="  serial-runtime line --baud 921600 --ber 1e-5 --turnaround-ms 16\n"
    "  serial-runtime line --dir /tmp/cable --to-board drop=1e-4 --to-host overrun=4096\n"
    "  (echo 'flip to-board 100'; cat) | serial-runtime line --dir /tmp/cable\n",
    options=_options,
    uri=False,
)
