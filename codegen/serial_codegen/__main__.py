"""Command line: ``python -m serial_codegen COMMAND ...``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from serial_codegen import build
from serial_codegen.idl import command as idl_command

# A command is a function that adds its own parser, and there sets ``run``: the function that takes
# the parsed options and returns the exit status.
COMMANDS: tuple[Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None], ...] = (
    idl_command.add_to,
    build.add_to,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="serial_codegen", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_to in COMMANDS:
        add_to(subparsers)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
