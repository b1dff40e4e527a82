# SPDX-License-Identifier: MIT
"""Who calls over a link, and what the board's policy lets them do.

A role is what a client may do at most: look, operate the program that is there, or change it. The
way it came by has one, the identity it has proven may have a lesser one; `_NEEDED` tells which one
each method needs. What one may call includes what a lesser role may.

A proven identity is looked up at each call that needs more than to look, so that one which was
revoked, or given another role, is so at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum

from serial_runtime.errors import AccessDenied, CallUnsupported, SerialRuntimeError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.rpc.board.interface import IBoardService as Board
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.plc.audit import AuditLog
    from serial_runtime.plc.identity import Identity
    from serial_runtime.transport.interface import Transport


class Role(IntEnum):
    """What a client may do at most."""

    VIEW = 1
    OPERATE = 2  # start, stop, force
    PROGRAM = 3  # load and delete programs


_VIEW, _OPERATE, _PROGRAM = Role
# Arguments may ask for more than this: see `Caller.need`.
_NEEDED: dict[type[Ide] | type[Board], dict[str, Role]] = {
    Ide: {
        "AppendChunkToBlob": _PROGRAM,
        "GetLogMessage": _VIEW,
        "GetPLCID": _VIEW,  # the secret is a matter of its own: see `Access.identity_for`
        "GetPLCstatus": _VIEW,
        "GetTraceVariables": _VIEW,
        "MatchMD5": _VIEW,
        "NewPLC": _PROGRAM,
        "PurgeBlobs": _PROGRAM,
        "RepairPLC": _PROGRAM,
        "ResetLogCount": _OPERATE,
        "SeedBlob": _PROGRAM,
        "SetTraceVariablesList": _VIEW,
        "StartPLC": _OPERATE,
        "StopPLC": _OPERATE,
    },
    Board: {
        "GetCapabilities": _VIEW,
        "GetBoardStatus": _VIEW,
        "GetProgram": _VIEW,
        "GetVariables": _VIEW,
        "ReadVariables": _VIEW,
        "ForceVariables": _OPERATE,
        "GetForced": _VIEW,
        "ReleaseForces": _OPERATE,
        "GetStatistics": _VIEW,
        "OpenTrace": _VIEW,
        "ReadTrace": _VIEW,
        "CloseTrace": _VIEW,
        "OpenUpload": _PROGRAM,
        "WriteUpload": _PROGRAM,
        "FinishUpload": _PROGRAM,
        "GetLinkStatistics": _VIEW,
        "SetBaud": _VIEW,  # of the caller's own line, which goes back by itself
        "Echo": _VIEW,
        "GetTypes": _VIEW,
        "GetSupervision": _VIEW,
        "GetRetained": _VIEW,
        "ClearRetained": _OPERATE,
        "StartCold": _OPERATE,
        "GetIoDrivers": _VIEW,
        "GetIoPoints": _VIEW,
        "GetConnections": _VIEW,
        "PrepareChange": _PROGRAM,
        "GetChangeRows": _PROGRAM,
        "MakeChange": _PROGRAM,
        "DropChange": _PROGRAM,
        "GetChange": _VIEW,
        "GetTaskStatistics": _VIEW,
        "GetBins": _VIEW,
        "GetRecord": _VIEW,
        "ResetStatistics": _OPERATE,
    },
}
METHODS: dict[tuple[int, int], tuple[str, Role]] = {
    (interface.SERVICE_ID, getattr(interface, f"{name.upper()}_ID")): (name, role)
    for interface, methods in _NEEDED.items()
    for name, role in methods.items()
}
"""Name and role of every method, by service and id."""
# These alone change nothing that lasts; NewPLC does.
_UPLOADS = {
    "AppendChunkToBlob",
    "PurgeBlobs",
    "SeedBlob",
    "OpenUpload",
    "WriteUpload",
    "FinishUpload",
    "GetChangeRows",
}
_UNKNOWN = ("", Role.VIEW)  # whoever executes it says that there is no such method


class Peer(NamedTuple):
    """Who is at the other end of a served link."""

    kind: str  # of the transport, see `Transport.kind`
    address: str
    identity: str = ""  # whose secret it has proven to know

    @classmethod
    def of(cls, transport: Transport) -> Peer:
        """Who is at the other end of this one."""
        return cls(transport.kind, transport.name, transport.identity)

    def __str__(self) -> str:
        who = f"{self.identity} at " * bool(self.identity)
        return f"{who}{self.address} ({self.kind})"


class Access:
    """The policy of a board. Any thread."""

    def __init__(
        self,
        roles: Mapping[str, Role] | None = None,
        store_dir: str = "",
        pairing: str = "off",
        audit: AuditLog | None = None,
    ) -> None:
        """`roles` by kind of transport; one that is not there may do everything.

        `store_dir` is where the identities are, "" where there are none. `pairing` tells when a
        client of a line or of TCP may have the board's secret: "serial", any on the line, and on
        TCP in a pairing window; "window", only in one; "off", never.
        """
        self.audit = audit
        self._roles = dict(roles or {})
        self._store_dir = store_dir
        self._pairing = pairing

    def role_of(self, peer: Peer) -> Role:
        """What it may do at most. AccessDenied: its identity was revoked. ConfigError, StoreError:
        the identities cannot be read."""
        role = self._roles.get(peer.kind, Role.PROGRAM)
        if not (peer.identity and self._store_dir):
            return role
        for one in self._identities():
            if one.id == peer.identity:
                return min(role, Role[one.role.upper()])
        if peer.kind == "tls":
            raise AccessDenied(f"the identity {peer.identity} was revoked on this board")
        return role  # a router's own name for it, which the router has authenticated

    def identity_for(self, peer: Peer, bridged: bool) -> Identity:
        """The identity whose secret this peer may be told.

        CallUnsupported says why none: it keeps the IDE connected. ConfigError, StoreError.
        """
        known = self._identities() if self._store_dir else []
        if peer.kind == "tls":
            for one in known:
                if one.id == peer.identity:
                    return one
            raise CallUnsupported("the secret is not told: who asks has not proven an identity")
        if not known or self._pairing == "off" or peer.kind not in ("serial", "tcp"):
            raise CallUnsupported("the secret is not told on this way in (policy.pairing)")
        own = known[0]
        if bridged:
            raise CallUnsupported("the secret is not told through a bridge: connect to the board")
        if self.role_of(peer) < Role[own.role.upper()]:
            raise CallUnsupported("the secret is not told: its role exceeds that of this way in")
        if peer.kind == "serial" and self._pairing == "serial":
            return own
        from serial_runtime.plc.pairing import close_window

        if not close_window(self._store_dir):
            raise CallUnsupported(
                "the secret is told in a pairing window only: open one on the board, "
                "`serial-runtime identity pair`"
            )
        return own

    def _identities(self) -> list[Identity]:
        from serial_runtime.plc.identity import read

        return read(self._store_dir)


class Caller:
    """One client: every call of it goes through `calling`. For one thread at a time."""

    def __init__(
        self,
        access: Access,
        peer: Peer,
        is_bridged: Callable[[int], bool] = lambda session: False,
    ) -> None:
        """`is_bridged` tells of a session whether its calls are made for others."""
        self.peer = peer
        self.detail = ""
        """What the present call changes, for the audit log; handlers set it."""
        self._access = access
        self._is_bridged = is_bridged
        self._session: int | None = None
        self._changes = False

    @contextlib.contextmanager
    def calling(self, service: int, method: int, session: int | None = None) -> Iterator[None]:
        """A call is executed inside, of a session or plain. AccessDenied: it must not be made."""
        name, role = METHODS.get((service, method), _UNKNOWN)
        self._session, self.detail = session, ""
        self._changes = role > Role.VIEW and name not in _UPLOADS
        outcome = "done"
        try:
            self._check(role, name)
            yield
        except SerialRuntimeError as error:
            outcome = str(error)
            raise
        except Exception as error:
            outcome = f"internal error: {type(error).__name__}"
            raise
        finally:
            if self._changes and self._access.audit is not None:
                self._note(self._access.audit, name, outcome)

    def need(self, role: Role, what: str) -> None:
        """The present call changes something, which needs a role. AccessDenied."""
        self._changes = True
        self._check(role, what)

    def may(self, role: Role) -> bool:
        """Whether the caller has a role. ConfigError, StoreError, AccessDenied: see `role_of`."""
        return self._access.role_of(self.peer) >= role

    def identity(self) -> Identity:
        """The identity whose secret the caller may be told; see ``Access.identity_for``."""
        found = self._access.identity_for(self.peer, self._bridged)
        self._changes, self.detail = True, f"the secret of {found.id} was told"
        return found

    @property
    def _bridged(self) -> bool:
        return self._session is not None and self._is_bridged(self._session)

    def _check(self, role: Role, what: str) -> None:
        if role > Role.VIEW and not self.may(role):
            self._changes = True  # the audit log shall tell
            has = self._access.role_of(self.peer)
            raise AccessDenied(
                f"{what} needs the role {role.name.lower()}, {self.peer} has {has.name.lower()} "
                f"(profile key policy.{self.peer.kind}, and the role of the identity)"
            )

    def _note(self, audit: AuditLog, name: str, outcome: str) -> None:
        from serial_runtime.plc.audit import Entry

        kind, address, identity = self.peer
        audit.note(Entry(kind, address, identity, self._bridged, name, self.detail, outcome))
