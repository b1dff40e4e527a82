# SPDX-License-Identifier: MIT
"""`python -m benchmarks [NAME [RUNS]]`: one benchmark, or all of them."""

from __future__ import annotations

import importlib
import sys

ALL = (
    "startup",
    "roundtrip",
    "download",
    "image_sizes",
    "stop",
    "faults",
    "trace",
    "work",
    "latency",
    "overruns",
    "online_change",
    "busy_link",
    "bridge",
)


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] not in ALL:
        print(f"benchmarks: {arguments[0]}: choose from {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in arguments[:1] or ALL:
        importlib.import_module(f"benchmarks.{name}").run(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
