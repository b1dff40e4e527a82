# SPDX-License-Identifier: MIT
"""The client's side of a download: files in chunks, then NewPLC.

To a board of ours a file goes by offset (service 2): in the smallest of the streams of
``encoding``, in the next one when the board refuses that, and from where it was broken off. Several
chunks are under way; their calls are ordered, so one that is lost is the only one to be sent again.

To a stock server it goes as it is, by service 1. A blob is named there by the running MD5 of its
seed and its data, so each answer tells whether both ends agree.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from itertools import starmap
from struct import Struct

from serial_runtime.errors import BlobError, CallRefused, OutcomeUnknown, StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.coding import PLAIN
from serial_runtime.protocol.client_session import Request
from serial_runtime.rpc.board.client import BoardServiceClient
from serial_runtime.rpc.board.common import UploadPlan
from serial_runtime.rpc.board.interface import IBoardService as Board
from serial_runtime.rpc.encoding import NAMES, Encoded, encodings
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import ExtraFile
from serial_runtime.rpc.link import Link
from serial_runtime.rpc.stub_api import Reference

_STOCK_CHUNK = 4095  # what the IDE sends
_ATTEMPTS = 5
_SLOW_BPS = 150_000.0  # below, the best compression takes less time than it saves
_HEAD = Struct("<II")  # of WriteUpload's arguments: offset, length
_OVERHEAD = 32  # of a chunk's request, beside the data: envelope, offset, length


class Sent(NamedTuple):
    """What a download took."""

    bytes_sent: int  # of the streams, in all chunks
    coding: str  # of the program: "as it is", "compressed" or "patch"
    bytes_kept: int = 0  # of the streams, that the board had from a download that was broken off


class Target(NamedTuple):
    """What is to be known of the board."""

    max_program: int = 0  # bytes of the longest program, 0 when it does not tell
    codings: int = 1  # it can decode, a bit for each
    base: bytes = b""  # the program it has, if that is known


Install = Callable[[str, bytes, Sequence[tuple[str, bytes]]], object]
"""What is done with uploads: MD5, id of the program's blob, names and ids of the extra files."""


class Upload:
    """One download of a program and its extra files."""

    def __init__(
        self,
        link: Link,
        ide: BeremizPLCObjectServiceClient,
        board: BoardServiceClient,
        progress: Callable[[int, int], None],
        target: Target,
        install: Install | None = None,
    ) -> None:
        """`install`: in place of NewPLC."""
        self._link = link
        self._ide = ide
        self._board = board
        self._progress = progress
        self._target = target
        self._install = install or self._new_plc
        self._encoded: dict[bytes, list[Encoded]] = {}  # by the file
        self._done = 0  # bytes of the files that are complete
        self._total = 0
        self._sent = 0
        self._kept = 0
        self._coding = ""

    def run(self, image: bytes, md5: str, extra_files: Sequence[tuple[str, bytes]]) -> Sent:
        """Send everything and install it; go on, or begin again, when the board has restarted."""
        if 0 < self._target.max_program < len(image):
            raise StoreError(
                f"the program has {len(image)} bytes, this board takes {self._target.max_program} "
                "(profile keys store.max_program_kib, store.blob_quota_kib)"
            )
        md5 = md5 or _md5(image).hexdigest()
        for attempt in range(_ATTEMPTS):
            boot = self._link.boot
            try:
                self._attempt(image, md5, extra_files)
                break
            except (BlobError, OutcomeUnknown) as error:
                # The answer to NewPLC was lost with the board's process: see what is installed.
                if isinstance(error, OutcomeUnknown) and self._installed(md5) and not extra_files:
                    break
                # Blobs do not outlive the board's process, nor a session it forgot.
                if self._link.boot == boot or attempt + 1 == _ATTEMPTS:
                    raise
        return Sent(self._sent, self._coding, self._kept)

    def _attempt(self, image: bytes, md5: str, extra_files: Sequence[tuple[str, bytes]]) -> None:
        self._done, self._total = 0, len(image) + sum(len(data) for _, data in extra_files)
        self._progress(0, self._total)
        extra = [(name, self._file(data, seed=name)) for name, data in extra_files]
        self._install(md5, self._file(image, self._target.base, seed=md5), extra)

    def _new_plc(self, md5: str, program: bytes, extra: Sequence[tuple[str, bytes]]) -> None:
        success = Reference()
        value = self._ide.NewPLC(md5, program, list(starmap(ExtraFile, extra)), success)
        if value or not success.value:
            raise CallRefused("NewPLC was refused; the log of the runtime may tell why")

    def _installed(self, md5: str) -> bool:
        match = Reference()
        return self._ide.MatchMD5(md5, match) == 0 and bool(match.value)

    def _file(self, data: bytes, base: bytes = b"", *, seed: str) -> bytes:
        """Upload one file; returns the id of its blob."""
        if not self._link.ours:
            return self._blob(seed.encode(), data)
        blob_id = _md5(data).digest()
        if blob_id not in self._encoded:
            rate_Bps = self._link.transport.line_rate_Bps
            slow_line = rate_Bps is not None and rate_Bps < _SLOW_BPS
            self._encoded[blob_id] = encodings(
                data, base, self._target.codings, slow_line=slow_line
            )
        choice = self._encoded[blob_id]
        while True:
            try:
                self._send(choice[0], blob_id.hex(), len(data))
                break
            except BlobError:
                raise
            except StoreError:  # it has another program by now, or cannot decode
                if len(choice) == 1:
                    raise
                del choice[0]
        self._coding = NAMES[choice[0].coding]
        self._done += len(data)
        return blob_id

    # By offset.

    def _send(self, encoded: Encoded, md5: str, size: int) -> None:
        """Upload a stream, and once more if it was damaged on the board."""
        coding, base, digest, stream = encoded
        plan = UploadPlan(md5, size, coding, base, digest, len(stream))
        self._transfer(plan, stream)
        try:
            self._board.FinishUpload()
        except BlobError:
            raise
        except StoreError:
            self._transfer(plan, stream)
            self._board.FinishUpload()

    def _transfer(self, plan: UploadPlan, stream: bytes) -> None:
        reference, held = Reference(), Reference()
        self._board.OpenUpload(plan, reference, held)
        offset = reference.value
        if offset > len(stream) or _md5(stream[:offset]).digest() != held.value:
            offset = 0  # the end of it went with a power cut
        if offset:
            if not self._sent:
                self._kept += offset
            self._progress(self._done + plan.size * offset // len(stream), self._total)
        # And where in the stream it ends. Three wait for the line, no more: each is as long as the
        # line's loss suggests when it is cut.
        flying: deque[tuple[Request, int]] = deque()
        most = max(2, self._link.session.hello.window // 2)

        def land() -> None:
            request, end = flying[0]
            self._link.wait(request)
            flying.popleft()
            self._sent += len(request.arguments) - _HEAD.size
            self._progress(self._done + plan.size * end // len(stream), self._total)

        try:
            while offset < len(stream):
                while len(flying) >= most or (len(flying) >= 3 and not flying[-3][0].transmissions):
                    land()
                part = stream[offset : offset + self._chunk()]
                arguments = _HEAD.pack(offset, len(part)) + part
                request = self._link.submit(
                    Board.SERVICE_ID, Board.WRITEUPLOAD_ID, arguments, ordered=True, bulk=True
                )
                offset += len(part)
                flying.append((request, offset))
            while flying:
                land()
        finally:
            lost = [request for request, _ in flying]
            self._sent += sum(len(r.arguments) - _HEAD.size for r in lost if r.transmissions)
            self._link.drop(lost)

    def _chunk(self) -> int:
        return min(self._link.chunk, self._link.session.hello.max_frame - _OVERHEAD)

    # By service 1.

    def _blob(self, seed: bytes, data: bytes) -> bytes:
        """Upload one blob; returns its id."""
        digest, blob_id = _md5(seed), Reference()
        self._ide.SeedBlob(seed, blob_id)
        _compare(blob_id.value, digest.digest())
        for at in range(0, len(data), _STOCK_CHUNK):
            part = data[at : at + _STOCK_CHUNK]
            self._ide.AppendChunkToBlob(part, blob_id.value, blob_id)
            digest.update(part)
            _compare(blob_id.value, digest.digest())
            self._sent += len(part)
            self._progress(self._done + at + len(part), self._total)
        self._done += len(data)
        self._coding = NAMES[PLAIN]
        return digest.digest()


def _md5(data: bytes) -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _compare(found: bytes, expected: bytes) -> None:
    if not found:
        raise BlobError("the server refused the upload; its log may tell why")
    if found != expected:
        raise StoreError("the server received other data than was sent; nothing was installed")
