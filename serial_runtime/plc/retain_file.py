# SPDX-License-Identifier: MIT
"""The two files that retained values are kept in.

    retain-a, retain-b      a whole set each; the one with the higher number counts
    retain.lock             held while a runtime uses the directory

A set is written over the file that does not count, and is durable before it does: power lost at
any instant leaves the set before, or the new one. A checksum tells a file that was cut. Nothing is
renamed or removed, so that a write costs the disk little more than its data.

A file, little-endian: "SRRT", u16 version, u16 0, u64 number of the set, u32 layout of the retain
variables it was taken of, u32 entries, u32 how many of them (the first) are orphans. An entry: u16
length of the path, path (UTF-8), u8 type, u8 capacity, u8 length of the value, value (wire form).
At the end u32, the CRC-32 of all before.
"""

from __future__ import annotations

import fcntl
import os
from binascii import crc32
from struct import Struct
from struct import error as StructError

from serial_runtime.errors import StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("retain-a", "retain-b")
_LOCK = "retain.lock"
_MAGIC = b"SRRT"
_VERSION = 1
_HEAD = Struct("<4sHHQIII")
_PATH = Struct("<H")
_ENTRY = Struct("<BBB")
_CRC = Struct("<I")
_MOST_BYTES = 64 << 20


class Key(NamedTuple):
    """What a value belongs to, in whatever program."""

    path: str
    type: int  # enum sr_type of plc_abi.h
    capacity: int  # STRING: characters


class Kept(NamedTuple):
    """A set of values. The first `orphans` of them belong to no variable of the present program,
    the longest ago first; `layout` is that of the others."""

    layout: int
    orphans: int
    values: Mapping[Key, bytes]  # in wire form


NOTHING = Kept(0, 0, {})


def layout_of(keys: list[Key]) -> int:
    """A number that other variables, or another order of them, do not have but by chance; no
    variables: 0."""
    if not keys:
        return 0
    return crc32(repr([tuple(key) for key in keys]).encode("utf-8", "surrogatepass"))


def encode(kept: Kept, number: int) -> bytes:
    """The content of a file."""
    parts = [
        _HEAD.pack(_MAGIC, _VERSION, 0, number, kept.layout, len(kept.values), kept.orphans),
    ]
    for key, value in kept.values.items():
        path = key.path.encode("utf-8", "surrogatepass")
        parts += (
            _PATH.pack(len(path)),
            path,
            _ENTRY.pack(key.type, key.capacity, len(value)),
            value,
        )
    data = b"".join(parts)
    return data + _CRC.pack(crc32(data))


def decode(data: bytes) -> tuple[int, Kept]:
    """The number and the set in the content of a file. StoreError: it is not whole."""
    if len(data) < _HEAD.size + _CRC.size or data[:4] != _MAGIC:
        raise StoreError("it is no file of retained values")
    if crc32(data[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
        raise StoreError("it is not whole (checksum)")
    _, version, _, number, layout, count, orphans = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise StoreError(f"its version is {version}, this runtime reads {_VERSION}")
    values: dict[Key, bytes] = {}
    at, end = _HEAD.size, len(data) - _CRC.size
    try:
        for _ in range(count):
            path_end = at + _PATH.size + _PATH.unpack_from(data, at)[0]
            path = data[at + _PATH.size : path_end].decode("utf-8", "surrogatepass")
            kind, capacity, size = _ENTRY.unpack_from(data, path_end)
            at = path_end + _ENTRY.size + size
            values[Key(path, kind, capacity)] = data[at - size : at]
            if at > end:
                raise ValueError
    except (ValueError, StructError):
        raise StoreError("its entries are cut") from None
    if at != end or len(values) != count or orphans > count:
        raise StoreError("its entries are not what its head says")
    return number, Kept(layout, orphans, values)


class RetainFiles:
    """The files in one directory, which it locks. One thread at a time."""

    def __init__(self, directory: str, disk: Disk | None = None) -> None:
        """Makes the directory. StoreError: another runtime uses it. One that cannot be used is told
        by `read` and `write`: a program runs without retained values, too."""
        self._directory = os.path.abspath(directory)
        self._disk = disk if disk is not None else Disk()
        self._number = 0
        self._next = 0  # which file is written next
        self._named: set[int] = set()  # those whose names are durable for sure
        self.damage: list[str] = []
        """What `read` found wrong, in sentences."""
        self._lock_fd = -1
        self._unusable = ""
        try:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            lock = os.path.join(self._directory, _LOCK)
            self._lock_fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(
                f"retain directory {self._directory} is in use by another runtime: give each its "
                "own (profile key retain.dir)"
            ) from None
        except OSError as error:
            self._unusable = f"the directory {self._directory} cannot be used: {error.strerror}"

    def close(self) -> None:
        """Release the directory. Idempotent."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def read(self) -> Kept:
        """The newest whole set; an empty one when there is none."""
        newest = NOTHING
        self.damage[:] = [self._unusable] * bool(self._unusable)
        self._number, self._next = 0, 0
        for place, name in enumerate(NAMES):
            path = os.path.join(self._directory, name)
            try:
                with open(path, "rb") as file:
                    number, kept = decode(file.read(_MOST_BYTES))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.damage.append(f"{path} cannot be read: {error.strerror}")
                continue
            except StoreError as error:
                self.damage.append(f"{path}: {error}; the set before counts")
                continue
            if number > self._number:
                self._number, self._next, newest = number, 1 - place, kept
        return newest

    def write(self, kept: Kept) -> None:
        """Make this the set that counts. StoreError: the one before counts still."""
        path = os.path.join(self._directory, NAMES[self._next])
        try:
            self._disk.overwrite(path, encode(kept, self._number + 1))
            if self._next not in self._named:
                self._disk.sync_directory(self._directory)
                self._named.add(self._next)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror or error}") from error
        self._number += 1
        self._next = 1 - self._next
