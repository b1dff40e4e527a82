# SPDX-License-Identifier: MIT
"""What an ID and its secret (a pre-shared key) are made of, on both ends.

A secret is what TLS-PSK, stunnel and the IDE all take: ASCII without blanks,
16 to 256 characters, not all of them hexadecimal digits.
"""

from __future__ import annotations

import binascii
import os

from serial_runtime.errors import ConfigError

_MOST_ID, _LEAST_SECRET, _MOST_SECRET = 64, 16, 256
_SECRET_BYTES = 32  # of randomness in one we make
_HEX = frozenset("0123456789abcdefABCDEF")


def check_id(text: str) -> str:
    """`text` when it is an ID. ConfigError: clients use it as a file name."""
    plain = text.replace("-", "").replace("_", "")
    if not 0 < len(text) <= _MOST_ID or not text.isascii() or (plain and not plain.isalnum()):
        raise ConfigError(f"{text[:80]!r} is no ID: 1 to 64 letters, digits, '_' and '-'")
    return text


def check_secret(text: str) -> str:
    """`text` when it is a secret that every peer takes. ConfigError; it never tells the secret."""
    if not _LEAST_SECRET <= len(text) <= _MOST_SECRET:
        raise ConfigError(f"the secret has {len(text)} characters: expected 16 to 256")
    if not all("!" <= c <= "~" for c in text):
        raise ConfigError("the secret must be ASCII without blanks and control characters")
    if _HEX.issuperset(text):
        raise ConfigError(
            "the secret has nothing but hexadecimal digits, which stunnel takes for binary: "
            "let it have another character"
        )
    return text


def new_id(name: str) -> str:
    """An ID that begins with `name`; 32 random bits tell apart boards of the same name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in name)
    return f"{kept[: _MOST_ID - 9] or 'board'}-{os.urandom(4).hex()}"


def new_secret() -> str:
    """43 random characters of A-Z a-z 0-9 _ -, 256 bits."""
    while True:
        encoded = binascii.b2a_base64(os.urandom(_SECRET_BYTES), newline=False)
        text = encoded.decode().rstrip("=").replace("+", "-").replace("/", "_")
        if not _HEX.issuperset(text):
            return text
