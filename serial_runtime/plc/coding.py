# SPDX-License-Identifier: MIT
"""From the stream that was uploaded back to the file it stands for.

    coding   the stream
    PLAIN    the file
    ZSTD     one Zstandard frame that holds the file
    PATCH    one Zstandard frame that holds records: i32 seek, u32 summed, u32 added, then
             `summed` bytes and `added` bytes

A record moves the place in the base by `seek`, then continues the file with `summed` bytes, each
the sum (modulo 256) of its own byte and the next one of the base, then with the `added` ones as
they are. A variable more moves all addresses behind it by the same distance, so the sums repeat and
compress well, where copying (a patch of zstd itself) must send every one of them: measured on a
program of 168 kB, a variable added 20 x against 12 x, a statement edited 75 x against 14 x. The
records are those of bsdiff, one after the other so that they apply as they are decompressed.

Memory is bounded whatever a stream says: the window of a frame, two blocks, and never more output
than the plan announced. The decompressor, the package zstandard, is imported when a stream needs
it; a board without it takes plain streams only, and says so (`codings`).

`Decoding.run` may run on any thread: it touches nothing but its own open files and its target.
"""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from struct import Struct

from serial_runtime.errors import BlobError, SerialRuntimeError, StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.digest import md5

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from serial_runtime.plc.digest import Digest

    class _Reader(Protocol):
        def read(self, size: int, /) -> bytes: ...


PLAIN, ZSTD, PATCH = 0, 1, 2
MAX_WINDOW = 1 << 22  # bytes of memory that a frame may ask for
DIGEST_BYTES = 32
RECORD = Struct("<iII")
_BLOCK = 1 << 15
_LOW, _HIGH = (int.from_bytes(bytes([bits]) * _BLOCK, "little") for bits in (0x7F, 0x80))


class UploadPlan(NamedTuple):
    """What an upload announces; see board.erpc."""

    md5: str
    size: int
    coding: int
    base: str
    digest: bytes
    coded_size: int


def codings() -> int:
    """The codings that can be decoded here, a bit for each; does not import the decompressor."""
    from importlib.machinery import PathFinder

    if PathFinder.find_spec("zstandard") is None:
        return 1 << PLAIN
    return 1 << PLAIN | 1 << ZSTD | 1 << PATCH


class Decoding:
    """A stream that is complete, to be decoded into a file of its own."""

    def __init__(self, plan: UploadPlan, stream: str, base: str, target: str) -> None:
        """Open `stream`, and `base` if it is not "": from now on they may be removed. OSError.

        `target` is the path of a file that does not exist.
        """
        self.plan = plan
        self.target = target
        self._failure: SerialRuntimeError | None = None
        self._digest: Digest | None = None
        with contextlib.ExitStack() as files:
            self._stream = files.enter_context(FileIO(stream))
            self._base = files.enter_context(FileIO(base)) if base else self._stream
            self._files = files.pop_all()

    def run(self) -> None:
        """Make the target, which holds then exactly what the plan says. Any thread, once."""
        try:
            self._check_stream()
            self._digest = self._decode()
        except SerialRuntimeError as error:
            self._failure = error
        except OSError as error:
            self._failure = BlobError(f"the upload cannot be stored: {error.strerror}")
        finally:
            self._files.close()

    def result(self) -> Digest:
        """The MD5 of the target, once it has run.

        StoreError: the stream, or what becomes of it, is not what was announced. BlobError: no
        room.
        """
        if self._failure is not None:
            raise self._failure
        assert self._digest is not None
        return self._digest

    def discard(self) -> None:
        """Remove the target."""
        with contextlib.suppress(OSError):  # at the latest the next start does it
            os.unlink(self.target)

    def _decode(self) -> Digest:
        plan, digest, size = self.plan, md5(), 0
        with open(self.target, "xb", buffering=0) as file:
            for block in self._blocks():
                size += len(block)
                if size > plan.size:
                    raise StoreError(f"the upload gives more than {plan.size} bytes")
                digest.update(block)
                _write(file, block)
        if digest.hexdigest() != plan.md5 or size != plan.size:
            raise StoreError(
                f"the upload gives {size} bytes with the MD5 {digest.hexdigest()}, announced were "
                f"{plan.size} with {plan.md5}: upload the file whole"
            )
        return digest

    def _check_stream(self) -> None:
        from serial_runtime.plc.digest import sha256

        digest = sha256()
        while block := self._stream.read(_BLOCK):
            digest.update(block)
        if digest.digest() != self.plan.digest:
            raise StoreError("the upload was damaged where it was kept: send it again")
        self._stream.seek(0)

    def _blocks(self) -> Iterator[bytes]:
        if self.plan.coding == PLAIN:
            while block := self._stream.read(_BLOCK):
                yield block
            return
        try:
            import zstandard
        except ImportError as error:
            raise StoreError(
                f"this board cannot decompress ({error}): upload the file as it is"
            ) from error
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        try:
            with decompressor.stream_reader(self._stream, read_size=_BLOCK) as reader:
                if self.plan.coding == PATCH:
                    yield from self._patched(reader)
                else:
                    while block := reader.read(_BLOCK):
                        yield block
        except (zstandard.ZstdError, MemoryError) as error:
            raise StoreError(f"the upload cannot be decompressed: {error}") from error

    def _patched(self, reader: _Reader) -> Iterator[bytes]:
        place = 0
        while head := reader.read(RECORD.size):
            head += _exactly(reader, RECORD.size - len(head))
            seek, summed, added = RECORD.unpack(head)
            if summed + added == 0:
                raise StoreError("the patch holds an empty record")  # could be endless
            place += seek
            for size in _sizes(summed):
                old = os.pread(self._base.fileno(), size, place) if place >= 0 else b""
                if len(old) != size:
                    raise StoreError("the patch reaches beyond its base: upload the file whole")
                place += size
                yield _sums(_exactly(reader, size), old)
            for size in _sizes(added):
                yield _exactly(reader, size)


def _sizes(total: int) -> Iterator[int]:
    """Cut a length into blocks."""
    while total > 0:
        yield min(total, _BLOCK)
        total -= _BLOCK


def _exactly(reader: _Reader, size: int) -> bytes:
    data = reader.read(size) if size else b""
    while len(data) < size:
        more = reader.read(size - len(data))
        if not more:
            raise StoreError("the patch ends within a record")
        data += more
    return data


def _sums(first: bytes, second: bytes) -> bytes:
    """Bytewise sums modulo 256, by the arithmetic of long integers: a loop takes 30 times longer.

    The lower seven bits of each byte are added, which carries nothing into the next one; the
    eighth is their carry and the exclusive or of the two.
    """
    if first.count(0) == len(first):
        return second
    one, two = int.from_bytes(first, "little"), int.from_bytes(second, "little")
    total = (one & _LOW) + (two & _LOW) ^ (one ^ two) & _HIGH
    return total.to_bytes(len(first), "little")


def _write(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
