# SPDX-License-Identifier: MIT
"""force and unforce."""

from __future__ import annotations

import argparse

from serial_runtime import iec
from serial_runtime.cli.command import Command, UsageError, json_option, open_board, print_json
from serial_runtime.cli.variables import Selection


def _force(arguments: argparse.Namespace) -> int:
    pairs = [word.partition("=") for word in arguments.assignment]
    wrong = [name + equals for name, equals, _ in pairs if not (name and equals)]
    if wrong or not pairs:
        raise UsageError(f"write NAME=VALUE{f', not {wrong[0]}' if wrong else ''}")
    names = [name.upper() for name, _, _ in pairs]
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise UsageError(f"{twice[0]} can have one value only")
    with open_board(arguments) as board:
        table = board.variables()
        rows = [table[index] for index in board.indices(names)]
        values = {}
        texts = {}
        for row, (_, _, text) in zip(rows, pairs, strict=True):
            packed = iec.parse(row.iec_type, text, row.capacity)
            values[row.path] = packed
            texts[row.path] = iec.format(row.iec_type, iec.unpack(row.iec_type, packed)[0])
        board.force(values)
    if arguments.json:
        print_json({"forced": texts})
    else:
        for path, text in texts.items():
            print(f"{path} forced to {text}")
    return 0


def _unforce(arguments: argparse.Namespace) -> int:
    if bool(arguments.name) == arguments.all:
        raise UsageError("name the variables, or give --all")
    with open_board(arguments) as board:
        forced = board.forced()
        names = Selection(board, arguments.name).names if arguments.name else forced
        board.unforce(names if arguments.name else ())
    released = [name for name in names if name in forced]
    if arguments.json:
        print_json({"released": released})
        return 0
    if released or not names:
        print("released " + (", ".join(released) or "nothing: no variable was forced"))
    for name in names:
        if name not in forced:
            print(f"{name} was not forced")
    return 0


def _unforce_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="release every forced variable")
    json_option(parser)


FORCE = Command(
    _force,
    description="Force variables: they keep the value, whatever the program or the inputs write, "
    "until `unforce`, `stop` or a new program. Values are IEC literals, e.g. TRUE, 100, 16#FF, "
    "1.5, T#1s500ms, D#2026-01-31, TOD#12:30:00, 'text'. All are forced in the same cycle.",
    example="  serial-runtime force ERPC:///dev/ttyUSB0:115200 TANK.LEVEL=1.9 "
    "RECIPE.HOLD_TIME=T#3s\n",
    options=json_option,
    rest="assignment",
    words="NAME=VALUE...",
    rest_help="a variable, in any case, and the value to force",
)
UNFORCE = Command(
    _unforce,
    description="Release forced variables: program and inputs write them again.",
    example="  serial-runtime unforce ERPC:///dev/ttyUSB0:115200 TANK.LEVEL\n"
    "  serial-runtime unforce ERPC:///dev/ttyUSB0:115200 --all\n",
    options=_unforce_options,
    rest="name",
    words="[NAME...]",
    rest_help="a variable, in any case",
)
