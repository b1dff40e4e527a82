# SPDX-License-Identifier: MIT
"""A cable as a process: options, the commands it takes on standard input, and its answers."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from types import FrameType

from serial_runtime.errors import ConfigError
from serial_runtime.line.cable import (
    BOARD,
    BOTH,
    DIRECTIONS,
    HOST,
    TO_BOARD,
    TO_HOST,
    VirtualCable,
)
from serial_runtime.line.conditions import SETTINGS, Conditions, changed, setting_value

_LONGEST_LINE = 65_536

COMMANDS = """\
commands, one a line on standard input, each answered with one line: OK, JSON,
or "error:" and the reason. DIRECTION is to-board or to-host; [DIRECTION] left
out is both. AT counts the bytes that the line carries from now on:
  set [DIRECTION] KEY=VALUE ...  change settings: the options of the line above
  clear [DIRECTION]              a faultless line again
  baud N                         another rate, 0 for as fast as it goes
  flip DIRECTION AT [MASK]       exclusive-or byte AT with MASK (default 1)
  drop DIRECTION AT [COUNT]      lose COUNT bytes (default 1) from byte AT on
  insert DIRECTION AT HEX        put bytes before byte AT
  break [DIRECTION]              a break, now
  stall [DIRECTION] MS           nothing moves for so many milliseconds
  unplug [board|host]            pull an end (left out: both) out
  plug [board|host]              put it in again
  counters                       what happened so far"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command, one for each setting."""
    parser.add_argument(
        "--baud",
        type=float,
        default=115200,
        metavar="N",
        help="rate; 0: as fast as it goes (default: 115200)",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="run at the rate each sender's port is set to instead; a receiver set to another one "
        "gets garbage",
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help="folder for the device links 'board' and 'host' (default: a temporary one)",
    )
    parser.add_argument(
        "--board",
        default="",
        metavar="WHERE",
        help="attach that end to what is there instead of making a tty: unix:PATH, the stream "
        "socket of an emulated UART, or a serial device with a board behind it",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="where faults strike (default: 0)"
    )
    parser.add_argument(
        "--prove",
        nargs="?",
        type=float,
        const=5.0,
        metavar="SECONDS",
        help="do nothing but send raw bytes both ways at 9600 to 3000000 baud, that long each "
        "(default: 5), and show their rate against the nominal one and the CPU time of the cable; "
        "fails below 0.998",
    )
    faults = parser.add_argument_group("the line, both directions (turnaround: to the host)")
    for key, setting in SETTINGS.items():
        faults.add_argument(f"--{key}", metavar="N", help=setting.help)
    one = parser.add_argument_group("one direction otherwise")
    for direction in (TO_BOARD, TO_HOST):
        one.add_argument(
            f"--{direction}",
            metavar="KEY=VALUE,...",
            help="such as ber=1e-5,latency-ms=2" if direction == TO_BOARD else None,
        )


def run(options: argparse.Namespace) -> int:
    """Run a cable until standard input ends or SIGTERM. ConfigError, OSError."""
    if options.prove is not None:
        from serial_runtime.line.proof import prove

        return prove(options.prove)
    if not options.dir:
        with tempfile.TemporaryDirectory(prefix="serial-line-") as options.dir:
            return run(options)
    at_start = _conditions(options)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    baud, seed, follow = options.baud or None, options.seed, options.follow
    with VirtualCable(baud, options.dir, seed, follow, options.board) as cable:
        for direction, conditions in at_start.items():
            cable.set_conditions(direction, conditions)
        try:
            print(cable.board_end, cable.host_end, "READY", sep="\n", flush=True)
            for line in iter(partial(sys.stdin.readline, _LONGEST_LINE), ""):
                if len(line) == _LONGEST_LINE:  # /dev/zero, say, which has no end of a line
                    raise ConfigError(f"a command of {_LONGEST_LINE} characters or more")
                if words := line.split():
                    print(answer(cable, words), flush=True)
        finally:
            for direction in (TO_BOARD, TO_HOST):
                print(json.dumps({direction: asdict(cable.counters(direction))}), flush=True)
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _conditions(options: argparse.Namespace) -> dict[str, Conditions]:
    """What the options make of the two directions."""
    given = {key: getattr(options, key.replace("-", "_")) for key in SETTINGS}
    words = [f"{key}={text}" for key, text in given.items() if text is not None]
    result = {}
    for direction in (TO_BOARD, TO_HOST):
        own = getattr(options, direction.replace("-", "_"))
        result[direction] = changed(
            _both(words, direction, Conditions()), own.split(",") if own else ()
        )
    return result


def _both(words: Iterable[str], direction: str, before: Conditions) -> Conditions:
    """``words`` for both directions as they apply to one: an adapter is at the host's end."""
    after = changed(before, words)
    return after if direction == TO_HOST else replace(after, turnaround_s=before.turnaround_s)


def answer(cable: VirtualCable, words: list[str]) -> str:
    """Carry out one command line; what to answer."""
    name, *rest = words
    if name == "counters" and not rest:
        return json.dumps({one: asdict(cable.counters(one)) for one in (TO_BOARD, TO_HOST)})
    if name not in _ACTIONS:
        return f"error: no command {name!r}; there are counters, {', '.join(_ACTIONS)}"
    try:
        if name in ("plug", "unplug", "baud"):
            _ACTIONS[name](cable, "", rest)
        else:
            direction = rest.pop(0) if rest and rest[0] in DIRECTIONS else BOTH
            _ACTIONS[name](cable, direction, rest)
    except (ConfigError, OSError) as error:
        return f"error: {error}"
    except (ValueError, IndexError, TypeError):
        return f"error: {' '.join(words)}: wrong or missing words; --help has the commands"
    return "OK"


def _set(cable: VirtualCable, direction: str, words: list[str]) -> None:
    if not words:
        raise ValueError(words)
    changed(Conditions(), words)  # all or nothing
    for one in (TO_BOARD, TO_HOST):
        now = cable.conditions(one)
        if direction == BOTH:
            cable.set_conditions(one, _both(words, one, now))
        elif direction == one:
            cable.set_conditions(one, changed(now, words))


def _one(direction: str) -> str:
    if direction == BOTH:
        raise ConfigError(f"which direction? {TO_BOARD} or {TO_HOST}")
    return direction


def _no(words: list[str]) -> None:
    if words:
        raise ValueError(words)


def _clear(cable: VirtualCable, direction: str, words: list[str]) -> None:
    _no(words)
    cable.set_conditions(direction, Conditions())


def _baud(cable: VirtualCable, direction: str, words: list[str]) -> None:
    (rate,) = words
    cable.set_baud(float(rate) or None)


def _flip(cable: VirtualCable, direction: str, words: list[str]) -> None:
    at, mask = int(words[0]), int(words[1], 0) if words[1:] else 1
    _no(words[2:])
    if not 1 <= mask <= 0xFF:
        raise ConfigError(f"mask {mask} makes no sense; give a number from 1 to 255")
    cable.damage(_one(direction)).flip(at, mask)


def _drop(cable: VirtualCable, direction: str, words: list[str]) -> None:
    if int(words[-1]) < 1 and words[1:]:
        raise ConfigError(f"{words[-1]} bytes cannot be lost; give at least 1")
    cable.damage(_one(direction)).drop(*map(int, words))


def _insert(cable: VirtualCable, direction: str, words: list[str]) -> None:
    cable.damage(_one(direction)).insert(
        int(words[0]), bytes.fromhex("".join([words[1], *words[2:]]))
    )


def _break(cable: VirtualCable, direction: str, words: list[str]) -> None:
    _no(words)
    cable.send_break(direction)


def _stall(cable: VirtualCable, direction: str, words: list[str]) -> None:
    (text,) = words
    cable.stall(direction, setting_value("stall-ms", text))


def _ends(words: list[str]) -> list[str]:
    if not set(words) <= {BOARD, HOST}:
        raise ConfigError("the ends are board and host")
    return words


_ACTIONS: dict[str, Callable[[VirtualCable, str, list[str]], None]] = {
    "set": _set,
    "clear": _clear,
    "baud": _baud,
    "flip": _flip,
    "drop": _drop,
    "insert": _insert,
    "break": _break,
    "stall": _stall,
    "unplug": lambda cable, _, words: cable.unplug(*_ends(words)),
    "plug": lambda cable, _, words: cable.plug(*_ends(words)),
}


def main(arguments: list[str] | None = None) -> int:
    """``python -m serial_runtime.line``: the command without the rest of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m serial_runtime.line",
        description=__doc__,
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    try:
        return run(parser.parse_args(arguments))
    except (ConfigError, OSError) as error:
        parser.error(str(error))
