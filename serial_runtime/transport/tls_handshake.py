# SPDX-License-Identifier: MIT
"""The TLS handshake with a pre-shared key: TLS 1.2, and nothing else.

From Python 3.13 on the ssl module does it, before that the package sslpsk3, with the same methods.
TLS 1.3 has pre-shared keys of another kind, which stunnel and the IDE do not use for these.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from pathlib import Path

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout
from serial_runtime.transport.optional import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# All of OpenSSL's that authenticate by the key alone, have forward secrecy and are AEAD, but for
# the rare CCM and ARIA. The first is what small processors do fastest.
CIPHERS = (
    "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-CHACHA20-POLY1305:"
    "DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256"
)
_DH_GROUP = Path(__file__).with_name("ffdhe3072.pem")  # RFC 7919, appendix A.2

# What a server's alert, or the lack of one, means; by a part of OpenSSL's text.
_NOT_TLS = "does it speak TLS 1.2? Without TLS the URI is ERPC:// or PYRO://"
_SECRET = (
    "`serial-runtime pair` with the board over its serial line, or `serial-runtime identity "
    "import` it"
)
_SERVER_SAYS = {
    "unknown psk identity": f"the identity {{identity}} is not known there: {_SECRET}",
    "bad record mac": f"the secret of {{identity}} is another one there: {_SECRET}",
    "decrypt error": f"the secret of {{identity}} is another one there: {_SECRET}",
    "handshake failure": f"no common cipher: it must have one of {CIPHERS}",
    "protocol version": "it does not accept TLS 1.2, which pre-shared keys need",
    "wrong version number": f"it does not answer with TLS: {_NOT_TLS}",
    "eof occurred": f"hung up during the TLS handshake: {_NOT_TLS}",
}
_CLIENT_IS = {
    "no shared cipher": f"no common cipher: it must offer one of {CIPHERS}",
    "unsupported protocol": "it does not offer TLS 1.2",
    "wrong version number": "it does not speak TLS (ERPC:// has a port of its own)",
    "http request": "it speaks HTTP, not TLS",
    "identity not found": "the identity it names is not UTF-8",
    "bad record mac": "it does not have the secret of {identity}",
    "eof occurred": "hung up during the TLS handshake",
}


def connect_tls(
    connection: socket.socket, place: str, identity: str, secret: bytes, timeout_s: float
) -> ssl.SSLSocket:
    """Do the client's handshake, on this thread; return what takes `connection` over.

    Raises LinkError that says what is wrong and the remedy, LinkTimeout, and as ``context_class``;
    then it is closed.
    """
    try:
        with connection:  # nothing is left of it when all goes well
            context = _context(ssl.PROTOCOL_TLS_CLIENT)
            context.set_psk_client_callback(lambda hint: (identity, secret))
            return _shake_hands(context, connection, timeout_s, server_side=False)
    except TimeoutError as error:
        raise LinkTimeout(
            f"{place}: no answer to the TLS handshake within {timeout_s:g} s: {_NOT_TLS}"
        ) from error
    except ssl.SSLError as error:
        reason = _meaning(error, _SERVER_SAYS).format(identity=identity)
        raise LinkError(f"{place}: {reason}") from error
    except OSError as error:
        raise LinkError(f"{place}: {_SERVER_SAYS['eof occurred']}") from error


def accept_tls(
    connection: socket.socket, secrets: Callable[[], Mapping[str, bytes]], timeout_s: float
) -> tuple[ssl.SSLSocket, str, bytes]:
    """Do the server's handshake, on this thread; return what takes `connection` over, the proven
    identity and its key.

    `secrets` returns the key by identity. `timeout_s` is for all of it. Raises LinkError,
    LinkTimeout, LinkClosed with the reason alone, as ``context_class``, and as `secrets`; then
    `connection` is closed.
    """
    claimed, known = "", True

    def key(identity: str | None) -> bytes:
        nonlocal claimed, known
        claimed = identity or ""
        known = claimed in keys
        return keys.get(claimed, b"")

    try:
        with connection:  # nothing is left of it when all goes well
            keys = secrets()
            # A context of its own for each connection: so no session is resumed, which would prove
            # nothing about who it is, and outlive the secret.
            context = _context(ssl.PROTOCOL_TLS_SERVER)
            context.load_dh_params(_DH_GROUP)
            context.set_psk_server_callback(key)
            secured = _shake_hands(context, connection, timeout_s, server_side=True)
            return secured, claimed, keys[claimed]
    except TimeoutError as error:
        raise LinkTimeout(f"no TLS handshake within {timeout_s:g} s") from error
    except ssl.SSLError as error:
        if not known:
            reason = f"the identity {claimed[:64]!r} is not known here"
        else:
            reason = _meaning(error, _CLIENT_IS).format(identity=claimed)
        raise LinkError(reason) from error
    except OSError as error:
        raise LinkClosed(_CLIENT_IS["eof occurred"]) from error
    except SystemError as error:  # of sslpsk3
        raise LinkError(_CLIENT_IS["identity not found"]) from error


def _meaning(error: ssl.SSLError, meanings: Mapping[str, str]) -> str:
    text = str(error).lower()
    return next((says for part, says in meanings.items() if part in text), f"TLS: {error.reason}")


def context_class() -> Any:
    """What makes contexts with pre-shared keys. ConfigError: a package is missing."""
    if hasattr(ssl.SSLContext, "set_psk_server_callback"):
        return ssl.SSLContext
    return need("sslpsk3", "tls", "ERPCS").SSLPSKContext


def _context(protocol: int) -> Any:
    context = context_class()(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # there are no certificates: the key proves both ends
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # Without renegotiation the identity stays what it was.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _shake_hands(
    context: Any, connection: socket.socket, timeout_s: float, *, server_side: bool
) -> ssl.SSLSocket:
    connection.settimeout(timeout_s)
    # The next two do not expect one that has gone already.
    connection.getpeername()
    secured: ssl.SSLSocket = context.wrap_socket(
        connection, server_side=server_side, do_handshake_on_connect=False
    )
    try:
        secured.getpeername()
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    finally:
        _forget(context)
    return secured


def _forget(context: Any) -> None:
    """sslpsk3 2.1 keeps every context for ever; it needs none after the handshake."""
    module = sys.modules.get("sslpsk3.sslpsk3")
    for key, kept in list(getattr(module, "psk_contexts", {}).items()):
        if kept is context:
            with contextlib.suppress(KeyError):
                del module.psk_contexts[key]  # type: ignore[union-attr]
