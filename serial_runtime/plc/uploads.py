# SPDX-License-Identifier: MIT
"""Uploads by offset: streams that survive whatever interrupts them.

A stream is a file named by digests, the MD5 of what it gives and its own SHA-256, which `open`
announces. It outlives the session that sends it and the process that takes it, and whoever
announces the same goes on where it ends: after an unplugged cable, in a new session, after a power
cut. What a power cut left of its end is not to be trusted: `open` tells the MD5 of what is here, so
that the client sees whether that is its own, and begins at 0 if not; and nothing is ever made of a
stream with another SHA-256.

Data reach the disk in the background, within seconds (`Disk.write_at`): a chunk waits for no disk.

The area is bounded in number and bytes; streams that nobody sends give way to a new one, the
oldest first, and go by themselves after some days. An owner (session) sends one at a time. Worker
thread only, but for `Decoding.run`.
"""

from __future__ import annotations

import errno
import os
import time

from serial_runtime.errors import BlobError, StoreError
from serial_runtime.plc.coding import (
    DIGEST_BYTES,
    PATCH,
    PLAIN,
    Decoding,
    UploadPlan,
    codings,
)
from serial_runtime.plc.digest import check_md5, md5
from serial_runtime.plc.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from serial_runtime.plc.blobs import Blobs
    from serial_runtime.plc.program_store import StoredProgram

MAX_STREAMS = 16
MAX_AGE_S = 7 * 86400.0
_BLOCK = 1 << 16
_NAME_CHARACTERS = 32 + 1 + 2 * DIGEST_BYTES


class _Upload:
    __slots__ = ("path", "plan", "size")

    def __init__(self, plan: UploadPlan, path: str, size: int) -> None:
        self.plan = plan
        self.path = path
        self.size = size  # bytes it has


class Uploads:
    """The streams in `directory`, which exists."""

    def __init__(
        self,
        directory: str,
        quota_bytes: int,
        blobs: Blobs,
        find_base: Callable[[str], StoredProgram],
        disk: Disk | None = None,
    ) -> None:
        """Remove what is no stream of ours, or stale.

        Finished files go to `blobs`; `find_base` finds the program that a patch is for.
        """
        self._directory = directory
        self._quota_bytes = quota_bytes
        self._blobs = blobs
        self._find_base = find_base
        self._disk = disk if disk is not None else Disk()
        self._open: dict[Hashable, _Upload] = {}
        oldest_s = time.time() - MAX_AGE_S
        for path, _, changed_s in self._streams():
            if changed_s < oldest_s or len(os.path.basename(path)) != _NAME_CHARACTERS:
                self._remove(path)

    def open(self, owner: Hashable, plan: UploadPlan) -> tuple[int, bytes]:
        """Begin or go on: how many bytes of the stream are here, and their MD5.

        It is taken from any other owner that was sending it. StoreError: another coding or
        another base may do. BlobError: nothing will, for want of room.
        """
        self._check(plan)
        if plan.coding == PATCH:
            self._find_base(plan.base)
        self._blobs.check_room(owner, bytes.fromhex(plan.md5), plan.size)
        path = os.path.join(self._directory, f"{plan.md5}-{plan.digest.hex()}")
        self._open.pop(owner, None)
        for other in [o for o, upload in self._open.items() if upload.path == path]:
            del self._open[other]
        self._make_room(path, plan.coded_size)
        try:
            size, held = _held(path)
            if not 0 < size <= plan.coded_size:
                self._disk.write_at(path, 0, b"")
                size, held = 0, md5().digest()
        except OSError as error:
            raise _cannot_store(error) from error
        self._open[owner] = _Upload(plan, path, size)
        return size, held

    def write(self, owner: Hashable, offset: int, data: bytes) -> None:
        """Put data into the stream this owner has opened; what it had from `offset` on is void.

        BlobError: none is open, a gap, too much, no room. It stays open.
        """
        upload = self._of(owner)
        if offset > upload.size:
            raise BlobError(f"the upload has {upload.size} bytes, a chunk came for {offset}")
        if offset + len(data) > upload.plan.coded_size:
            raise BlobError(f"the upload was announced with {upload.plan.coded_size} bytes")
        try:
            self._write(upload, offset, data)
        except OSError as error:
            raise _cannot_store(error) from error

    def begin(self, owner: Hashable) -> Decoding:
        """What makes the file of this owner's stream: run it, then call `end`.

        StoreError: the base is not here any more. BlobError: nothing is open, bytes are missing,
        no room.
        """
        upload = self._of(owner)
        plan = upload.plan
        if upload.size != plan.coded_size:
            raise BlobError(
                f"the upload has {upload.size} bytes of {plan.coded_size}: go on with it"
            )
        base = self._find_base(plan.base).path if plan.coding == PATCH else ""
        self._blobs.check_room(owner, bytes.fromhex(plan.md5), plan.size)
        try:
            return Decoding(plan, upload.path, base, self._blobs.new_path())
        except OSError as error:
            raise BlobError(f"the upload is lost: {error.strerror}; begin again") from error

    def end(self, owner: Hashable, decoding: Decoding) -> None:
        """Make the decoded file a blob of this owner, or raise what went wrong.

        The stream stays: a client that is interrupted before its program is installed need not
        send it again (see `used`). One that does not give its file is forgotten.
        """
        upload = self._open.get(owner)
        try:
            digest = decoding.result()
            if upload is None:  # such a blob would stay for ever
                raise BlobError("the upload was closed while it was decoded")
            self._blobs.adopt(owner, decoding.target, digest, decoding.plan.size)
        except StoreError as error:
            decoding.discard()
            if not isinstance(error, BlobError) and upload and upload.plan == decoding.plan:
                del self._open[owner]
                self._remove(upload.path)
            raise

    def close(self, owner: Hashable) -> None:
        """The owner is gone; what it sent stays for whoever goes on with it."""
        self._open.pop(owner, None)

    def used(self, blob_ids: Iterable[bytes]) -> None:
        """These files are installed: their streams are not needed any more."""
        done = {blob_id.hex() for blob_id in blob_ids}
        for owner in [o for o, upload in self._open.items() if upload.plan.md5 in done]:
            del self._open[owner]
        for path, _, _ in self._streams():
            if os.path.basename(path).partition("-")[0] in done:
                self._remove(path)

    # ---- inside ----------------------------------------------------------------------------

    def _of(self, owner: Hashable) -> _Upload:
        upload = self._open.get(owner)
        if upload is None:
            raise BlobError(
                "no upload is open here: another client has taken it over, or the board has "
                "restarted; open it again"
            )
        return upload

    def _check(self, plan: UploadPlan) -> None:
        check_md5(plan.md5)
        if len(plan.digest) != DIGEST_BYTES:
            raise StoreError(f"a digest of {len(plan.digest)} bytes: expected the SHA-256")
        if not codings() >> plan.coding & 1:
            why = "it has no zstandard" if plan.coding <= PATCH else "its runtime is older"
            raise StoreError(f"the board does not know the coding {plan.coding}: {why}")
        plain = plan.coding == PLAIN
        if plan.coded_size > plan.size or (plain and plan.coded_size != plan.size):
            raise StoreError(f"a stream of {plan.coded_size} bytes for a file of {plan.size}")
        if plan.size > self._quota_bytes:
            raise BlobError(
                f"the file has {plan.size} bytes, the upload area {self._quota_bytes // 1024} KiB "
                "for one client (profile key store.blob_quota_kib)"
            )

    def _make_room(self, path: str, size: int) -> None:
        """Remove idle streams, oldest first, until this one has room. BlobError."""
        taken = {upload.path: upload.plan.coded_size for upload in self._open.values()}
        idle = [s for s in self._streams() if s[0] not in taken and s[0] != path]
        while idle and (
            len(idle) + len(taken) >= MAX_STREAMS
            or sum(s[1] for s in idle) + sum(taken.values()) + size > self._quota_bytes
        ):
            self._remove(idle.pop(0)[0])
        if len(taken) >= MAX_STREAMS or sum(taken.values()) + size > self._quota_bytes:
            raise BlobError(
                "the upload area is full with the uploads of other clients: let them end "
                "(profile key store.blob_quota_kib)"
            )

    def _write(self, upload: _Upload, offset: int, data: bytes) -> None:
        end = offset + len(data)
        upload.size = min(upload.size, offset)  # if this fails, more may have been written
        try:
            self._disk.write_at(upload.path, offset, data)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            for path, _, _ in self._streams():  # a full disk: idle streams are the first to go
                if path not in {other.path for other in self._open.values()}:
                    self._remove(path)
            self._disk.write_at(upload.path, offset, data)
        upload.size = end

    def _streams(self) -> list[tuple[str, int, float]]:
        """Path, bytes and time of the last change of what is in the directory, oldest first."""
        try:
            with os.scandir(self._directory) as entries:
                found = [(e.path, e.stat().st_size, e.stat().st_mtime) for e in entries]
        except OSError:
            return []
        return sorted(found, key=lambda stream: stream[2])

    def _remove(self, path: str) -> None:
        try:
            self._disk.remove(path)
        except OSError:
            return  # it will be met again


def _held(path: str) -> tuple[int, bytes]:
    """Size and MD5 of a file, or of nothing when there is none. OSError."""
    digest, size = md5(), 0
    if os.path.exists(path):
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    return size, digest.digest()


def _cannot_store(error: OSError) -> BlobError:
    return BlobError(f"the upload cannot be stored: {error.strerror}; make room on the board")
