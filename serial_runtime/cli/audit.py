# SPDX-License-Identifier: MIT
"""audit: who changed what, on this board."""

from __future__ import annotations

import argparse
import sys

from serial_runtime.cli import store_dir
from serial_runtime.cli.command import COUNT, Command, json_option, print_json, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _line(row: dict[str, Any]) -> str:
    if "lost" in row:
        return f"{row['time']}  {row['lost']} entries were lost"
    who = f"{row['identity']} at " * bool(row["identity"]) + f"{row['address']} ({row['way']}"
    who += ", through a bridge)" if row["bridged"] else ")"
    what = f"{row['call']} {row['detail']}".rstrip()
    times = f" ({row['times']} times)" if "times" in row else ""
    return printable(f"{row['time']}  {who}  {what}: {row['outcome']}{times}")


def _run(arguments: argparse.Namespace) -> int:
    from collections import deque

    from serial_runtime.plc.audit import read

    directory = store_dir.store_dir(arguments)
    rows = deque(read(directory), maxlen=arguments.count)
    for row in rows:
        if arguments.json:
            print_json(row)
        else:
            print(_line(row))
    if not rows:
        print(
            f"no entry is in {directory} (--dir or --profile names another place)", file=sys.stderr
        )
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    store_dir.add_options(parser)
    parser.add_argument("--count", type=COUNT, metavar="N", help="the last N only")
    json_option(parser, "print a line of JSON for each entry")


AUDIT = Command(
    _run,
    description="Show the audit log of the runtime of this machine, oldest entries first: every "
    "call that changes something, who made it over which connection, and what became of it.",
    example="  serial-runtime audit --dir /var/lib/plc --count 20\n"
    "  serial-runtime audit --profile /etc/serial-runtime.toml --json | jq .call\n",
    options=_options,
    uri=False,
)
