# SPDX-License-Identifier: MIT
"""Signatures of programs: made where programs are built, verified on the board.

A signature covers the program and every extra file, names and contents. It travels as one more
extra file, ``serial-runtime.sig``, so every client can carry it, the IDE too. A line each:

    ALGORITHM NAME VALUE        of a signature; several: signed with several keys, one is enough
    ALGORITHM NAME KEY          of a key file

ALGORITHM is ``ed25519`` (the board has the public key, and nothing that can sign) or
``hmac-sha256`` (the board has the secret, which signs as well; needs no package). NAME tells which
key it is, values are base64. The private half of an Ed25519 key is a line ``ed25519-private``.

What is signed is the manifest: a line of text that names this format, the SHA-256 of the program,
and for each extra file, in the order of their names, the length of its name in four bytes, the
name, and the SHA-256 of its content.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterable, Sequence

from serial_runtime.errors import ConfigError, ImageError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    from serial_runtime.plc.program_store import StoredProgram

FILE = "serial-runtime.sig"
ED25519, ED25519_PRIVATE, HMAC = "ed25519", "ed25519-private", "hmac-sha256"
_HEAD = b"serial-runtime program 1\n"
_MOST_BYTES = 1 << 16  # of a signature
_KEY_BYTES = 32
_BLOCK = 1 << 18


class Line(NamedTuple):
    """A key, or a signature."""

    algorithm: str
    name: str
    value: bytes

    def __str__(self) -> str:
        value = binascii.b2a_base64(self.value, newline=False).decode()
        return f"{self.algorithm} {self.name} {value}"


def new_key(algorithm: str, name: str) -> tuple[Line, Line]:
    """A key to sign with, and the line for the board. ConfigError: see `sign`."""
    if algorithm == HMAC:
        line = Line(HMAC, name, os.urandom(_KEY_BYTES))
        return line, line
    private_key, _ = _ed25519()
    private = private_key.generate()
    public = private.public_key().public_bytes_raw()
    secret = private.private_bytes_raw()
    return Line(ED25519_PRIVATE, name, secret), Line(ED25519, name, public)


def read_keys(path: str) -> list[Line]:
    """The keys of a file; ConfigError names what is wrong with it."""
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: the keys cannot be read: {error.strerror}") from error
    keys = [_parse(line, path) for line in _lines(text)]
    for key in keys:
        if key.algorithm not in (ED25519, ED25519_PRIVATE, HMAC) or len(key.value) != _KEY_BYTES:
            raise ConfigError(f"{path}: the key {key.name} is not {ED25519} or {HMAC} of 32 bytes")
    if not keys:
        raise ConfigError(f"{path}: no key is there")
    return keys


def manifest(program: str, files: Iterable[tuple[str, str]]) -> bytes:
    """What is signed, of a program file and its extra files (name, path). OSError."""
    parts = [_HEAD, _sha256_of(program)]
    for name, path in sorted((name.encode(), path) for name, path in files):
        if name != FILE.encode():
            parts += [len(name).to_bytes(4, "big"), name, _sha256_of(path)]
    return b"".join(parts)


def sign(key: Line, message: bytes) -> Line:
    """ConfigError: the key cannot sign, or the package for it is missing."""
    if key.algorithm == HMAC:
        return Line(HMAC, key.name, _hmac(key.value, message))
    if key.algorithm != ED25519_PRIVATE:
        raise ConfigError(f"the key {key.name} is the public one: sign with the private one")
    private_key, _ = _ed25519()
    value = private_key.from_private_bytes(key.value).sign(message)
    return Line(ED25519, key.name, value)


def check(program: str, files: Sequence[tuple[str, str]], keys_path: str) -> None:
    """Refuse a program that is not signed with one of the keys. ImageError, ConfigError.

    `files` (name, path) are its extra files, the signature among them.
    """
    keys = read_keys(keys_path)
    path = dict(files).get(FILE)
    if path is None:
        raise ImageError(
            "the program is not signed, and this board takes signed ones only: `serial-runtime "
            f"sign` makes {FILE}, which is sent along as an extra file"
        )
    try:
        with open(path, "rb", buffering=0) as file:
            signatures = [_parse(line, FILE) for line in _lines(file.read(_MOST_BYTES))]
        message = manifest(program, files)
    except OSError as error:
        raise ImageError(f"the program cannot be verified: {error.strerror}") from error
    except ConfigError as error:
        raise ImageError(f"the signature is damaged: {error}") from error
    known = {(key.algorithm, key.name) for key in keys}
    ours = [one for one in signatures if (one.algorithm, one.name) in known]
    if not ours:
        names = ", ".join(one.name for one in signatures) or "nobody"
        raise ImageError(f"the program is signed by {names}: this board knows no such key")
    if not any(_is_by(key, one, message) for one in ours for key in keys):
        raise ImageError(
            f"the signature by {ours[0].name} is of another program, or of other extra files: "
            "sign it again, with all files that are sent"
        )


def check_stored(stored: StoredProgram, keys_path: str) -> None:
    """The same of a program in the store."""
    files = [(name, os.path.join(stored.files_directory, name)) for name in stored.files]
    check(stored.path, files, keys_path)


def _is_by(key: Line, signature: Line, message: bytes) -> bool:
    if (key.algorithm, key.name) != (signature.algorithm, signature.name):
        return False
    if key.algorithm == HMAC:
        import hmac

        return hmac.compare_digest(_hmac(key.value, message), signature.value)
    _, public_key = _ed25519()
    from cryptography.exceptions import InvalidSignature

    try:
        public_key.from_public_bytes(key.value).verify(signature.value, message)
    except InvalidSignature:
        return False
    return True


def _ed25519() -> tuple[type[Ed25519PrivateKey], type[Ed25519PublicKey]]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ConfigError(
            f"{ED25519} needs the package cryptography: pip install 'serial-runtime[sign]', or "
            f"use {HMAC}"
        ) from error
    return ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey


def _hmac(key: bytes, message: bytes) -> bytes:
    import hmac

    return hmac.digest(key, message, "sha256")


def _sha256_of(path: str) -> bytes:
    digest = sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()


def _lines(text: bytes) -> list[str]:
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _parse(line: str, place: str) -> Line:
    try:
        algorithm, name, value = line.split()
        return Line(algorithm, name, binascii.a2b_base64(value, strict_mode=True))
    except ValueError as error:
        raise ConfigError(f"{place}: expected lines ALGORITHM NAME BASE64: {error}") from error
