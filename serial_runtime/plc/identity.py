# SPDX-License-Identifier: MIT
"""Who the board is, and whom it knows: a text file in the program store, of mode 0600.

    identities.txt       a line each: ID:secret role; the first is the board's own

The board's own identity is made at the first start. Others are added by hand or by
``serial-runtime identity add``, so that each client of ERPCS may have a secret and a role of its
own. The file is replaced whole by a rename, so a reader needs no lock and a power cut leaves the
old or the new one; whoever changes it holds a lock on the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from serial_runtime.errors import ConfigError, StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.psk import check_id, check_secret, new_id, new_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "identities.txt"
ROLES = ("view", "operate", "program")  # from the least to the most


class Identity(NamedTuple):
    """A name, the secret that proves it, and the most that its owner may do."""

    id: str
    secret: str
    role: str = "program"  # one of ROLES


def load_or_create(store_dir: str, default_id: str) -> Identity:
    """The board's own identity; made, durable, when there is none yet.

    `default_id` is made an ID and unlikely to collide, see ``psk.new_id``. Any process, any time.
    ConfigError: the file is damaged. StoreError: it cannot be read or written.
    """
    known = read(store_dir)
    if not known:
        with changing(store_dir) as known:
            if not known:  # else another process was faster
                known.append(Identity(new_id(default_id), new_secret()))
    return known[0]


def load_all(store_dir: str) -> dict[str, bytes]:
    """The secret of every identity, the board's own first. ConfigError, StoreError."""
    return {one.id: one.secret.encode("ascii") for one in read(store_dir)}


def read(store_dir: str) -> list[Identity]:
    """All identities, the board's own first; none before the first start.

    A mode that lets others read the file is mended. ConfigError, StoreError.
    """
    path = os.path.join(store_dir, FILE)
    try:
        # Root must not be led to another file by the runtime's user.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb", buffering=0) as file:
            if os.fstat(fd).st_mode & 0o077:
                os.fchmod(fd, 0o600)
            text = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return _parse(text, path)


@contextlib.contextmanager
def changing(store_dir: str) -> Iterator[list[Identity]]:
    """Change the list of all identities; it is durable when the context ends without an exception.

    Waits for another process that does the same. ConfigError, StoreError.
    """
    try:
        os.makedirs(store_dir, 0o700, exist_ok=True)
        directory = os.open(store_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{store_dir}: {error.strerror}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        known = read(store_dir)
        yield known
        for one in known:
            check_id(one.id)
            check_secret(one.secret)
        _replace(store_dir, directory, known)
    except OSError as error:
        raise StoreError(f"{store_dir}/{FILE}: cannot be written: {error.strerror}") from error
    finally:
        os.close(directory)


def _parse(text: bytes, path: str) -> list[Identity]:
    found: dict[str, Identity] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        pair, *words = line.split()[:3] or [""]
        if not pair:
            continue
        name, _, secret = pair.partition(":")
        role = words[0] if words else "program"
        try:
            one = Identity(check_id(name), check_secret(secret), role)
            if role not in ROLES or len(words) > 1:
                raise ConfigError(f"expected ID:secret and one role of {', '.join(ROLES)}")
            if name in found:
                raise ConfigError(f"the ID {name} is there twice")
        except ConfigError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
        found[name] = one
    return list(found.values())


def _replace(store_dir: str, directory: int, known: list[Identity]) -> None:
    path = os.path.join(store_dir, FILE)
    text = "".join(f"{one.id}:{one.secret} {one.role}\n" for one in known)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + ".new")  # of a process that was killed
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as file:
        if os.geteuid() == 0:  # a command run by root: the file is the runtime's
            owner = os.fstat(directory)
            os.fchown(fd, owner.st_uid, owner.st_gid)
        file.write(text.encode("ascii"))
        os.fsync(fd)
    os.replace(path + ".new", path)
    os.fsync(directory)
