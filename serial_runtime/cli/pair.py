# SPDX-License-Identifier: MIT
"""pair: ask a board for its ID and secret, and keep them."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command, open_board


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime import identities
    from serial_runtime.transport.uri import TcpEndpoint, TlsEndpoint, parse

    with open_board(arguments) as board:
        found = board.identity()
    changed = identities.keep(found.ID, found.PSK, arguments.uri)
    print(f"paired with {found.ID}: its secret is in {identities.folder()}")
    if changed:
        print("the secret that was there for it is replaced")
    endpoint = parse(arguments.uri)
    if isinstance(endpoint, TcpEndpoint):
        print("the secret went over the network unencrypted: others on it may have read it")
    if not isinstance(endpoint, TlsEndpoint):
        host = endpoint.host if isinstance(endpoint, TcpEndpoint) else "HOST"
        print(f"where the board serves TLS it is reached by ERPCS://{host}#{found.ID}")
    return 0


PAIR = Command(
    _run,
    description="Ask a board for its ID and secret and keep them here, for ERPCS:// and WAMP. A "
    "board tells them on its serial line, on TCP only in a pairing window (`identity pair` on the "
    "board), through a bridge never. No other command keeps a secret; the Beremiz IDE does so "
    "whenever it connects.",
    example="  serial-runtime pair ERPC:///dev/ttyUSB0:115200\n",
)
