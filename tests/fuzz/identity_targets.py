# SPDX-License-Identifier: MIT
"""Secrets and signatures: what a client brings along, and what somebody else wrote into files."""

from __future__ import annotations

import contextlib
import io
import shutil
import zipfile
from pathlib import Path

import pytest
from fuzz.program_targets import SCRATCH
from fuzz.script import Script

from serial_runtime import identities
from serial_runtime.errors import ConfigError, ImageError, StoreError
from serial_runtime.plc import identity, signature

_COMPRESSIONS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
)
_KEY = signature.Line(signature.HMAC, "key", bytes(range(32)))


def exported(script: Script) -> bytes:
    """A zip file of members with any names and contents, maybe damaged at one place."""
    compression, at, flip = script.number() % 4, script.number(2), script.number()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", _COMPRESSIONS[compression]) as archive:
        while script:
            name = script.piece().decode("latin-1").replace("\0", "0") or "management.json"
            with contextlib.suppress(UserWarning):  # the same name twice
                archive.writestr(zipfile.ZipInfo(name), script.piece(), _COMPRESSIONS[compression])
    data = bytearray(made.getvalue())
    data[at % len(data)] ^= flip
    return bytes(data)


def identity_export(data: bytes) -> None:
    """The secrets of an IDE's export, and the list beside them: all or an error of ours."""
    folder, script = Path(SCRATCH, "psk"), Script(data)
    shutil.rmtree(folder, ignore_errors=True)
    archive = Path(SCRATCH, "export.zip")
    archive.write_bytes(script.rest() if script.number() & 1 else exported(script))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(identities.VARIABLE, str(folder))
        try:
            taken, left = identities.import_from(archive, replace=True)
        except (ConfigError, StoreError):
            assert not list(folder.glob("*.secret"))
            return
        assert left == []
        for name in taken:
            assert identities.secret_of(name)
        assert {str(row[0]) for row in identities.rows()} == set(taken)


def identity_files(data: bytes) -> None:
    """The files of secrets on both ends."""
    folder, script = Path(SCRATCH, "psk"), Script(data)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "a.secret").write_bytes(script.piece())
    (folder / "management.json").write_bytes(script.piece())
    (folder / identity.FILE).write_bytes(script.rest())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(identities.VARIABLE, str(folder))
        with contextlib.suppress(ConfigError):
            identities.secret_of("a")
        with contextlib.suppress(ConfigError):
            identities.rows()
        with contextlib.suppress(ConfigError, StoreError):
            identity.read(str(folder))


def program_signature(data: bytes) -> None:
    """The signature that comes with a program, and the file of keys."""
    program, keys, sent = (Path(SCRATCH, name) for name in ("program", "keys", "signature"))
    files = [(signature.FILE, str(sent))]
    program.write_bytes(b"program")
    keys.write_text(str(_KEY))
    sent.write_bytes(data)
    message = signature.manifest(str(program), [])
    with contextlib.suppress(ImageError):
        signature.check(str(program), files, str(keys))
        lines = [signature._parse(line, "") for line in signature._lines(data)]
        assert signature.sign(_KEY, message) in lines
    keys.write_bytes(data)
    with contextlib.suppress(ConfigError, ImageError):
        signature.check(str(program), files, str(keys))
