# SPDX-License-Identifier: MIT
"""The secrets of boards that this computer knows, kept as the IDE keeps them in a project.

A folder ``psk`` holds ``<ID>.secret`` with the text ``ID:secret``, and ``management.json``, a list
of rows ``[ID, last URI, description, last connection]``; an export is a zip file of both (facts:
PSKManagement.py of Beremiz). The IDE lists only what has a row, so each secret we keep gets one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from serial_runtime.errors import ConfigError, StoreError
from serial_runtime.psk import check_id, check_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VARIABLE = "SERIAL_RUNTIME_PSK"
_ROWS = "management.json"
_TIME = "%y/%m/%d-%H:%M:%S"  # of the last connection; sorts as text
_MOST_BYTES = 1 << 20  # of a file in a zip that is imported
_MOST_SECRET_BYTES = 1024  # of a secret there, with its ID

Row = list[str | None]  # ID, last URI, description, last connection


def folder() -> Path:
    """Where secrets are: $SERIAL_RUNTIME_PSK, else psk in the working directory, else the user's.

    So a command that is run in the folder of an IDE project shares the project's.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if Path("psk").is_dir():
        return Path("psk")
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "serial-runtime" / "psk"


def secret_of(identity: str) -> bytes:
    """The secret of a board. ConfigError when it is not known here."""
    path = folder() / f"{identity}.secret"
    try:
        text = path.read_text("ascii")
    except FileNotFoundError as error:
        raise ConfigError(
            f"the secret of {identity} is not in {folder()}: `serial-runtime pair` with the board "
            "over its serial line once, or `serial-runtime identity import` it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return _secret_in(text, identity, str(path)).encode("ascii")


def rows() -> list[Row]:
    """What is known of each identity whose secret is here, by ID. ConfigError."""
    try:
        names = sorted(path.stem for path in folder().glob("*.secret"))
    except OSError as error:
        raise ConfigError(f"{folder()}: cannot be read: {error.strerror}") from error
    known = _read_rows()
    return [known.get(name, [name, "", None, None]) for name in names]


def keep(identity: str, secret: str, uri: str) -> bool:
    """Keep the secret of a board that was reached under `uri`; whether another was there before.

    ConfigError: not an ID, or no secret. StoreError: it cannot be written; the old one stays.
    """
    import time

    check_id(identity)
    check_secret(secret)
    path = folder() / f"{identity}.secret"
    known = _read_rows()
    row = known.setdefault(identity, [identity, "", None, None])
    row[1], row[3] = uri, time.strftime(_TIME)
    text = f"{identity}:{secret}"
    with _writing():
        changed = path.exists() and path.read_text("ascii", "replace").strip() != text
        _write(path, text)
        _write_rows(known)
    return changed


def forget(identity: str) -> None:
    """Delete the secret of a board. ConfigError: it is not here. StoreError."""
    known = _read_rows()
    known.pop(check_id(identity), None)
    with _writing():
        try:
            (folder() / f"{identity}.secret").unlink()
        except FileNotFoundError:
            raise ConfigError(f"the secret of {identity} is not in {folder()}") from None
        _write_rows(known)


def export_to(path: Path, names: Sequence[str] = ()) -> list[str]:
    """Write secrets into a new zip file that the IDE imports; without names all. Returns the IDs.

    ConfigError: one is not here, or none. StoreError: the file is there already, or the disk.
    """
    import json
    import zipfile

    found = {str(row[0]): row for row in rows()}
    for name in names:
        secret_of(check_id(name))
    chosen = {name: row for name, row in found.items() if name in names or not names}
    if not chosen:
        raise ConfigError(f"no secret is in {folder()}: nothing to export")
    secrets = {name: f"{name}:{secret_of(name).decode()}" for name in chosen}
    with _writing():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, text in secrets.items():
                archive.writestr(f"{name}.secret", text)
            archive.writestr(_ROWS, json.dumps(list(chosen.values())))
    return list(chosen)


def import_from(path: Path, *, replace: bool) -> tuple[list[str], list[str]]:
    """Keep the secrets of a zip file that the IDE or `export_to` wrote.

    Returns the IDs that were taken, and those that were left because another secret of them is
    here and `replace` is False. All are checked before any is kept. ConfigError, StoreError.
    """
    import json
    import zipfile
    import zlib

    secrets: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {entry.filename: entry for entry in archive.infolist()}
            usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if any(
                entry.file_size > (_MOST_SECRET_BYTES if name.endswith(".secret") else _MOST_BYTES)
                or entry.compress_type not in usual
                for name, entry in members.items()
            ):
                raise ConfigError(f"{path}: it holds more than secrets")
            for name, entry in members.items():
                if name.endswith(".secret"):
                    text = archive.read(entry).decode("ascii")
                    place = f"{path}: {name[:80]}"
                    secrets[name[:-7]] = _secret_in(text, check_id(name[:-7]), place)
            listed = json.loads(archive.read(_ROWS)) if _ROWS in members else []
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{path}: not an export of identities: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    known, brought = _read_rows(), _rows_of(listed, str(path))
    taken, left = [], []
    with _writing():
        for name, secret in secrets.items():
            target = folder() / f"{name}.secret"
            text = f"{name}:{secret}"
            if target.exists() and not replace and target.read_text("ascii", "replace") != text:
                left.append(name)
                continue
            _write(target, text)
            known[name] = brought.get(name, known.get(name, [name, "", None, None]))
            taken.append(name)
        _write_rows(known)
    return taken, left


def _secret_in(text: str, identity: str, place: str) -> str:
    name, _, secret = text.strip().partition(":")
    if name != identity or not secret or not secret.isprintable():
        raise ConfigError(f"{place}: expected the text {identity}:SECRET")
    return secret


def _read_rows() -> dict[str, Row]:
    """The rows of management.json by ID; none when it is not there. ConfigError."""
    import json

    path = folder() / _ROWS
    try:
        return _rows_of(json.loads(path.read_bytes()), str(path))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged: {error}; delete it, the secrets stay") from error


def _rows_of(listed: object, place: str) -> dict[str, Row]:
    if not isinstance(listed, list):
        raise ConfigError(f"{place}: damaged: expected a list of rows")
    known: dict[str, Row] = {}
    for row in listed:
        if not (isinstance(row, list) and len(row) == 4 and isinstance(row[0], str)):
            raise ConfigError(f"{place}: damaged: {row!r} is no row [ID, URI, description, time]")
        known[row[0]] = [None if cell is None else str(cell) for cell in row]
    return known


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Make the folder; an OSError inside becomes a StoreError."""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        name = error.filename or folder()
        raise StoreError(f"{name}: cannot be written: {error.strerror or error}") from error


def _write_rows(known: dict[str, Row]) -> None:
    import json

    _write(folder() / _ROWS, json.dumps(list(known.values())))


def _write(path: Path, text: str) -> None:
    """Replace a file whole; only this user may read it."""
    new = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
