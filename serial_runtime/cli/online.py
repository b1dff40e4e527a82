# SPDX-License-Identifier: MIT
"""load --online: what an online change would do, the question, and the change."""

from __future__ import annotations

import argparse
import sys

from serial_runtime.cli.command import UsageError, counted, print_json, printable
from serial_runtime.errors import CallUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serial_runtime.rpc.board.common import ChangeStatus
    from serial_runtime.rpc.client import Client
    from serial_runtime.rpc.online_change import OnlineChange

_WORDS = {
    1: "kept",
    2: "converted",
    3: "reset",
    4: "new",
    5: "dropped",
    6: "moved",
    7: "unforced",
    8: "task",
    9: "outside",
}
_KEPT = 1


def check(arguments: argparse.Namespace) -> None:
    """UsageError for options that do not go together."""
    if not arguments.online:
        if arguments.dry_run or arguments.strict or arguments.probation:
            raise UsageError("--dry-run, --strict and --probation belong to --online")
        return
    if arguments.start or arguments.whole:
        raise UsageError("--start and --whole do not go with --online: the program runs on")
    if not (arguments.dry_run or arguments.yes or sys.stdin.isatty()):
        raise UsageError("an online change wants a yes: confirm with --yes, or look with --dry-run")


def prepare(
    arguments: argparse.Namespace,
    board: Client,
    image: bytes,
    extra: Sequence[tuple[str, bytes]],
    progress: Callable[[int, int], None],
) -> OnlineChange:
    """Download, and have the board find out."""
    if not board.ours:
        raise CallUnsupported("a stock eRPC server has no online change: load without --online")
    return board.prepare_change(
        image, extra, progress, probation=arguments.probation, strict=arguments.strict
    )


def finish(arguments: argparse.Namespace, change: OnlineChange) -> int:
    """Tell, ask, and change."""
    if not arguments.json:
        _tell(change)
    made = not arguments.dry_run and _agreed(arguments)
    if made:
        change.make()
        said = f"changed; on trial for {change.report.probation} cycles: see `status`"
    else:
        change.drop()
        said = "nothing was changed"
    if arguments.json:
        _tell_as_json(change, made=made)
    else:
        print(said)
    return 0


def summary(status: ChangeStatus) -> str:
    """The line of `status`, "" when there is nothing to say."""
    if status.state == "on trial":
        left = counted(status.cycles_left, "cycle")
        return f"on trial, {left} left; the program before it is kept until then"
    if status.state == "taken back":
        return f"taken back: {printable(status.text)}"
    return status.state


def _agreed(arguments: argparse.Namespace) -> bool:
    if arguments.yes:
        return True
    return input("Change the running program? [y/N] ").strip().lower() in ("y", "yes")


def _tell(change: OnlineChange) -> None:
    report = change.report
    kept = [row for row in change.rows if row.fate == _KEPT]
    keep = "keeps its value" if len(kept) == 1 else "keep their values"
    print(f"{counted(len(kept), 'variable')} {keep}")
    for row in change.rows:
        if row.fate != _KEPT:
            word = _WORDS.get(row.fate, "?")
            print(f"  {word:9}  {printable(row.name)}  {printable(row.text)}".rstrip())
    print(
        f"copying the values takes {report.copy_ns / 1000:.1f} us; a cycle leaves up to "
        f"{max(0, report.period_ns - report.busy_ns) / 1000:.0f} us of its "
        f"{report.period_ns / 1000:.0f}"
    )


def _tell_as_json(change: OnlineChange, *, made: bool) -> None:
    report = change.report
    print_json(
        {
            "made": made,
            "rows": [
                {"fate": _WORDS.get(row.fate, "?"), "name": row.name, "text": row.text}
                for row in change.rows
            ],
            "copy_ns": report.copy_ns,
            "busy_ns": report.busy_ns,
            "period_ns": report.period_ns,
            "probation": report.probation,
        }
    )
