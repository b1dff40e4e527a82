# SPDX-License-Identifier: MIT
"""start, stop, repair: one call each."""

from __future__ import annotations

import argparse
import sys

from serial_runtime.cli.command import Command, UsageError, open_board


def _start(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        board.start(cold=arguments.cold)
    print("started")
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        board.stop()
    print("stopped")
    return 0


def _repair(arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError("this removes the stored program; confirm with --yes")
        answer = input(f"Remove the program stored on {arguments.uri}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing done")
            return 0
    with open_board(arguments) as board:
        board.repair()
    print("removed the stored program")
    return 0


def _start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cold", action="store_true", help="forget the values of its retain variables"
    )


def _repair_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


START = Command(
    _start,
    description="Start the program that is loaded. Its variables begin at their initial values, "
    "retain variables at those they had; those forced while it was stopped stay forced.",
    example="  serial-runtime start ERPC:///dev/ttyUSB0:115200\n",
    options=_start_options,
)
STOP = Command(
    _stop,
    description="Stop the running program. Its outputs go to the safe state and forces are "
    "released; the program stays loaded.",
    example="  serial-runtime stop ERPC:///dev/ttyUSB0:115200\n",
)
REPAIR = Command(
    _repair,
    description="Remove the stored program and its files from the board, so that it comes up "
    "empty: the way out when a program cannot be used. It asks first.",
    example="  serial-runtime repair ERPC:///dev/ttyUSB0:115200 --yes\n",
    options=_repair_options,
)
