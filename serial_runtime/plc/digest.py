# SPDX-License-Identifier: MIT
"""MD5, as the IDE's protocol needs it: names of contents, no security.

The interpreter's own module is preferred to hashlib, which loads OpenSSL (3 ms and some MB on a
small board) and whose MD5 a FIPS system switches off.
"""

from __future__ import annotations

from serial_runtime.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import md5
else:
    try:
        from _md5 import md5
    except ImportError:
        from hashlib import md5

__all__ = ["check_md5", "file_md5", "md5"]

_HEX = frozenset("0123456789abcdef")


def check_md5(text: str) -> str:
    """`text` when it is 32 lower-case hexadecimal digits. StoreError: it becomes a file name."""
    if len(text) != 32 or not _HEX.issuperset(text):
        raise StoreError(f"{text[:80]!r} is not an MD5: expected 32 hexadecimal digits, lower case")
    return text


def file_md5(path: str) -> str:
    """The MD5 of a file's content, hexadecimal. OSError."""
    digest = md5()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 18):
            digest.update(block)
    return digest.hexdigest()
