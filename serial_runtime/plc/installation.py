# SPDX-License-Identifier: MIT
"""A new program made of uploads, for a load or an online change: one at a time.

What waits for the disk and the trial load is done on the calling thread: the worker goes on
serving. Meanwhile the uploads cannot change.
"""

from __future__ import annotations

from serial_runtime.errors import BlobError, SerialRuntimeError, StateError, WorkerStopped
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.log import WARNING
from serial_runtime.plc.program_store import check_names
from serial_runtime.worker import serialized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import TypeVar

    from serial_runtime.plc.blobs import Blobs
    from serial_runtime.plc.loader import Loader, Prepared
    from serial_runtime.plc.uploads import Uploads
    from serial_runtime.worker import Worker

    T = TypeVar("T")


class Uploaded(NamedTuple):
    """The uploads that are a program and its extra files (name, blob id)."""

    md5: str
    blob_id: bytes
    extra_files: Sequence[tuple[str, bytes]] = ()

    @property
    def blob_ids(self) -> list[bytes]:
        """Of all of them."""
        return [self.blob_id, *(file_id for _, file_id in self.extra_files)]


class Installation:
    """Of one PLC. Any thread, but for what says worker."""

    def __init__(
        self,
        worker: Worker,
        blobs: Blobs,
        uploads: Uploads,
        loader: Loader,
        look: Callable[[], None],
        make_way: Callable[[], None],
        note: Callable[[int, str], None],
    ) -> None:
        """`look`, `make_way`: called on the worker before; the latter may refuse. `note` logs."""
        self.worker = worker
        self._blobs = blobs
        self._uploads = uploads
        self._loader = loader
        self._look = look
        self._make_way = make_way
        self._note = note
        self._claimed: frozenset[tuple[Hashable, bytes]] = frozenset()  # owners and ids

    def run(
        self,
        owner: Hashable,
        uploaded: Uploaded,
        work: Callable[[Prepared], T],
        *,
        another: bool = False,
    ) -> T:
        """Store the program and give it to `work`; returns what that returns.

        The uploads are used up on success only; a refusal (StoreError, BlobError, ImageError, that
        of `work`) is logged. StateError: another program is being installed, or, if it must be
        `another`, this one is loaded.
        """
        program, files, same = self._claim(owner, uploaded)
        try:
            if same and another:
                raise StateError("this very program is loaded: there is nothing to change")
            done = work(self._loader.prepare(uploaded.md5, program, files, same))
            self._use_up(owner, uploaded)
            return done
        except WorkerStopped:
            raise
        except SerialRuntimeError as error:
            self.refuse(error)
            raise
        finally:
            self._claimed = frozenset()

    @serialized
    def refuse(self, error: SerialRuntimeError) -> None:
        """Log why a new program is not taken."""
        self._note(WARNING, f"new program refused: {error}")

    @property
    def under_way(self) -> bool:
        """A program is being installed. Worker."""
        return bool(self._claimed)

    def require_unclaimed(self, owner: Hashable, blob_id: bytes) -> None:
        """BlobError while this upload is being installed. Worker."""
        if (owner, blob_id) in self._claimed:
            raise BlobError("the upload is being installed: it cannot change now")

    @serialized
    def _claim(
        self, owner: Hashable, uploaded: Uploaded
    ) -> tuple[str, list[tuple[str, str]], bool]:
        """The paths of the uploads, and whether the program is loaded already."""
        self._look()
        try:
            if self._claimed:
                raise StateError("another program is being loaded: try again when that is done")
            self._make_way()
            check_names([name for name, _ in uploaded.extra_files])
            program = self._blobs.path(owner, uploaded.blob_id)
            files = [
                (name, self._blobs.path(owner, file_id)) for name, file_id in uploaded.extra_files
            ]
        except SerialRuntimeError as error:
            self.refuse(error)
            raise
        self._claimed = frozenset((owner, blob_id) for blob_id in uploaded.blob_ids)
        return program, files, self._loader.is_loaded(uploaded.md5)

    @serialized
    def _use_up(self, owner: Hashable, uploaded: Uploaded) -> None:
        self._blobs.discard(owner, uploaded.blob_ids)
        self._uploads.used(uploaded.blob_ids)
