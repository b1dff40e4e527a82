"""The command ``idl``."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from serial_codegen.idl import IdlError, compile_file


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("idl", help="compile an eRPC IDL file to Python stubs")
    parser.add_argument("file", type=Path, metavar="FILE", help="the .erpc file")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where the package goes"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the package differs"
    )
    parser.add_argument(
        "--runtime",
        default="erpc",
        metavar="MODULE",
        help="import what stubs call from MODULE, which has the names of erpc (default: erpc)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compile, or check; returns the exit status."""
    try:
        files = compile_file(options.file, options.runtime)
        if options.check:
            return _check(options.output, files)
        _write(options.output, files)
    except IdlError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _write(directory: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


def _check(directory: Path, files: dict[str, str]) -> int:
    """Compare with what is there; tell the differences."""
    status = 0
    for name, content in files.items():
        path = directory / name
        present = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
        if present == content:
            continue
        status = 1
        print(f"{path}: {'differs' if path.exists() else 'is missing'}")
        if path.exists():
            old, new = present.splitlines(), content.splitlines()
            print("\n".join(difflib.unified_diff(old, new, "on disk", "generated", "", "", 0, "")))
    return status
