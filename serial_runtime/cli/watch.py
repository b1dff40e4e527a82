# SPDX-License-Identifier: MIT
"""watch: live values."""

from __future__ import annotations

import argparse
import os
import sys
import time

from serial_runtime import iec
from serial_runtime.cli.command import (
    Command,
    json_option,
    open_board,
    print_json,
    printable,
    sampling_options,
)
from serial_runtime.cli.variables import Selection, json_value
from serial_runtime.errors import VariableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from serial_runtime.rpc.board.common import BoardStatus
    from serial_runtime.rpc.client import Snapshot

_LINE = 100  # characters; longer rows become blocks


class _View:
    """What samples and notes are shown with."""

    def __init__(self, chosen: Selection) -> None:
        self._chosen = chosen
        self._first = True

    def show(self, sample: Snapshot, forced: Collection[str]) -> None:
        raise NotImplementedError

    def note(self, text: str) -> None:
        """Something else than values happened."""
        print(f"# {printable(text)}", flush=True)

    def below(self) -> None:
        """The cursor is below something else than the last sample."""


class _Blocks(_View):
    """One variable a line; on a terminal the next sample overwrites the last."""

    def __init__(self, chosen: Selection, in_place: bool) -> None:
        super().__init__(chosen)
        self._in_place = in_place
        self._widths = [
            max(len(name) for name in chosen.names),
            max(len(iec.type_name(row.iec_type, row.capacity)) for row in chosen.rows),
        ]

    def show(self, sample: Snapshot, forced: Collection[str]) -> None:
        lines = [f"tick {sample.tick}"]
        name_width, type_width = self._widths
        for row, text in zip(self._chosen.rows, self._chosen.texts(sample.values), strict=True):
            kind = iec.type_name(row.iec_type, row.capacity)
            mark = "  (forced)" if row.path in forced else ""
            lines.append(f"  {row.path:{name_width}}  {kind:{type_width}}  {text}{mark}")
        if self._in_place:
            up = "" if self._first else f"\x1b[{len(lines)}F"
            print(up + "".join(f"\x1b[K{line}\n" for line in lines), end="", flush=True)
        else:
            print("\n".join(lines), flush=True)
        self._first = False

    def note(self, text: str) -> None:
        super().note(text)
        self.below()

    def below(self) -> None:
        self._first = True


class _Rows(_View):
    """One sample a line below the names; a forced value has a star."""

    def __init__(self, chosen: Selection) -> None:
        super().__init__(chosen)
        self.widths = [
            max(len(row.path), 1 + min(row.capacity, 30), 9) for row in self._chosen.rows
        ]

    def show(self, sample: Snapshot, forced: Collection[str]) -> None:
        names = self._chosen.names
        if self._first:
            print("    tick  " + "  ".join(map(str.rjust, names, self.widths)))
        texts = [
            text + ("*" if name in forced else "")
            for name, text in zip(names, self._chosen.texts(sample.values), strict=True)
        ]
        cells = map(str.rjust, texts, self.widths)
        print(f"{sample.tick:8}  " + "  ".join(cells), flush=True)
        self._first = False


class _Json(_View):
    """One document a line: {"tick": 5, "values": {...}, "forced": [...]}."""

    def show(self, sample: Snapshot, forced: Collection[str]) -> None:
        c = self._chosen
        values = zip(c.names, c.kinds, c.values(sample.values), strict=True)
        print_json(
            {
                "tick": sample.tick,
                "values": {name: json_value(kind, value) for name, kind, value in values},
                "forced": [name for name in c.names if name in forced],
            }
        )

    def note(self, text: str) -> None:
        print(f"# {printable(text)}", file=sys.stderr, flush=True)


class _State:
    """Whether the PLC runs, in words when that changes."""

    def __init__(self) -> None:
        self._state = "started"
        self._uptime_ns = 0

    def notes(self, status: BoardStatus) -> Iterator[str]:
        from serial_runtime.rpc.ide.common import Status

        if status.uptime_ns < self._uptime_ns:
            yield "the board was restarted"
        self._uptime_ns = status.uptime_ns
        state = Status(status.plc).name.lower() + (f": {status.fault}" if status.fault else "")
        if state != self._state:
            yield state
        self._state = state


def _view(arguments: argparse.Namespace, chosen: Selection) -> _View:
    if arguments.json:
        return _Json(chosen)
    rows = _Rows(chosen)
    terminal = sys.stdout.isatty() and not arguments.lines
    # Blocks taller than the terminal scroll: the cursor cannot go back to their beginning.
    in_place = terminal and len(chosen.names) + 1 < os.get_terminal_size().lines
    if terminal or sum(rows.widths) + 2 * len(rows.widths) + 8 > _LINE:
        return _Blocks(chosen, in_place)
    return rows


def _run(arguments: argparse.Namespace) -> int:
    try:
        with open_board(arguments) as board:
            chosen = Selection(board, arguments.name)
            view = _view(arguments, chosen)
            state = _State()
            left = arguments.count
            due = time.monotonic()
            notes = arguments.notes
            while True:
                try:
                    sample = board.read(chosen.names)
                except VariableError:  # another program, without these
                    if board.variables() == chosen.table:
                        raise
                    sample = None
                status = board.board_status()
                for text in state.notes(status):
                    view.note(text)
                if sample is None or board.variables() != chosen.table:
                    view.note("the program was replaced")
                    chosen = Selection(board, arguments.name)
                    view = _view(arguments, chosen)
                    continue
                forced = board.forced() if status.forced else ()
                if notes != arguments.notes:
                    notes = arguments.notes
                    view.below()
                view.show(sample, forced)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return 0
                due = max(due + arguments.interval, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
    except KeyboardInterrupt:
        if arguments.count is None:  # the way to end it
            return 0
        raise


def _options(parser: argparse.ArgumentParser) -> None:
    sampling_options(parser)
    json_option(parser, "print one JSON document a line")


WATCH = Command(
    _run,
    description="Show the values of variables again and again. The values of a sample are of one "
    "cycle. On a terminal they refresh in place; elsewhere each sample is a line, or a block "
    "when it would be too long. Lines that begin with # tell when the program stops, breaks or "
    "is replaced.",
    example="  serial-runtime watch ERPC:///dev/ttyUSB0:115200 TANK.LEVEL PUMP1.SPEED\n"
    "  serial-runtime watch ERPC:///dev/ttyUSB0:115200 --count 1      all variables, once\n",
    options=_options,
    rest="name",
    words="[NAME...]",
    rest_help="a variable, in any case; none: all variables",
)
