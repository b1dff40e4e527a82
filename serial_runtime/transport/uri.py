# SPDX-License-Identifier: MIT
"""Connection URIs.

=================================  ============================================
``ERPC://host[:port]``             TCP, default port 3000; IPv6 in brackets
``ERPC:///dev/ttyX[:baud]``        serial device, default 115200 baud
``ERPC:///dev/ttyX:auto``          serial device at the rate where a runtime answers
``ERPC://:COM4[:baud]``            serial port with a name that is no path
``ERPCS://host[:port]#ID``         TLS with the secret of that identity, default port 4000
``WAMP://host[:port][/path]#realm#ID``, ``WAMPS://…``   through a router, default port 80 or 443
``PYRO://host[:port]``             Pyro5, default port 3000
``PYROS://host[:port]#ID``         the same within TLS as above
``LOCAL://``                       a runtime of this computer, started and ended with the client
``loop://name``                    in-memory listener of this process (tests)
``socket://…``, ``rfc2217://…``    pyserial's own URLs, passed on to it
``host:port``, ``/dev/ttyX[:baud]``, ``COM4[:baud]``   short for the ERPC forms
``…?fast=BAUD``                    behind a serial form: run the line at that rate while it is used
``…?rs485``, ``…?rs485=low``       RS-485: the driver sets RTS high (or low) while it sends
=================================  ============================================

The scheme's case does not matter. On a device only a final ``:[0-9]+`` or ``:auto`` is the baud
rate, for names under /dev/serial/by-path contain colons; a literal one there is written ``%3A``, a
literal question mark ``%3F``. An ID is made of 1 to 64 letters, digits, ``_`` and ``-``.

Other schemes come from installed packages, see :mod:`serial_runtime.transport`.
"""

from __future__ import annotations

import os
import re
from functools import cache

from serial_runtime.errors import ConfigError, UriError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.psk import check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "serial_runtime.transports"
DEFAULT_PORT = 3000
DEFAULT_TLS_PORT = 4000
DEFAULT_BAUD = 115200
AUTO_BAUD = 0  # to be found

_WAMP_FORM = "WAMP[S]://host[:port][/path]#realm#ID"
_FORMS = {
    "ERPC": "ERPC://host[:port], ERPC:///dev/ttyX[:baud], ERPC://:COM4[:baud], host:port, "
    "/dev/ttyX[:baud]; a baud may be auto",
    "ERPCS": "ERPCS://host[:port]#ID",
    "WAMP": _WAMP_FORM,
    "WAMPS": _WAMP_FORM,
    "PYRO": "PYRO://host[:port]",
    "PYROS": "PYROS://host[:port]#ID",
    "LOCAL": "LOCAL://",
}

# Of the scheme's own table: WebSocket's ports (RFC 6455, section 3).
_WAMP_PORTS = {"WAMP": 80, "WAMPS": 443}
_PYSERIAL = ("SOCKET", "RFC2217", "HWGREP", "SPY", "ALT")
_RS485 = {"rs485": "high", "rs485=low": "low"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BAUD = re.compile(r"(.+):([0-9]+|auto)", re.DOTALL)
_PORT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_COM = re.compile(r"COM[0-9]+(:([0-9]+|auto))?(\?.*)?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*)")
# Realms are URIs of dot-separated components (WAMP specification, "URIs", loose form).
_REALM = re.compile(r"[^\s.#]+(\.[^\s.#]+)*")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%?-]*")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class SerialEndpoint(NamedTuple):
    """A serial port: a device path, a Windows name or one of pyserial's URLs."""

    device: str
    baud: int  # AUTO_BAUD: to be found
    fast: int = 0  # 0: none
    rs485: str = ""  # "high" or "low": RTS while sending


class TcpEndpoint(NamedTuple):
    """A TCP address; an IPv6 one without its brackets."""

    host: str
    port: int


class TlsEndpoint(NamedTuple):
    """A TLS server; the secret of `identity` opens it."""

    host: str
    port: int
    identity: str


class WampEndpoint(NamedTuple):
    """A board behind a WAMP router."""

    secure: bool
    host: str
    port: int
    path: str  # with its leading slash
    realm: str
    identity: str  # of the board: its procedures are named identity.Method


class PyroEndpoint(NamedTuple):
    """A Pyro server; with an identity it is reached through TLS."""

    host: str
    port: int
    identity: str = ""


class LocalEndpoint(NamedTuple):
    """A runtime that the client starts, and ends."""


class LoopEndpoint(NamedTuple):
    """A listener of the loop transport in this process."""

    name: str


class OtherEndpoint(NamedTuple):
    """What a scheme of an installed package means, that package knows."""

    scheme: str  # lower case
    uri: str


Endpoint = (
    SerialEndpoint
    | TcpEndpoint
    | TlsEndpoint
    | WampEndpoint
    | PyroEndpoint
    | LocalEndpoint
    | LoopEndpoint
    | OtherEndpoint
)


def parse(uri: str) -> Endpoint:
    """Return what ``uri`` names. Raises UriError that lists the accepted forms of its scheme."""
    if not uri or any(one.isspace() or not one.isprintable() for one in uri):
        raise _wrong(uri, "it is empty or contains white space or control characters")
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return _parse_bare(uri)
    scheme, rest = match[1].upper(), match[2]
    if scheme in ("ERPC", "PYRO") and "#" in rest and rest[:1] not in "/:":
        raise _wrong(uri, f"#ID belongs to {scheme}S://, which is TLS")
    if scheme == "ERPC":
        if rest.startswith("/"):
            return _parse_device(uri, rest)
        if rest.startswith(":"):
            return _parse_port_name(uri, rest[1:])
        return _parse_host(uri, rest)
    if scheme == "ERPCS":
        place, identity = _split_identity(uri, rest)
        return TlsEndpoint(*_parse_host(uri, place, DEFAULT_TLS_PORT), identity)
    if scheme in _WAMP_PORTS:
        return _parse_wamp(uri, scheme, rest)
    if scheme == "PYRO":
        return PyroEndpoint(*_parse_host(uri, rest))
    if scheme == "PYROS":
        place, identity = _split_identity(uri, rest)
        return PyroEndpoint(*_parse_host(uri, place), identity)
    if scheme == "LOCAL":
        if rest:
            raise _wrong(uri, "nothing follows LOCAL://")
        return LocalEndpoint()
    if scheme == "LOOP":
        if not rest:
            raise _wrong(uri, "the name is missing")
        return LoopEndpoint(rest)
    if scheme in _PYSERIAL:
        return SerialEndpoint(uri, DEFAULT_BAUD)
    if scheme.lower() in other_schemes():
        return OtherEndpoint(scheme.lower(), uri)
    raise _wrong(uri, f"unknown scheme {match[1]}://")


@cache
def other_schemes() -> dict[str, EntryPoint]:
    """Schemes of installed packages by name, lower case; they never replace ours."""
    from importlib.metadata import entry_points

    return {one.name.lower(): one for one in entry_points(group=ENTRY_POINTS)}


def _parse_bare(text: str) -> SerialEndpoint | TcpEndpoint:
    if text.startswith("/"):
        return _parse_device(text, text)
    if _COM.fullmatch(text):
        return _parse_port_name(text, text)
    if text.startswith("[") or re.fullmatch(r"[^:/]+:[0-9]+", text):
        return _parse_host(text, text)
    raise _wrong(text, "it has no scheme, and is neither host:port nor a device path")


def _parse_device(uri: str, text: str) -> SerialEndpoint:
    text, mark, options = text.partition("?")
    match = _BAUD.fullmatch(text)
    path, baud = (match[1], _parse_baud(uri, match[2])) if match else (text, DEFAULT_BAUD)
    if _BAD_ESCAPE.search(path):
        raise _wrong(uri, "a % in a device path is written %25, a colon %3A")
    path = os.fsdecode(_ESCAPE.sub(lambda hit: bytes([int(hit[1], 16)]), os.fsencode(path)))
    if "\0" in path or path.endswith("/"):
        raise _wrong(uri, "that is no device path")
    return _with_options(uri, SerialEndpoint(path, baud), options if mark else None)


def _parse_port_name(uri: str, text: str) -> SerialEndpoint:
    text, mark, options = text.partition("?")
    name, colon, baud = text.partition(":")
    if not _PORT_NAME.fullmatch(name):
        raise _wrong(uri, "a port name such as COM4 follows '://:'; IPv6 addresses go in brackets")
    endpoint = SerialEndpoint(name, _parse_baud(uri, baud) if colon else DEFAULT_BAUD)
    return _with_options(uri, endpoint, options if mark else None)


def _with_options(uri: str, endpoint: SerialEndpoint, text: str | None) -> SerialEndpoint:
    """``fast=BAUD``, ``rs485``, ``rs485=low``, joined by ``&``; each once."""
    for option in text.split("&") if text is not None else ():
        name, _, value = option.partition("=")
        if name == "fast" and not endpoint.fast:
            fast = _parse_baud(uri, value)
            if fast == AUTO_BAUD:
                raise _wrong(uri, "the fast rate must be a number")
            endpoint = endpoint._replace(fast=fast)
        elif option in _RS485 and not endpoint.rs485:
            endpoint = endpoint._replace(rs485=_RS485[option])
        else:
            raise _wrong(
                uri,
                f"{option!r} is no option of a serial line, or there twice; there are fast=BAUD, "
                "rs485 and rs485=low",
            )
    return endpoint


def _split_identity(uri: str, text: str) -> tuple[str, str]:
    place, mark, identity = text.partition("#")
    if not mark:
        raise _wrong(uri, "the identity is missing: #ID, as `serial-runtime identity` lists it")
    return place, _parse_identity(uri, identity)


def _parse_identity(uri: str, text: str) -> str:
    try:
        return check_id(text)
    except ConfigError as error:
        raise _wrong(uri, str(error)) from None


def _parse_wamp(uri: str, scheme: str, text: str) -> WampEndpoint:
    url, *names = text.split("#")
    if len(names) != 2:
        raise _wrong(uri, "#realm#ID must follow the address of the router")
    realm, identity = names
    if not _REALM.fullmatch(realm):
        raise _wrong(uri, f"{realm!r} is no realm: names without white space, joined by dots")
    place, slash, path = url.partition("/")
    if not _PATH.fullmatch("/" + path) or _BAD_ESCAPE.search(path):
        raise _wrong(uri, "the path has a character that does not belong")
    host, port = _parse_host(uri, place, _WAMP_PORTS[scheme])
    identity = _parse_identity(uri, identity)
    return WampEndpoint(scheme == "WAMPS", host, port, slash + path or "/", realm, identity)


def _parse_host(uri: str, text: str, default_port: int = DEFAULT_PORT) -> TcpEndpoint:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _IPV6.fullmatch(host):
            raise _wrong(uri, "no IPv6 address in the brackets")
        if rest and not rest.startswith(":"):
            raise _wrong(uri, "only :port may follow the closing bracket")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise _wrong(uri, "IPv6 addresses go in brackets")
        if not _HOST.fullmatch(host):
            raise _wrong(uri, "the host name is missing or has a character that does not belong")
    return TcpEndpoint(host, _parse_port(uri, port) if colon else default_port)


def _parse_port(uri: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise _wrong(uri, f"port {text!r} is not a number from 1 to 65535")
    return int(text)


def _parse_baud(uri: str, text: str) -> int:
    if text == "auto":
        return AUTO_BAUD
    if not re.fullmatch(r"[0-9]{1,8}", text) or int(text) == 0:
        raise _wrong(uri, f"{text!r} is not a baud rate: give a number, or auto")
    return int(text)


def _wrong(uri: str, reason: str) -> UriError:
    scheme = uri.partition("://")[0].upper()
    forms = _FORMS.get(scheme) or ", ".join(dict.fromkeys(_FORMS.values()))
    return UriError(f"cannot use {uri!r}: {reason}. Accepted: {forms}")
