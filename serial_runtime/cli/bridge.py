# SPDX-License-Identifier: MIT
"""bridge: offers a board on a serial line to IDEs and other clients on TCP."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command, UsageError


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.config import parse_listen
    from serial_runtime.errors import ConfigError
    from serial_runtime.transport.uri import TcpEndpoint, parse

    try:
        host, port = parse_listen(arguments.listen)
    except ConfigError:
        host, port = "", 0
    if not host:
        raise UsageError(f"--listen {arguments.listen}: give HOST:PORT, such as 127.0.0.1:3000")
    if isinstance(parse(arguments.uri), TcpEndpoint):
        raise UsageError(f"{arguments.uri} is reached over TCP already, and needs no bridge")
    from serial_runtime.bridge.server import run

    return run(arguments.uri, host, port)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:3000",
        help="address to serve (default: 127.0.0.1:3000, for this computer only)",
    )


BRIDGE = Command(
    _run,
    description="Own a serial port and offer its board on TCP until SIGTERM or Ctrl-C: to an "
    "unmodified Beremiz IDE (URI ERPC://127.0.0.1:3000), to several at once, and to the other "
    "commands. Any other URI but plain TCP can stand for the serial port, such as LOCAL://, which "
    "starts a runtime of this computer. The bridge repeats what the line damages, goes on when the "
    "cable was unplugged or the board restarted, and answers status and trace polls from memory.",
    example="  serial-runtime bridge ERPC:///dev/ttyUSB0:115200\n"
    "  serial-runtime status ERPC://127.0.0.1:3000\n"
    "  serial-runtime bridge LOCAL://\n",
    options=_options,
)
