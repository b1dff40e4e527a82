# SPDX-License-Identifier: MIT
"""serve: the runtime itself. Options override the profile; everything else is the daemon's."""

from __future__ import annotations

from types import SimpleNamespace

from serial_runtime.cli.command import Command, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

# Option -> key of the profile (config.py).
_OVERRIDES = {
    "port": "serial.port",
    "baud": "serial.baud",
    "tcp": "tcp.listen",
    "tls": "tls.listen",
    "pyro": "pyro.listen",
    "wamp": "wamp.router",
    "io": "io.driver",
    "dir": "store.dir",
    "autostart": "store.autostart",
}


def _quick(words: list[str]) -> Any:
    """The arguments of `--option value`; None for what argparse shall judge or explain."""
    found: dict[str, object] = {**dict.fromkeys(_OVERRIDES), "profile": None, "temporary": False}
    rest = iter(words)
    for word in rest:
        name = word.removeprefix("--")
        if name == word or name not in found:
            return None
        if name in ("autostart", "temporary"):
            found[name] = True
            continue
        value = next(rest, "-")
        if value.startswith("-") or name == "baud" and not (value.isascii() and value.isdigit()):
            return None
        found[name] = int(value) if name == "baud" else value
    return SimpleNamespace(**found)


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime import config

    profile = config.Profile()
    if arguments.profile:
        from serial_runtime.profile_file import load_profile

        profile = load_profile(arguments.profile)
    for option, key in _OVERRIDES.items():
        value = getattr(arguments, option)
        if value is not None:
            profile = config.override(profile, key, value)
    ways_in = (
        profile.serial.port,
        profile.tcp.listen,
        profile.tls.listen,
        profile.pyro.listen,
        profile.wamp.router,
    )
    if not any(ways_in):
        raise UsageError(
            "nobody could reach it: give --port, --tcp, --tls, --pyro, --wamp, "
            "or a --profile that does"
        )
    from serial_runtime.daemon import run

    return run(profile, temporary=arguments.temporary)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="DEV", help="serial device to serve")
    parser.add_argument("--baud", type=int, metavar="N", help="its rate (default: 115200)")
    parser.add_argument("--tcp", metavar="HOST:PORT", help="TCP address to serve")
    parser.add_argument("--tls", metavar="HOST:PORT", help="address for clients of ERPCS")
    parser.add_argument("--pyro", metavar="HOST:PORT", help="address of a Pyro daemon to serve")
    parser.add_argument(
        "--wamp", metavar="URI", help="realm of a WAMP router to join: WAMPS://host[:port]#realm"
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help="where the program is kept (default: serial-runtime.d, in the working directory)",
    )
    parser.add_argument(
        "--profile", metavar="NAME", help="board profile: a TOML file, or one of `profile list`"
    )
    parser.add_argument("--io", metavar="DRIVER", help="process I/O: none, sim:NAME, lockstep:NAME")
    parser.add_argument(
        "--autostart", action="store_const", const=True, help="start the stored program"
    )
    parser.add_argument(
        "--temporary",
        action="store_true",
        help="for a program that starts this one: end when standard input does, and remove DIR, "
        "which must not exist before",
    )


SERVE = Command(
    _run,
    description="Run the PLC runtime on this machine until SIGTERM or Ctrl-C. A profile holds "
    "what belongs to a board (line, real-time priority, CPU, process I/O); options override it. "
    "Real time needs the right to use SCHED_FIFO (root, or an rtprio limit); without it the "
    "runtime works all the same and says so in `status`.",
    example="  serial-runtime serve --port /dev/ttyS1 --baud 115200 --dir /var/lib/plc\n"
    "  serial-runtime serve --tcp 127.0.0.1:3000 --dir plc --autostart\n",
    options=_options,
    uri=False,
    quick=_quick,
)
