# SPDX-License-Identifier: MIT
"""Where programs live: two slots on disk, one of them current.

    lock                 held while a runtime uses the directory
    current              "a" or "b"; absent: no program
    pending              the slot to try first at the next start; absent: none
    slot-a/, slot-b/     program (the image, byte for byte), files/ (extra files), meta.json
    run/                 copies that were dlopened; spool/: uploads of this process
    uploads/             streams that a later process goes on with (``uploads``)
    crashes, running     see ``crashes``

A new program is written whole and durable into the slot that is not current; then `current` is
replaced by a rename. So power loss at any instant leaves the old program or the new one, whole,
and a slot that is being written is never the one a start looks at.

`pending` is for a process that must not load anything any more (tainted by a fault): the next
process takes the slot, tries it, and commits or drops it. Taking removes the mark first, so a
program that brings the runtime down is tried once.

Every load gets a copy with a name and an inode never used before in this process: the loader
takes a library for loaded already when either is the same, and one with unique symbols is never
unmapped. So extra names of the slot's file would not do.

Worker thread only. While `prepare` and `copy_to_run` run on another thread, the worker may read
the store, and changes nothing in it.
"""

from __future__ import annotations

import fcntl
import os

from serial_runtime.errors import StoreError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.digest import check_md5, file_md5
from serial_runtime.plc.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SLOTS = ("a", "b")
_FORMAT = 1  # of meta.json


class StoredProgram(NamedTuple):
    """A whole program in a slot."""

    slot: str
    md5: str
    files: tuple[str, ...]  # names of the extra files
    path: str
    files_directory: str


class ProgramStore:
    """One directory, used by one process at a time."""

    def __init__(
        self, directory: str, *, max_program_bytes: int = 16 << 20, disk: Disk | None = None
    ) -> None:
        """Open or make the store and remove what an earlier process left half done. StoreError."""
        self.directory = os.path.abspath(directory)
        self._disk = disk if disk is not None else Disk()
        self._max_program_bytes = max_program_bytes
        self._loads = 0
        self._lock_fd = -1
        self.spool_directory = self._path("spool")
        self.uploads_directory = self._path("uploads")
        try:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            self._lock()
            self._clean()
        except OSError as error:
            self.close()
            raise StoreError(f"program store {self.directory}: {_reason(error)}") from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Release the directory. Idempotent."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    @property
    def empty(self) -> bool:
        """True when no program is stored, neither current nor pending."""
        return not any(os.path.exists(self._path(name)) for name in ("current", "pending"))

    def current(self) -> StoredProgram:
        """The program of the current slot. StoreError: none, or damaged."""
        if not os.path.exists(self._path("current")):
            raise StoreError("no program is stored: load one first")
        return self._read_slot(self._read_mark("current"))

    def newest(self) -> StoredProgram:
        """The pending program if there is one, else the current one. StoreError."""
        if os.path.exists(self._path("pending")):
            return self._read_slot(self._read_mark("pending"))
        return self.current()

    def find(self, md5: str) -> StoredProgram:
        """The stored program with this digest, pending or current. StoreError: there is none."""
        for stored in (self.newest, self.current):
            program = stored()
            if program.md5 == md5:
                return program
        raise StoreError(f"the program {md5} is not on the board any more: upload the file whole")

    def prepare(
        self,
        program: str,
        md5: str,
        files: Sequence[tuple[str, str]],
        check: Callable[[str], None] | None = None,
    ) -> StoredProgram:
        """Write a program, durable, into the slot that is not current.

        `program` and the files (name, source) are files of this file system; they are not
        consumed. Names, size and digest are verified and `check(program)` is called before
        anything in the store changes; `current` never changes here. StoreError, or what `check`
        raises.
        """
        check_md5(md5)
        check_names([name for name, _ in files])
        try:
            size = os.stat(program).st_size
            if size > self._max_program_bytes:
                raise StoreError(
                    f"the program has {size} bytes, this board takes {self._max_program_bytes} "
                    "(profile key store.max_program_kib)"
                )
            if file_md5(program) != md5:
                raise StoreError(
                    "the program does not have the MD5 that was announced: upload it again"
                )
        except OSError as error:
            raise StoreError(f"the program cannot be read: {_reason(error)}") from error
        if check is not None:
            check(program)
        slot = self._spare_slot()
        try:
            self._unmark("pending")
            self._fill(slot, program, md5, files)
            return self._read_slot(slot)
        except OSError as error:
            self._empty_slot(slot)
            raise StoreError(f"the program cannot be stored: {_reason(error)}") from error

    def commit(self, program: StoredProgram) -> None:
        """Make a prepared program the current one, atomically and durable. StoreError."""
        try:
            self._mark("current", program.slot)
            self._unmark("pending")
        except OSError as error:
            raise StoreError(f"the program cannot be switched: {_reason(error)}") from error

    def leave_pending(self, program: StoredProgram) -> None:
        """Let the next process try a prepared program. StoreError."""
        try:
            self._mark("pending", program.slot)
        except OSError as error:
            raise StoreError(f"the program cannot be stored: {_reason(error)}") from error

    @property
    def has_pending(self) -> bool:
        """True when an earlier process left a program to try."""
        return os.path.exists(self._path("pending"))

    def take_pending(self) -> StoredProgram:
        """The pending program, no longer marked: to be committed or discarded. StoreError."""
        try:
            slot = self._read_mark("pending")
            self._unmark("pending")
        except OSError as error:
            raise StoreError(f"the program cannot be read: {_reason(error)}") from error
        return self._read_slot(slot)

    def discard(self, program: StoredProgram) -> None:
        """Drop a prepared program that did not load. The current one is never dropped."""
        if program.slot == self._spare_slot():
            self._empty_slot(program.slot)

    def erase(self) -> None:
        """Delete every program and extra file. StoreError."""
        try:
            self._unmark("pending")
            self._unmark("current")
            for slot in _SLOTS:
                self._disk.remove_tree(self._path(f"slot-{slot}"))
        except OSError as error:
            raise StoreError(f"the program cannot be removed: {_reason(error)}") from error

    def copy_to_run(self, program: StoredProgram) -> str:
        """A copy of the image under a path never used before, to be dlopened. StoreError.

        The content is checked against the MD5 once more: a damaged disk must not be executed.
        """
        self._loads += 1
        path = self._path("run", f"{os.getpid()}-{self._loads}-{program.md5}.so")
        try:
            self._disk.copy(program.path, path)
            if file_md5(path) != program.md5:
                self._disk.remove(path)
                raise StoreError("the stored program is damaged (MD5): load it again, or repair")
        except OSError as error:
            raise StoreError(f"the program cannot be loaded: {_reason(error)}") from error
        return path

    def drop_from_run(self, path: str) -> None:
        """Remove a copy that is not loaded any more."""
        try:
            self._disk.remove(path)
        except OSError:
            return  # the next start empties the directory

    # ---- inside ----------------------------------------------------------------------------

    def _path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    def _lock(self) -> None:
        self._lock_fd = os.open(self._path("lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"program store {self.directory} is in use by another runtime: give each its "
                "own directory (--dir)"
            ) from None

    def _clean(self) -> None:
        for name in ("run", "spool"):
            self._disk.remove_tree(self._path(name))
            self._disk.make_directory(self._path(name))
        self._disk.make_directory(self.uploads_directory)
        for name in ("current", "pending"):
            self._disk.remove(self._path(name + ".new"))
        wanted = []
        for name in ("current", "pending"):
            if os.path.exists(self._path(name)):
                try:
                    wanted.append(self._read_mark(name))
                except StoreError:
                    return  # a damaged mark is told at the load; delete nothing
        if len(wanted) == 2 and wanted[0] == wanted[1]:
            self._unmark("pending")  # committed, and then the power went
        for slot in _SLOTS:
            if slot not in wanted:
                self._disk.remove_tree(self._path(f"slot-{slot}"))

    def _spare_slot(self) -> str:
        try:
            return "b" if self._read_mark("current") == "a" else "a"
        except (OSError, StoreError):
            return "a"

    def _fill(self, slot: str, program: str, md5: str, files: Sequence[tuple[str, str]]) -> None:
        import json

        directory = self._path(f"slot-{slot}")
        extra = os.path.join(directory, "files")
        self._disk.remove_tree(directory)
        self._disk.make_directory(directory)
        self._disk.make_directory(extra)
        for name, source in files:
            self._disk.take(source, os.path.join(extra, name))
        self._disk.take(program, os.path.join(directory, "program"))
        meta = {"format": _FORMAT, "md5": md5, "files": [name for name, _ in files]}
        self._disk.write(os.path.join(directory, "meta.json"), json.dumps(meta).encode())
        for path in (extra, directory, self.directory):
            self._disk.sync_directory(path)

    def _empty_slot(self, slot: str) -> None:
        try:
            self._disk.remove_tree(self._path(f"slot-{slot}"))
        except OSError:
            return  # the next prepare or start empties it

    def _mark(self, name: str, slot: str) -> None:
        path = self._path(name)
        self._disk.remove(path + ".new")
        self._disk.write(path + ".new", slot.encode())
        self._disk.replace(path + ".new", path)
        self._disk.sync_directory(self.directory)

    def _unmark(self, name: str) -> None:
        if os.path.exists(self._path(name)):
            self._disk.remove(self._path(name))
            self._disk.sync_directory(self.directory)

    def _read_mark(self, name: str) -> str:
        with open(self._path(name), "rb") as file:
            slot = file.read(16).decode("ascii", "replace").strip()
        if slot not in _SLOTS:
            raise StoreError(f"the program store is damaged ({name} holds {slot!r}): repair it")
        return slot

    def _read_slot(self, slot: str) -> StoredProgram:
        import json

        directory = self._path(f"slot-{slot}")
        try:
            with open(os.path.join(directory, "meta.json"), "rb") as file:
                meta = json.loads(file.read(1 << 20))
            if meta["format"] != _FORMAT:
                raise StoreError("the stored program was written by another version: load it again")
            md5, files = check_md5(meta["md5"]), tuple(meta["files"])
            check_names(files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the stored program is damaged ({error!r}): load it again") from error
        path = os.path.join(directory, "program")
        extra = os.path.join(directory, "files")
        for needed in (path, *(os.path.join(extra, name) for name in files)):
            if not os.path.isfile(needed):
                raise StoreError(
                    f"the stored program is damaged ({os.path.basename(needed)} is missing): "
                    "load it again"
                )
        return StoredProgram(slot, md5, files, path, extra)


def check_names(names: Sequence[str]) -> None:
    """Refuse names of extra files that are no plain file names, or repeat. StoreError."""
    seen = set()
    for name in names:
        if not isinstance(name, str):
            raise StoreError(f"{name!r} is not a file name")
        if name in ("", ".", ".."):
            raise StoreError(f"{name!r} is not a name for an extra file")
        if any(bad in name for bad in "\0/\\"):
            raise StoreError(f"{name[:80]!r}: a name may hold no slash, backslash or NUL")
        try:
            length = len(name.encode())
        except UnicodeEncodeError:
            raise StoreError(f"{name[:80]!r} cannot be written as UTF-8") from None
        if length > 255:
            raise StoreError(f"{name[:40]!r}... has {length} bytes, a name has at most 255")
        if name in seen:
            raise StoreError(f"the name {name!r} is given to two extra files")
        seen.add(name)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
