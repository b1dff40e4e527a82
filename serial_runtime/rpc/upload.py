# SPDX-License-Identifier: MIT
"""The client's side of a download: blobs in pipelined chunks, then NewPLC.

A blob is named by the running MD5 of its seed and its data, so the client knows each next name
before the board tells it, and several chunks can be under way. The board's names are compared
all the same. The calls are ordered: a chunk that is lost is the only one to be sent again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from struct import pack

from erpc import Reference

from serial_runtime.errors import BlobError, CallRefused, OutcomeUnknown, StoreError
from serial_runtime.protocol.client_session import Request
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import ExtraFile
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.link import Link

_STOCK_CHUNK = 4095  # what the IDE sends
_ATTEMPTS = 3
_OVERHEAD = 80  # of a chunk's request, beside the data: envelope, lengths, blob id


class Upload:
    """One download of a program and its extra files."""

    def __init__(
        self,
        link: Link,
        ide: BeremizPLCObjectServiceClient,
        progress: Callable[[int, int], None],
        max_program: int = 0,
    ) -> None:
        """`max_program`: bytes of the longest program the board takes, 0 when it does not tell."""
        self._link = link
        self._ide = ide
        self._progress = progress
        self._max_program = max_program
        self._done = 0
        self._total = 0

    def run(self, image: bytes, md5: str, extra_files: Sequence[tuple[str, bytes]]) -> None:
        """Send everything and install it; begin again when the board has restarted meanwhile."""
        if 0 < self._max_program < len(image):
            raise StoreError(
                f"the program has {len(image)} bytes, this board takes {self._max_program} "
                "(profile keys store.max_program_kib, store.blob_quota_kib)"
            )
        md5 = md5 or _md5(image).hexdigest()
        for attempt in range(_ATTEMPTS):
            boot = self._link.boot
            try:
                self._attempt(image, md5, extra_files)
                return
            except (BlobError, OutcomeUnknown) as error:
                # The answer to NewPLC was lost with the board's process: see what is installed.
                if isinstance(error, OutcomeUnknown) and self._installed(md5) and not extra_files:
                    return
                # Blobs do not outlive the board's process, nor a session it forgot.
                if self._link.boot == boot or attempt + 1 == _ATTEMPTS:
                    raise

    def _attempt(self, image: bytes, md5: str, extra_files: Sequence[tuple[str, bytes]]) -> None:
        self._done, self._total = 0, len(image) + sum(len(data) for _, data in extra_files)
        self._progress(0, self._total)
        program = self._blob(md5.encode(), image)
        extra = [
            ExtraFile(name, self._blob(f"{name} {_md5(data).hexdigest()}".encode(), data))
            for name, data in extra_files
        ]
        success = Reference()
        value = self._ide.NewPLC(md5, program, extra, success)
        if value or not success.value:
            raise CallRefused("NewPLC was refused; the log of the runtime may tell why")

    def _installed(self, md5: str) -> bool:
        match = Reference()
        return self._ide.MatchMD5(md5, match) == 0 and bool(match.value)

    def _chunk(self) -> int:
        if not self._link.ours:
            return _STOCK_CHUNK
        return min(self._link.chunk, self._link.session.hello.max_frame - _OVERHEAD)

    def _blob(self, seed: bytes, data: bytes) -> bytes:
        """Upload one blob; returns its id."""
        reference = Reference()
        digest = _md5(seed)
        self._ide.SeedBlob(seed, reference)  # and know the session's limits, if it is the first
        chunk = self._chunk()
        _compare(reference.value, digest.digest())
        flying: deque[tuple[Request, bytes, int]] = deque()
        try:
            for at in range(0, len(data), chunk):
                while len(flying) >= self._link.session.hello.window:
                    self._land(flying)
                part = data[at : at + chunk]
                before = digest.digest()
                digest.update(part)
                arguments = b"".join((pack("<I", len(part)), part, pack("<I", len(before)), before))
                request = self._link.submit(
                    Ide.SERVICE_ID, Ide.APPENDCHUNKTOBLOB_ID, arguments, ordered=True
                )
                flying.append((request, digest.digest(), len(part)))
            while flying:
                self._land(flying)
        finally:
            self._link.drop([request for request, _, _ in flying])
        return digest.digest()

    def _land(self, flying: deque[tuple[Request, bytes, int]]) -> None:
        request, expected, size = flying[0]
        outputs = self._link.wait(request)
        flying.popleft()
        _compare(outputs[4:-4], expected)
        self._done += size
        self._progress(self._done, self._total)


def _md5(data: bytes) -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _compare(found: bytes, expected: bytes) -> None:
    if not found:
        raise BlobError("the board refused the upload; its log may tell why")
    if found != expected:
        raise StoreError("the board received other data than was sent; nothing was installed")
