# SPDX-License-Identifier: MIT
"""load: download an image, with progress."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from serial_runtime.cli.command import (
    COUNT,
    INTERRUPTED,
    Command,
    UsageError,
    json_option,
    open_board,
    print_json,
)
from serial_runtime.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.rpc.client import Client

_BAR = 30  # characters


class _Progress:
    """A bar on a terminal, a line at every quarter elsewhere; silent for --json."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._begin = time.monotonic()
        self._arguments = arguments
        self._quiet = arguments.json
        self._tty = sys.stdout.isatty()
        self._quarter = 0
        self.complete = False  # the board has all bytes

    def __call__(self, done: int, total: int) -> None:
        self.complete = done == total
        if self._quiet or total == 0:
            return
        rate = done / max(time.monotonic() - self._begin, 1e-6) / 1000
        text = f"{100 * done // total:3d} %  {done} of {total} bytes  {rate:.1f} kB/s"
        if self._tty:
            columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80
            width = min(_BAR, columns - len(text) - 6)
            bar = "#" * (width * done // total)
            line = f"[{bar:{width}}] {text}  " if width > 3 else f"{text[: columns - 3]}  "
            print(f"\r{line}", end="", flush=True)
            self._arguments.bar = True
        elif 4 * done // total > self._quarter:
            self._quarter = 4 * done // total
            print(text, flush=True)

    def end(self) -> None:
        """Leave the bar's line, also when the download broke off."""
        if self._arguments.bar:
            print()
            self._arguments.bar = False


def _check_machine(image: bytes, name: str, board: Client) -> None:
    """Find out before the long download, rather than by the board's refusal after it."""
    from serial_codegen.elf import ElfError, read_elf

    try:
        machine = read_elf(image).machine
    except ElfError as error:
        raise ImageError(f"{name} is no image: {error}. `serial-runtime build` makes one") from None
    theirs = board.capabilities().machine
    if machine != theirs and not (machine == "arm" and theirs.startswith("arm")):
        triple = f"{theirs}-linux-gnu" if not theirs.startswith("arm") else "arm-linux-gnueabihf"
        raise ImageError(
            f"{name} is built for {machine}, the board is {theirs}; build it with --target {triple}"
        )


def _extra_files(
    arguments: argparse.Namespace, path: Path, image: bytes
) -> list[tuple[str, bytes]]:
    """Names and contents of what goes along.

    A signature that lies beside the image does; else the names of its variables do, which an
    object of the Beremiz IDE does not hold itself. (A signature covers what `sign` was told.)
    """
    from serial_runtime.cli.sign import SUFFIX
    from serial_runtime.plc.signature import FILE

    files = [(Path(name).name, Path(name).read_bytes()) for name in arguments.extra]
    signed = path.with_name(path.name + SUFFIX)
    if signed.exists() and FILE not in dict(files):
        files.append((FILE, signed.read_bytes()))
    names = path.with_name("VARIABLES.csv")
    unnamed = b"\0startPLC\0" in image and b"\0sr_plc_image\0" not in image
    if unnamed and names.is_file() and not {FILE, names.name} & set(dict(files)):
        files.append((names.name, names.read_bytes()))
    return files


def _run(arguments: argparse.Namespace) -> int:
    if len(arguments.file) != 1:
        raise UsageError("give one image file")
    from serial_runtime.cli import online
    from serial_runtime.rpc.ide.common import Status

    online.check(arguments)
    file = Path(arguments.file[0])
    image = file.read_bytes()
    extra = _extra_files(arguments, file, image)
    with open_board(arguments) as board:
        if board.ours:
            _check_machine(image, file.name, board)
        stops = board.status().status == Status.Started
        begin = time.monotonic()
        progress = _Progress(arguments)
        try:
            try:
                if arguments.online:
                    change = online.prepare(arguments, board, image, extra, progress)
                else:
                    sent = board.download(
                        image, extra_files=extra, progress=progress, whole=arguments.whole
                    )
            finally:
                progress.end()
        except KeyboardInterrupt:
            kept = "`status` tells whether the board took the program"
            if not progress.complete:
                kept = "the board keeps the program it had, and goes on with this one next time"
            print(f"interrupted; {kept}", file=sys.stderr)
            return INTERRUPTED
        if arguments.online:
            return online.finish(arguments, change)
        seconds = max(time.monotonic() - begin, 1e-6)
        if arguments.start:
            board.start()
    if arguments.json:
        print_json(
            {
                "bytes": len(image),
                "bytes_sent": sent.bytes_sent,
                "coding": sent.coding,
                "bytes_kept": sent.bytes_kept,
                "seconds": seconds,
                "started": arguments.start,
                "stopped": stops,
            }
        )
    else:
        how = f"{sent.bytes_sent} bytes sent ({sent.coding})"
        if sent.bytes_kept:
            how += f", the board had {sent.bytes_kept} from an earlier download"
        print(f"loaded {len(image)} bytes in {seconds:.2f} s: {how}")
        if arguments.start:
            print("started")
        elif stops:
            print("the running program was stopped; `start` runs the new one")
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", action="store_true", help="start the program afterwards")
    parser.add_argument(
        "--whole", action="store_true", help="send no patch of the program that the board has"
    )
    parser.add_argument(
        "--extra",
        metavar="FILE",
        action="append",
        default=[],
        help="a file that belongs to the program; once for each",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="change the program that runs, between two of its cycles, keeping its values",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --online: only tell what it would do"
    )
    parser.add_argument("--yes", action="store_true", help="with --online: do not ask")
    parser.add_argument(
        "--strict", action="store_true", help="with --online: refuse it if a value would be lost"
    )
    parser.add_argument(
        "--probation",
        metavar="CYCLES",
        type=COUNT,
        default=0,
        help="with --online: cycles on trial (default: as many as 10 s hold)",
    )
    json_option(parser)


LOAD = Command(
    _run,
    description="Download an image. The board checks it completely before it replaces the "
    "program it has; a download that breaks off changes nothing, and the next one of the same "
    "image goes on from there. It is sent compressed, or as a patch of the program on the board "
    "if that was loaded from here. A running program is stopped when "
    "it is replaced; `start`, or --start, runs the new one. With --online it runs on: what becomes "
    "of each variable is told first, and the program before comes back if the new one fails on "
    "trial (docs/online-change.md). FILE.sig, which `sign` makes, is sent "
    "along. FILE may be an object of the Beremiz IDE: without a signature, a VARIABLES.csv beside "
    "it is sent for the names of its variables.",
    example="  serial-runtime load ERPC:///dev/ttyUSB0:115200 tank.so --start\n"
    "  serial-runtime load ERPC:///dev/ttyUSB0:115200 tank.so --online\n",
    options=_options,
    rest="file",
    words="FILE",
    rest_help="the image, made by `serial-runtime build`, or by the Beremiz IDE",
)
