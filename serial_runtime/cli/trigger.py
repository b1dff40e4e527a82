# SPDX-License-Identifier: MIT
"""The trigger of a trace, from what a user types."""

from __future__ import annotations

import argparse
import re

from serial_runtime import iec
from serial_runtime.cli.command import UsageError, number
from serial_runtime.iec import IecType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.cli.variables import Selection
    from serial_runtime.rpc.client import Trigger

_TEXT = re.compile(
    r"\s*([^\s<>=]+)\s*(rising\b|falling\b|>=|<=|<>|>|<|=)\s*(.*?)\s*", re.IGNORECASE
)
_CONDITIONS = {
    "rising": "RISING",
    "falling": "FALLING",
    ">": "ABOVE",
    ">=": "AT_LEAST",
    "<": "BELOW",
    "<=": "AT_MOST",
    "=": "EQUAL",
    "<>": "UNEQUAL",
}
_DEFAULTS = {"pre": 0, "post": 99, "mode": "normal", "timeout": 1.0, "captures": None}
_SAMPLES = number(int, 0, 2**31)


def trigger_options(parser: argparse.ArgumentParser) -> None:
    """Add --trigger and what belongs to it."""
    group = parser.add_argument_group("trigger")
    group.add_argument(
        "--trigger",
        metavar="EVENT",
        help="record only around an event: 'NAME rising VALUE' and 'NAME falling VALUE' when it "
        "passes the value ('NAME rising' for a BOOL), 'NAME > VALUE' (>= < <= = <>) while that "
        "holds; VALUE is an IEC literal",
    )
    group.add_argument(
        "--pre", type=_SAMPLES, metavar="N", help="ticks before the event (default: 0)"
    )
    group.add_argument("--post", type=_SAMPLES, metavar="N", help="ticks after it (default: 99)")
    group.add_argument(
        "--mode",
        choices=("single", "normal", "auto"),
        help="single: the first event only; normal: each; auto: each, and when none comes for "
        "--timeout (default: normal)",
    )
    group.add_argument(
        "--timeout",
        type=number(float, 0.001, 1e6),
        metavar="S",
        help="mode auto: record after S seconds without an event (default: 1)",
    )
    group.add_argument(
        "--captures", type=number(int, 1, 2**31), metavar="N", help="end after N events"
    )


def settle_trigger(arguments: argparse.Namespace) -> None:
    """Fill in what was not given. UsageError for an option that would do nothing."""
    for option, default in _DEFAULTS.items():
        if getattr(arguments, option) is None:
            setattr(arguments, option, default)
        elif arguments.trigger is None:
            raise UsageError(f"--{option} belongs to a --trigger, and there is none")
        elif option == "timeout" and arguments.mode != "auto":
            raise UsageError("--timeout is for --mode auto; the other modes wait for the event")


def trigger_name(text: str) -> str:
    """The variable of a trigger. UsageError when it cannot be understood."""
    return _parts(text)[0]


def trigger(arguments: argparse.Namespace, chosen: Selection, period_s: float) -> Trigger:
    """The trigger asked for, its variable one of `chosen`. VariableError for a bad value."""
    from serial_runtime.rpc.client import Condition, Mode, Trigger

    name, condition, value = _parts(arguments.trigger)
    row = next(row for row in chosen.rows if row.path.upper() == name.upper())
    if not value:
        if row.iec_type != IecType.BOOL:
            raise UsageError(f"--trigger {arguments.trigger!r}: which value of {row.path}?")
        value = "TRUE"
    return Trigger(
        row.path,
        Condition[_CONDITIONS[condition]],
        iec.parse(row.iec_type, value, row.capacity or iec.MAX_CAPACITY),
        Mode[arguments.mode.upper()],
        arguments.pre,
        arguments.post,
        max(1, min(round(arguments.timeout / period_s / (arguments.every or 1)), 2**32 - 1)),
    )


def _parts(text: str) -> tuple[str, str, str]:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--trigger {text!r}: an event is like 'TANK.LEVEL > 1.5', 'TANK.LEVEL rising 1.5' "
            "or 'PUMP.ON rising'"
        )
    return match[1], match[2].lower(), match[3]
