# SPDX-License-Identifier: MIT
"""The command line: ``serial-runtime COMMAND ...``.

Dispatch is on the first word, and only that command's module is imported: `serve` runs on small
boards and must not pay for the others.
"""

from __future__ import annotations

import sys

# Command -> (module below this package that holds it, what it does). The module has a Command of
# the same name in upper case.
COMMANDS = {
    "serve": ("serve", "run the PLC runtime on this machine"),
    "build": ("build", "compile a PLC program in C into an image"),
    "load": ("load", "download an image to a board"),
    "start": ("control", "start the PLC program"),
    "stop": ("control", "stop the PLC program"),
    "retain": ("retain", "the values of retain variables that a board keeps"),
    "repair": ("control", "remove the stored program from a board"),
    "status": ("status", "who the board is and what it does"),
    "watch": ("watch", "show live values of variables"),
    "force": ("force", "force variables to values"),
    "unforce": ("force", "release forced variables"),
    "trace": ("trace", "record variables at every tick into a CSV file"),
    "log": ("log", "show the board's log"),
    "stats": ("stats", "how regular cycle and tasks are: latency, execution, jitter"),
    "latency": ("latency", "measure whether this machine is fit for a cycle"),
    "io": ("io", "process inputs and outputs: values, quality, drivers"),
    "link": ("link", "watch the link: round trips, repetitions, errors"),
    "doctor": ("doctor", "check a serial port of this machine"),
    "profile": ("profile", "board profiles: which there are, and check one"),
    "line": ("line", "a virtual serial cable, as bad as wanted"),
    "bridge": ("bridge", "offer a board on a serial line to IDEs on TCP"),
    "fleet": ("fleet", "the boards at a WAMP router, and a TCP port for each"),
    "pair": ("pair", "ask a board for its ID and secret, and keep them"),
    "identity": ("identity", "IDs and secrets, of this board or of the boards this host knows"),
    "sign": ("sign", "sign a program, for boards that take no other"),
    "audit": ("audit", "who changed what on this board"),
    "demo": ("demo", "all of it, on a virtual serial cable"),
}

OVERVIEW = """\
usage: serial-runtime COMMAND [URI] ...

An IEC 61131-3 PLC runtime, reached over a serial line or the network.

commands (each with --help):
{commands}

A board's URI: ERPC:///dev/ttyUSB0:115200 (serial), ERPC://host:3000 (TCP), ERPCS://host:4000#ID
(TLS), WAMP[S]://host/path#realm#ID, PYRO://host:3000, PYROS://host:3000#ID, or LOCAL:// (a runtime
of this computer, for one command). It is the first argument of a command, or the environment
variable SERIAL_RUNTIME_URI.

example:
  serial-runtime build tank.c -o tank.so
  serial-runtime load ERPC:///dev/ttyUSB0:115200 tank.so --start
  serial-runtime watch ERPC:///dev/ttyUSB0:115200 TANK.LEVEL
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        from serial_runtime.cli.command import run_command

        return run_command(words[0], COMMANDS[words[0]][0], words[1:])
    if words in (["--version"], ["-V"]):
        from serial_runtime import __version__

        print(f"serial-runtime {__version__}")
        return 0
    if words in ([], ["--help"], ["-h"], ["help"]):
        rows = "\n".join(f"  {name:9}{summary}" for name, (_, summary) in COMMANDS.items())
        print(OVERVIEW.format(commands=rows), end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    import difflib

    near = difflib.get_close_matches(words[0], COMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else "serial-runtime --help lists the commands"
    print(f"serial-runtime: error: there is no command {words[0]!r}; {hint}", file=sys.stderr)
    return 2
