# SPDX-License-Identifier: MIT
"""A PLC object on a fake board, in one "process" after another on the same store directory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any

from fake_board import FakeBoard, words_of
from tiny_elf import Wrong, tiny_image

from serial_runtime.board import Board
from serial_runtime.errors import ImageError
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.plc_object import PLC
from serial_runtime.plc.program_store import ProgramStore
from serial_runtime.worker import Worker

CHUNK = 4095  # as the IDE


def image(name: str, *words: str, wrong: Wrong | None = None) -> bytes:
    """A program file that is unlike any other with another name or words."""
    return tiny_image(b"\n" + " ".join((name, *words)).encode(), wrong)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def status(scene: Scene) -> PlcStatus:
    return scene.plc.status()[0]


def trial(path: str) -> None:
    """Stands for the child process: tells its verdict by the words in the file."""
    if "fail-trial" in words_of(path):
        raise ImageError("the program crashes while it is loaded (SIGSEGV)")


class Scene:
    """Everything a daemon makes, less the link."""

    def __init__(self, directory: str, *, max_program_bytes: int = 1 << 20) -> None:
        self._directory = directory
        self._max_program_bytes = max_program_bytes
        self.begin()
        self.plc.autoload(False)

    def make_board(self) -> Board:
        """The board of a new process."""
        self.board = FakeBoard()
        return self.board.as_board()

    trial = staticmethod(trial)
    options: Mapping[str, Any] = MappingProxyType({})  # of the PLC object

    def begin(self) -> None:
        """A new process."""
        self.worker = Worker()
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()
        self.store = ProgramStore(self._directory, max_program_bytes=self._max_program_bytes)
        self.plc = PLC(
            self.make_board(),
            self.store,
            self.worker,
            version="1",
            blob_quota_bytes=1 << 18,
            trace_buffer_bytes=1 << 16,
            trial=self.trial,
            **self.options,
        )

    def end(self) -> None:
        """The process ends in good order."""
        self.plc.close()
        self.stop_worker()

    def kill(self) -> None:
        """The process dies: nobody closes anything, but the kernel ends the lock on the store."""
        self.store.close()
        self.stop_worker()

    def stop_worker(self) -> None:
        self.worker.stop()
        self._thread.join()

    def re_execute(self) -> None:
        """What the daemon does after the reply when `restart` is set."""
        plan = self.plc.restart
        assert plan is not None
        self.end()
        self.begin()
        self.plc.autoload(plan.start)

    def upload(self, data: bytes, seed: bytes = b"", owner: Hashable = "ide") -> bytes:
        blob_id = self.plc.seed_blob(owner, seed or md5(data).encode())
        for position in range(0, len(data), CHUNK):
            blob_id = self.plc.append_chunk(owner, data[position : position + CHUNK], blob_id)
        return blob_id

    def load(self, data: bytes, **extra: bytes) -> None:
        """Upload and NewPLC; the keywords are extra files."""
        blob_id = self.upload(data)
        files = [(name, self.upload(content, name.encode())) for name, content in extra.items()]
        self.plc.new_plc("ide", md5(data), blob_id, files)

    def log_texts(self, level: int) -> list[str]:
        count = self.plc.status()[1][level]
        return [self.plc.log_message(level, number).text for number in range(count)]
