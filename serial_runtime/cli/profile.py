# SPDX-License-Identifier: MIT
"""profile: the board profiles that come with the runtime, and whether one is right."""

from __future__ import annotations

import argparse
import sys

from serial_runtime.cli.command import FAILED, USAGE, Command, UsageError
from serial_runtime.errors import ConfigError
from serial_runtime.profile_file import installed, load_profile, read_profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serial_runtime.config import Profile
    from serial_runtime.doctor import Finding
    from serial_runtime.process_io.tables import Table

_ACTIONS = """\
actions:
  list              the profiles that come with the runtime
  show NAME         its file, to begin one's own with; --all: every key with the value it has
  check NAME...     is it right? --here: and does it fit this machine, which is the board

NAME is one of the list, or the path of a file. `serve --profile` takes the same."""


def _list(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    if names:
        raise UsageError(f"{names[0]!r} is one word too many")
    for name in installed():
        title = read_profile(name).partition("\n")[0].lstrip("# ")
        print(f"{name:26}{title}")
    if not installed():
        print("none is installed", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    if len(names) != 1:
        raise UsageError("show needs the NAME of one profile")
    if arguments.all:
        print("\n".join(_values(load_profile(names[0]))))
    else:
        print(read_profile(names[0]), end="")
    return 0


def _values(profile: Profile) -> list[str]:
    """Every key, as TOML; those with the default say so."""
    import json

    from serial_runtime.config import KEYS
    from serial_runtime.config import Profile as Defaults

    lines = []
    for section, keys in KEYS.items():
        lines.append(f"[{section}]")
        for key in keys:
            value = getattr(getattr(profile, section), key)
            default = getattr(getattr(Defaults(), section), key)
            if isinstance(value, tuple) and key in ("gpio", "modbus"):
                for table in value:
                    count = sum(point.count for point in table.points)
                    lines.append(f"# [[{section}.{key}]] {table.name}: {count} points")
                continue
            if value in (None, ""):
                lines.append(f"# {key} is not set")
                continue
            shown = json.dumps(value if isinstance(value, int | str) else str(value))
            lines.append(f"{key} = {shown}{'  # default' * (value == default)}")
    return lines


def _check(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    if not names:
        raise UsageError("check needs the NAME of a profile")
    status = 0
    for name in names:
        try:
            profile = load_profile(name)
        except ConfigError as error:
            print(f"serial-runtime: error: {error}", file=sys.stderr)
            status = USAGE
            continue
        print(f"{name}: {_summary(profile)}")
        if arguments.here:
            status = max(status, _here(profile))
    return status


def _summary(profile: Profile) -> str:
    """What it is, in a line: for who wrote it to see whether he is understood."""
    serial, rt, io = profile.serial, profile.rt, profile.io
    line = f"{serial.port} at {serial.baud} baud" if serial.port else "no serial line"
    servers = [
        f"{kind.upper()} at {section.listen}"
        for kind, section in (("tcp", profile.tcp), ("tls", profile.tls), ("pyro", profile.pyro))
        if section.listen is not None
    ]
    cpu = f" on CPU {rt.cpu}" if rt.cpu >= 0 else ""
    schedule = f"priority {rt.priority}{cpu}" if rt.priority else "not real time"
    drivers = [io.driver] * (io.driver != "none")
    tables: list[Table] = [*io.gpio, *io.modbus]
    drivers += [f"{one.name} ({sum(point.count for point in one.points)} points)" for one in tables]
    start = "starts its program" if profile.store.autostart else "starts nothing by itself"
    words = [line, *servers, schedule, f"I/O {', '.join(drivers) or 'none'}"]
    return "; ".join([*words, f"{start} in {profile.store.dir}"])


def _here(profile: Profile) -> int:
    from serial_runtime.cli.doctor import lines
    from serial_runtime.doctor import Level
    from serial_runtime.doctor.board_profile import check_profile
    from serial_runtime.doctor.machine import Machine

    findings: list[Finding] = check_profile(Machine(), profile)
    print("\n".join(lines(findings)))
    return FAILED if any(one.level == Level.PROBLEM for one in findings) else 0


_RUN: dict[str, Callable[[argparse.Namespace, Sequence[str]], int]] = {
    "list": _list,
    "show": _show,
    "check": _check,
}


def _run(arguments: argparse.Namespace) -> int:
    action, *names = arguments.words or ["list"]
    if action not in _RUN:
        raise UsageError(f"{action!r} is no action: one of {', '.join(_RUN)}")
    return _RUN[action](arguments, names)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--here",
        action="store_true",
        help="check: also its port, console and login on it, processors, rights, I/O and store",
    )
    parser.add_argument("--all", action="store_true", help="show: all keys, also the defaults")
    parser.epilog = f"{_ACTIONS}\n\n{parser.epilog}"


PROFILE = Command(
    _run,
    description="A board profile is a TOML file with what belongs to a board: line, real time, "
    "process I/O and its safe state, store, policy. Some come with the runtime.",
    example="  serial-runtime profile list\n"
    "  serial-runtime profile show raspberry-pi-5 > board.toml\n"
    "  serial-runtime profile check ./board.toml\n"
    "  serial-runtime profile check raspberry-pi-5 --here\n",
    options=_options,
    uri=False,
    rest="words",
    words="ACTION [NAME]",
    rest_help="see below",
)
