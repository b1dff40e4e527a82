# SPDX-License-Identifier: MIT
"""fleet: the boards of a router's realm, and a TCP port for each of them."""

from __future__ import annotations

import argparse

from serial_runtime.cli.command import Command, UsageError, json_option, print_json, printable
from serial_runtime.cli.log import LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.config import ListenAddress
    from serial_runtime.connectors.relay import Relay
    from serial_runtime.connectors.wamp_fleet import Member
    from serial_runtime.connectors.wamp_session import Login, Router
    from serial_runtime.transport.uri import WampEndpoint

_LOOK_S = 2.0  # between looks for boards that are new
_HEAD = ("BOARD", "STATE", "ROUND TRIP", "LOG", "ADDRESS")


def _row(member: Member, address: str) -> tuple[str, ...]:
    told = [f"{n} {level}" for n, level in zip(member.log, LEVELS, strict=False) if n]
    log = ", ".join(told) or "empty" * bool(member.log)
    return member.id, member.state, f"{member.round_trip_ms:.1f} ms", log, address


def _table(members: list[Member], addresses: dict[str, str]) -> None:
    if not members:
        print("no board is connected to this realm")
        return
    rows = [_HEAD, *(_row(member, addresses.get(member.id, "")) for member in members)]
    if not addresses:
        rows = [row[:-1] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(printable("  ".join(cells).rstrip()), flush=True)


class _Ports:
    """A TCP port for each board, which stays its own while this process runs."""

    def __init__(self, first: ListenAddress, router: Router, login: Login) -> None:
        self.addresses: dict[str, str] = {}
        self._first = first
        self._router = router
        self._login = login
        self._relays: list[Relay] = []

    def serve(self, board: str) -> None:
        """Offer a board that is new. SerialRuntimeError when the port is taken."""
        from functools import partial

        from serial_runtime.connectors.relay import Relay
        from serial_runtime.connectors.wamp_client import open_board
        from serial_runtime.errors import LinkError, SerialRuntimeError
        from serial_runtime.transport.tcp import TcpListener

        host, port = self._first
        try:
            listener = TcpListener(host, port + len(self._relays) if port else 0)
        except LinkError as error:  # not the link to the router
            raise SerialRuntimeError(str(error)) from error
        reach = partial(open_board, self._router, self._login, board, 10.0)
        self._relays.append(Relay(listener, reach, _say))
        self.addresses[board] = f"ERPC://{listener.name}"

    def close(self) -> None:
        for relay in self._relays:
            relay.close()


def _offer(endpoint: WampEndpoint, first: ListenAddress) -> int:
    """Offer all boards until SIGTERM or SIGINT."""
    import signal

    from serial_runtime.errors import LinkError
    from serial_runtime.transport.tcp import exposure

    # Before any thread is made, so that all of them leave the signals to `sigtimedwait`.
    ends = (signal.SIGTERM, signal.SIGINT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    from serial_runtime.connectors.wamp import login_of
    from serial_runtime.connectors.wamp_fleet import Fleet
    from serial_runtime.connectors.wamp_session import Router

    router, login = Router.of(endpoint), login_of(endpoint.identity)
    fleet, ports, lost = Fleet(router, login), _Ports(first, router, login), False
    try:
        if text := exposure(first.host, str(first), "stop, force and reprogram these PLCs"):
            _say(text)
        members = fleet.members()
        for member in members:
            ports.serve(member.id)
        _table(members, ports.addresses)
        print("READY", flush=True)
        while signal.sigtimedwait(ends, _LOOK_S) is None:
            try:
                boards = fleet.boards()
            except LinkError as error:
                if not lost:
                    _say(f"{error}; trying again")
                lost = True
                continue
            lost = False
            for board in boards.keys() - ports.addresses.keys():
                ports.serve(board)
                print(f"{board}  {ports.addresses[board]}", flush=True)
    finally:
        ports.close()
        fleet.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return 0


def _say(text: str) -> None:
    import sys

    print(f"serial-runtime: {printable(text)}", file=sys.stderr, flush=True)


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.config import parse_listen
    from serial_runtime.transport.optional import need
    from serial_runtime.transport.uri import WampEndpoint, parse

    endpoint = parse(arguments.uri)
    if not isinstance(endpoint, WampEndpoint):
        raise UsageError(f"{arguments.uri} is no realm: WAMP[S]://host[:port][/path]#realm#ID")
    first = parse_listen(arguments.listen) if arguments.listen else None
    need("autobahn", "wamp", "fleet")
    if first is not None:
        return _offer(endpoint, first)
    from serial_runtime.connectors.wamp import login_of
    from serial_runtime.connectors.wamp_fleet import Fleet
    from serial_runtime.connectors.wamp_session import Router

    fleet = Fleet(Router.of(endpoint), login_of(endpoint.identity))
    try:
        members = fleet.members()
    finally:
        fleet.close()
    if arguments.json:
        print_json([member._asdict() for member in members])
    else:
        _table(members, {})
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    json_option(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="offer each board on a TCP port of its own, the first one here, until Ctrl-C",
    )


FLEET = Command(
    _run,
    description="List the boards at a WAMP router; with --listen, offer each of them to an "
    "unmodified IDE and other clients of TCP. The ID in the URI is one's own: its secret is that "
    "of `serial-runtime identity`, and without one the router must let anybody in.",
    uri_help="the realm, with an ID of one's own: WAMP[S]://host[:port][/path]#realm#ID",
    example="  serial-runtime fleet WAMPS://router.example:8443#Automation#desk\n"
    "  serial-runtime fleet WAMP://127.0.0.1:8080#Automation#desk --listen 127.0.0.1:3100\n",
    options=_options,
)
