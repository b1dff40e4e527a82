# SPDX-License-Identifier: MIT
"""``WAMP://`` and ``WAMPS://``: a board behind a router, for our own clients.

The client joins as the board's ID with the secret this computer knows of it, as with ``ERPCS://``,
or anonymously when it knows none; which of both is allowed, and what may then be called, the router
decides. Its bytes travel through the procedures of `wamp_board`.
"""

from __future__ import annotations

from serial_runtime.identities import folder, secret_of
from serial_runtime.transport.optional import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.connectors.wamp_session import Login
    from serial_runtime.transport.interface import Transport
    from serial_runtime.transport.uri import WampEndpoint


def open_endpoint(endpoint: WampEndpoint, timeout_s: float) -> Transport:
    """Reach the board of a URI. Raises LinkError, LinkTimeout, ConfigError."""
    need("autobahn", "wamp", "WAMP://")
    from serial_runtime.connectors.wamp_client import open_board
    from serial_runtime.connectors.wamp_session import Router

    board = endpoint.identity
    return open_board(Router.of(endpoint), login_of(board), board, timeout_s)


def login_of(identity: str) -> Login:
    """How this computer joins under an ID: with its secret, or anonymously if it has none.

    ConfigError for a secret that cannot be read.
    """
    from serial_runtime.connectors.wamp_session import Login

    if not (folder() / f"{identity}.secret").exists():
        return Login()
    return Login(identity, secret_of(identity))
