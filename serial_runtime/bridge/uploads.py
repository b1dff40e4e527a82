# SPDX-License-Identifier: MIT
"""Uploads end on the bridge's disk; a finished one goes over the line as our client sends it.

So chunks of any size are cut anew for the line, an upload that breaks off costs no line time, and
one client cannot disturb another's. Any thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

from serial_runtime.errors import LinkError, OutcomeUnknown, StateError, StoreError
from serial_runtime.plc.blobs import Blobs
from serial_runtime.plc.coding import UploadPlan
from serial_runtime.plc.program_store import StoredProgram
from serial_runtime.plc.uploads import Uploads as Streams
from serial_runtime.rpc.client import Client

QUOTA_BYTES = 32 << 20  # of one client
_TELL_S = 2.0
_ATTEMPTS = 3


class Uploads:
    """The clients' blobs, and their way to the board."""

    def __init__(self, say: Callable[[str], object]) -> None:
        """`say` is told the progress of a download."""
        self._say = say
        self._told_s = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="serial-runtime-bridge-")
        blobs, streams = (os.path.join(self._folder.name, name) for name in ("blobs", "streams"))
        os.mkdir(blobs)
        os.mkdir(streams)
        self._blobs = Blobs(blobs, QUOTA_BYTES)
        self._streams = Streams(streams, QUOTA_BYTES, self._blobs, _no_base)
        self._lock = threading.Lock()  # protects both
        self._sending = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the blobs are."""
        return Path(self._folder.name, "blobs")

    def close(self) -> None:
        """Remove what is there."""
        self._folder.cleanup()

    def seed(self, owner: Hashable, seed: bytes) -> bytes:
        """Begin a blob. BlobError."""
        with self._lock:
            return self._blobs.seed(owner, seed)

    def append(self, owner: Hashable, data: bytes, blob_id: bytes) -> bytes:
        """Add to a blob. BlobError."""
        with self._lock:
            return self._blobs.append(owner, data, blob_id)

    def purge(self, owner: Hashable) -> None:
        """Forget an owner's blobs."""
        with self._lock:
            self._blobs.purge(owner)

    def owner_closed(self, owner: Hashable) -> None:
        """The owner is gone."""
        with self._lock:
            self._blobs.purge(owner)
            self._streams.close(owner)

    def open(self, owner: Hashable, plan: UploadPlan) -> tuple[int, bytes]:
        """Begin an upload by offset: see ``plc.uploads``."""
        with self._lock:
            return self._streams.open(owner, plan)

    def write(self, owner: Hashable, offset: int, data: bytes) -> None:
        """Bytes of it. BlobError."""
        with self._lock:
            self._streams.write(owner, offset, data)

    def finish(self, owner: Hashable) -> None:
        """Make it a blob. BlobError, StoreError."""
        with self._lock:
            decoding = self._streams.begin(owner)
        decoding.run()
        with self._lock:
            self._streams.end(owner, decoding)

    def discard(self, owner: Hashable, blob_ids: Sequence[bytes]) -> None:
        """Forget blobs that are used up."""
        with self._lock:
            self._blobs.discard(owner, blob_ids)
            self._streams.used(blob_ids)

    def take(
        self, owner: Hashable, md5: str, blob_id: bytes, extra_files: Sequence[tuple[str, bytes]]
    ) -> tuple[bytes, list[tuple[str, bytes]]]:
        """The program and the files (name, content) that these blobs are. BlobError, StoreError."""
        image = self._content(owner, blob_id)
        if hashlib.md5(image, usedforsecurity=False).hexdigest() != md5:
            raise StoreError(f"the uploaded program has not the digest {md5}; upload it again")
        return image, [(name, self._content(owner, one)) for name, one in extra_files]

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """One download at a time. StateError while there is another."""
        if not self._sending.acquire(blocking=False):
            raise StateError("another client is downloading a program now; try again after it")
        try:
            yield
        finally:
            self._sending.release()

    def send(
        self, client: Client, image: bytes, md5: str, files: Sequence[tuple[str, bytes]]
    ) -> None:
        """Download, while `sending`; takes the time of the line. LinkError, and what the board
        refuses."""
        self._say(f"downloading a program of {len(image)} bytes")
        began_s = self._told_s = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                sent = client.download(image, md5, files, self._progress)
                break
            except OutcomeUnknown:
                raise
            except LinkError as error:
                if attempt == _ATTEMPTS:
                    raise
                self._say(f"the download was interrupted and goes on: {error}")
        self._say(
            f"downloaded in {time.monotonic() - began_s:.1f} s: {sent.bytes_sent} bytes were sent "
            f"({sent.coding})"
        )

    def _progress(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            self._say(f"downloading: {done} of {total} bytes")

    def _content(self, owner: Hashable, blob_id: bytes) -> bytes:
        with self._lock:
            path = self._blobs.path(owner, blob_id)
            try:
                return Path(path).read_bytes()
            except OSError as error:
                raise StoreError(f"an upload is lost: {error.strerror}") from error


def _no_base(md5: str) -> StoredProgram:
    raise StoreError("the bridge takes no patches: it has no program to apply them to")
