# SPDX-License-Identifier: MIT
"""For a crossbar router: who may join a realm of boards, and what a board may do (docs/fleet.md).

Everybody has a secret in the folder `secrets`, a file ``ID.secret`` with the text ``ID:secret`` as
the IDE and `serial-runtime identity` keep it. A folder on a relative path begins at the router's
configuration. It is read at each attempt to join: a secret that is added, replaced or removed
counts from then on. `operators` are the IDs of those who may call every board; all others are
boards, who may register and call only what begins with their own ID.
"""

import re
from pathlib import Path

from autobahn.twisted.wamp import ApplicationSession
from autobahn.wamp.exception import ApplicationError

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOT_FOR_BOARDS = ("wamp", "serial_runtime")  # the names of whose procedures begin like the router's


def authenticator(config, controller):
    """What crossbar calls at its start, for a function that it asks about each who joins.

    A function, because a procedure that tells secrets could be called by others.
    """
    folder, operators = Path(config["secrets"]), config["operators"]

    def authenticate(realm, authid, details):
        """The secret that the joining session has to know, and its role."""
        unknown = ApplicationError("wamp.error.not_authorized", f"nobody is called {authid!r} here")
        # The ID becomes a file name.
        if not isinstance(authid, str) or not ID.fullmatch(authid) or authid in NOT_FOR_BOARDS:
            raise unknown
        try:
            text = (folder / f"{authid}.secret").read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise unknown from None
        name, _, secret = text.strip().partition(":")
        if name != authid or not secret:
            raise unknown
        return {"secret": secret, "role": "operator" if authid in operators else "board"}

    return authenticate


class Authorizer(ApplicationSession):
    """Answers what the role `board` may do."""

    async def onJoin(self, details):
        await self.register(self.authorize, "serial_runtime.authorize")

    def authorize(self, session, uri, action, options):
        allow = action in ("call", "register") and uri.startswith(f"{session['authid']}.")
        return {"allow": allow, "disclose": True, "cache": True}
