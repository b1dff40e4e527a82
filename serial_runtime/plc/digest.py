# SPDX-License-Identifier: MIT
"""MD5, as the IDE's protocol needs it: names of contents, no security. SHA-256 for streams.

The interpreter's own modules are preferred to hashlib, which loads OpenSSL (3 ms and some MB on a
small board) and whose MD5 a FIPS system switches off.
"""

from __future__ import annotations

from serial_runtime.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash as Digest
    from hashlib import md5
else:
    try:
        from _md5 import md5
    except ImportError:
        from hashlib import md5

__all__ = ["Digest", "check_md5", "file_md5", "md5", "sha256"]

_HEX = frozenset("0123456789abcdef")


def check_md5(text: str) -> str:
    """`text` when it is 32 lower-case hexadecimal digits. StoreError: it becomes a file name."""
    if len(text) != 32 or not _HEX.issuperset(text):
        raise StoreError(f"{text[:80]!r} is not an MD5: expected 32 hexadecimal digits, lower case")
    return text


def sha256() -> Digest:
    """A new SHA-256; its module is loaded by the first."""
    if TYPE_CHECKING:
        from hashlib import sha256 as new
    else:
        try:
            from _sha256 import sha256 as new  # its name up to Python 3.11
        except ImportError:
            from hashlib import sha256 as new
    return new()


def file_md5(path: str) -> str:
    """The MD5 of a file's content, hexadecimal. OSError."""
    digest = md5()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 18):
            digest.update(block)
    return digest.hexdigest()
