# SPDX-License-Identifier: MIT
"""Uploads in progress: named by running MD5, kept per owner, spooled to files.

A blob's id is the MD5 of its seed and all data so far, so a client sees after each chunk whether
board and host agree. An append that is repeated with the previous id and the same data (the
reply was lost) answers with the same new id and changes nothing.

Owners are connections or sessions: one client cannot see, use up or purge another's blobs.
Worker thread only.
"""

from __future__ import annotations

import os

from serial_runtime.errors import BlobError
from serial_runtime.plc.digest import md5

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from serial_runtime.plc.digest import Digest

MAX_BLOBS = 256  # of one owner: a program and its extra files
MAX_OWNERS_FACTOR = 4  # all owners together: so many times the quota of one


class _Blob:
    __slots__ = ("digest", "path", "previous_id", "previous_size", "size")

    def __init__(self, path: str, digest: Digest, size: int = 0) -> None:
        self.path = path
        self.digest = digest
        self.size = size
        self.previous_id = b""
        self.previous_size = 0


class Blobs:
    """The upload area in `directory`, which exists and is empty."""

    def __init__(self, directory: str, quota_bytes: int, quota_count: int = MAX_BLOBS) -> None:
        self._directory = directory
        self._quota_bytes = quota_bytes
        self._quota_count = quota_count
        self._owners: dict[Hashable, dict[bytes, _Blob]] = {}
        self._serial = 0

    def seed(self, owner: Hashable, seed: bytes) -> bytes:
        """Begin a blob; an unfinished one with the same id begins again. BlobError: quota, disk."""
        blobs = self._owners.get(owner, {})
        blob = _Blob(self.new_path(), md5(seed))
        blob_id = blob.digest.digest()
        self._check_count(blobs, blob_id)
        try:
            os.close(os.open(blob.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_WRONLY, 0o644))
        except OSError as error:
            raise BlobError(f"the upload cannot be stored: {error.strerror}") from error
        self._put(self._owners.setdefault(owner, blobs), blob_id, blob)
        return blob_id

    def append(self, owner: Hashable, data: bytes, blob_id: bytes) -> bytes:
        """Add data to the blob with this id and return its new id. BlobError: unknown, quota."""
        blobs = self._owners.get(owner, {})
        blob = blobs.get(blob_id)
        if blob is None:
            return self._repeated(blobs, data, blob_id)
        self._check_bytes(blobs, len(data))
        try:
            fd = os.open(blob.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                done = 0
                while done < len(data):  # a failed append leaves bytes that the next overwrites
                    done += os.pwrite(fd, data[done:], blob.size + done)
            finally:
                os.close(fd)
        except OSError as error:
            raise BlobError(f"the upload cannot be stored: {error.strerror}") from error
        blob.digest.update(data)
        new_id = blob.digest.digest()
        if new_id != blob_id:  # no data: the same blob still
            blob.previous_id, blob.previous_size = blob_id, blob.size
            blob.size += len(data)
            del blobs[blob_id]
            self._put(blobs, new_id, blob)
        return new_id

    def new_path(self) -> str:
        """Where to make a file that `adopt` takes."""
        self._serial += 1
        return os.path.join(self._directory, f"blob-{self._serial}")

    def check_room(self, owner: Hashable, blob_id: bytes, size: int) -> None:
        """BlobError when this owner could not `adopt` such a file."""
        blobs = self._owners.get(owner, {})
        self._check_count(blobs, blob_id)
        self._check_bytes(blobs, size - (blobs[blob_id].size if blob_id in blobs else 0))

    def adopt(self, owner: Hashable, path: str, digest: Digest, size: int) -> None:
        """Make a finished file a blob without a seed: its id is the MD5 `digest` of `size` bytes.

        BlobError: quota; the file stays the caller's.
        """
        blob_id = digest.digest()
        self.check_room(owner, blob_id, size)
        self._put(self._owners.setdefault(owner, {}), blob_id, _Blob(path, digest, size))

    def path(self, owner: Hashable, blob_id: bytes) -> str:
        """The file of a blob, holding exactly its data. BlobError when there is no such blob."""
        blob = self._owners.get(owner, {}).get(blob_id)
        if blob is None:
            raise _unknown(blob_id)
        try:
            if os.stat(blob.path).st_size != blob.size:  # the rest of a failed append
                os.truncate(blob.path, blob.size)
        except OSError as error:
            raise BlobError(f"the upload is lost: {error.strerror}") from error
        return blob.path

    def discard(self, owner: Hashable, blob_ids: Iterable[bytes]) -> None:
        """Forget blobs that are used up; unknown ids are ignored."""
        blobs = self._owners.get(owner, {})
        for blob_id in blob_ids:
            blob = blobs.pop(blob_id, None)
            if blob is not None:
                _remove(blob.path)

    def purge(self, owner: Hashable) -> None:
        """Forget all blobs of one owner, and the owner."""
        for blob in self._owners.pop(owner, {}).values():
            _remove(blob.path)

    def _check_count(self, blobs: dict[bytes, _Blob], blob_id: bytes) -> None:
        if blob_id in blobs:
            return
        if len(blobs) >= self._quota_count:
            raise BlobError(
                f"{self._quota_count} uploads are open: purge them, or finish one with NewPLC"
            )
        everybody = sum(map(len, self._owners.values()))
        if everybody >= self._quota_count * MAX_OWNERS_FACTOR:
            raise BlobError("the upload area is full with the uploads of other clients")

    def _check_bytes(self, blobs: dict[bytes, _Blob], more: int) -> None:
        if self._bytes(blobs) + more > self._quota_bytes:
            raise BlobError(
                f"the upload area is full: {self._quota_bytes // 1024} KiB for one client "
                "(profile key store.blob_quota_kib)"
            )
        everybody = sum(map(self._bytes, self._owners.values()))
        if everybody + more > self._quota_bytes * MAX_OWNERS_FACTOR:
            raise BlobError("the upload area is full with the uploads of other clients")

    def _put(self, blobs: dict[bytes, _Blob], blob_id: bytes, blob: _Blob) -> None:
        old = blobs.get(blob_id)
        if old is not None:  # the same content by another way
            _remove(old.path)
        blobs[blob_id] = blob

    @staticmethod
    def _bytes(blobs: dict[bytes, _Blob]) -> int:
        return sum(blob.size for blob in blobs.values())

    @staticmethod
    def _repeated(blobs: dict[bytes, _Blob], data: bytes, blob_id: bytes) -> bytes:
        for new_id, blob in blobs.items():
            if blob.previous_id == blob_id and blob.size - blob.previous_size == len(data):
                with open(blob.path, "rb", buffering=0) as file:
                    if os.pread(file.fileno(), len(data), blob.previous_size) == data:
                        return new_id
        raise _unknown(blob_id)


def _unknown(blob_id: bytes) -> BlobError:
    return BlobError(
        f"no upload has the id {blob_id.hex() or '(empty)'}: it was purged, or a chunk was lost; "
        "begin again with SeedBlob"
    )


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # at the latest the next start empties the directory
