# SPDX-License-Identifier: MIT
"""Brings programs from the store into the board and out again. Worker thread only, but `prepare`.

A new program disturbs the present one only after its signature (where the policy asks for one), its
digest, ELF header and a trial load in a child process were right. If the board refuses it then, the
one before stays loaded, stopped. The program that is loaded already (same MD5) is never closed and
opened again: some platforms do not survive that, and a start resets its variables anyway.
"""

from __future__ import annotations

import contextlib

from serial_runtime.board import BoardState
from serial_runtime.errors import (
    ImageError,
    NewProcessNeeded,
    ProgramFault,
    SerialRuntimeError,
    StoreError,
)
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc import elf
from serial_runtime.plc.answers import ProgramInfo
from serial_runtime.plc.log import CRITICAL, INFO, WARNING, Log
from serial_runtime.plc.program_store import StoredProgram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serial_runtime.board import Board, Image
    from serial_runtime.plc.extensions import Extensions
    from serial_runtime.plc.program_store import ProgramStore
    from serial_runtime.plc.retain import Retain
    from serial_runtime.plc.watch import Watch


class Prepared(NamedTuple):
    """A program that was verified and stored, and can be loaded."""

    program: StoredProgram
    path: str  # of the copy to load, "" for the program that is loaded already


class Loader:
    """The program in the board, and where it came from."""

    def __init__(
        self,
        board: Board,
        store: ProgramStore,
        watch: Watch,
        log: Log,
        trial: Callable[[str], None],
        extensions: Extensions,
        retain: Retain,
        keys_path: str = "",
    ) -> None:
        """`keys_path`: a program must be signed with one of these keys, see ``signature``."""
        self._board = board
        self._store = store
        self._watch = watch
        self._log = log
        self._trial = trial
        self._keys_path = keys_path
        self._extensions = extensions
        self._retain = retain
        self._run_path = ""
        self._before: tuple[Image, StoredProgram, str] | None = None  # a change is on trial
        self.image: Image | None = None
        self.loaded: StoredProgram | None = None
        self.broken = ""  # why the stored program could not be loaded, else ""

    def prepare(
        self, md5: str, program: str, files: Sequence[tuple[str, str]], same: bool
    ) -> Prepared:
        """Verify and store a new program and its extra files (name, source), for `install`.

        `same`: it `is_loaded`. Any thread, but one at a time. Takes as long as the disk and the
        trial load do; the present program runs on, and is untouched by StoreError, ImageError.
        """
        if self._keys_path:
            from serial_runtime.plc.signature import check

            check(program, files, self._keys_path)
        candidate = self._store.prepare(program, md5, files, None if same else self._check)
        return Prepared(candidate, "" if same else self._store.copy_to_run(candidate))

    def is_loaded(self, md5: str) -> bool:
        """Whether this very program is in the board, unharmed."""
        return self.loaded is not None and self.loaded.md5 == md5 and not self._board.tainted

    @property
    def table(self) -> int:
        """Which variable table indices mean: the beginning of the program's digest; 0: none."""
        return int(self.loaded.md5[:8], 16) if self.loaded is not None else 0

    def info(self) -> ProgramInfo:
        """What is loaded, or at least stored."""
        image, stored = self.image, self.loaded
        if image is not None and stored is not None:
            return ProgramInfo(
                True,
                stored.md5,
                image.name,
                image.build_id,
                len(image.variables),
                self.table,
                image.tasks,
            )
        try:
            md5 = "" if self._store.empty else self._store.newest().md5
        except StoreError:
            md5 = ""
        return ProgramInfo(False, md5, "", "", 0, 0, ())

    def install(self, prepared: Prepared) -> bool:
        """Load what was prepared.

        False: only another process can (this one is tainted, or keeps something of an earlier
        image); the program is stored for it to load. ImageError, StoreError: the program before
        is loaded as it was, but stopped.
        """
        candidate, path = prepared
        self.halt()
        if self._board.tainted:  # long ago, or while this program was verified
            if path:
                self._store.drop_from_run(path)
            self._store.leave_pending(candidate)
            return False
        try:
            if path:
                self._switch(candidate, path)
            else:
                self._watch.forget(tainted=False)
                self._store.commit(candidate)
                self._extensions.unload()
                self._present(candidate)
        except NewProcessNeeded:
            self._store.leave_pending(candidate)
            return False
        return True

    def load_stored(self) -> bool:
        """Load what an earlier process left pending, else the current program, if there is any.

        True unless a pending program was there and failed. `broken` says why when none loads.
        """
        ordered = True
        if self._store.has_pending:
            try:
                candidate = self._store.take_pending()
                self._check_signature(candidate)
                self._switch(candidate, self._store.copy_to_run(candidate))
            except SerialRuntimeError as error:
                self._log.add(CRITICAL, f"the new program cannot be loaded: {error}")
                ordered = False
        if self.image is None and not self.broken:
            self._load_current()
        return ordered

    def forget_retained(self) -> None:
        """The program's retain variables begin at their initial values at its next start."""
        if self.image is not None and self.loaded is not None:
            self._retain.forget(self.image, self.loaded.md5)

    def start(self) -> None:
        """Run the stopped program. ProgramFault when its init refuses."""
        image, stored = self.image, self.loaded
        assert image is not None
        assert stored is not None
        retained = self._retain.values_for(image, stored.md5)
        self._board.start(retained)
        self._retain.follow(image, stored.md5, retained, at_once=False)
        self._extensions.start()
        self._log.add(INFO, f"program {image.name} started")
        if not self._board.real_time:
            self._log.add(WARNING, self._board.scheduling)

    def ended(self) -> None:
        """The program does not run any more, however that came."""
        self._extensions.stop()
        self._retain.stopped()

    def halt(self) -> None:
        """Stop the program if it runs, and release its forces."""
        if self._board.state == BoardState.RUNNING:
            try:
                self._board.stop()
            except ProgramFault:  # at the last moment, or in its fini: it does not run any more
                if not self._board.tainted:
                    raise
            finally:
                self.ended()
        if self._board.tainted:
            self._watch.forget(tainted=True)
        elif self.image is not None:
            self._watch.release()

    def unload(self) -> None:
        """Take the stopped program out of the board, if there is one."""
        if self.image is None:
            return
        with contextlib.suppress(NewProcessNeeded):  # its code may stay, nothing is loaded now
            self._extensions.unload()
        self._watch.forget(tainted=False)
        self._board.unload()
        self.image = None
        self.loaded = None
        self._store.drop_from_run(self._run_path)
        self._run_path = ""

    # An online change, which OnlineChange has the board make.

    def change_to(self, prepared: Prepared, image: Image) -> None:
        """The board runs this program on trial; the present one stays what is stored."""
        assert self.image is not None
        assert self.loaded is not None
        self._before = self.image, self.loaded, self._run_path
        self.image, self._run_path = image, prepared.path
        self._begin_anew(prepared.program, running=True)

    def change_back(self, *, running: bool) -> None:
        """The board has the program from before the change again."""
        assert self._before is not None
        self.image, program, self._run_path = self._before
        self._before = None
        self._begin_anew(program, running=running)

    def keep_change(self, prepared: Prepared) -> None:
        """The program on trial is the stored one from now on."""
        assert self._before is not None
        _, _, path = self._before
        self._before = None
        self._store.drop_from_run(path)
        try:
            self._store.commit(prepared.program)
        except SerialRuntimeError as error:
            self._log.add(
                CRITICAL, f"the program runs, but the next start takes the one before it: {error}"
            )

    def discard(self, prepared: Prepared) -> None:
        """Of a prepared program that is not loaded nothing stays."""
        self._store.drop_from_run(prepared.path)
        self._store.discard(prepared.program)

    def present_again(self) -> None:
        """A change of the running program was refused at the last moment."""
        assert self.loaded is not None
        self._begin_anew(self.loaded, running=self._board.state == BoardState.RUNNING)

    def _begin_anew(self, program: StoredProgram, *, running: bool) -> None:
        """What means variables by their places, means those of another table now."""
        self._extensions.stop()
        with contextlib.suppress(NewProcessNeeded):  # a native program's is in another process
            self._extensions.unload()
        self._present(program)
        if running:
            self._extensions.start()
            assert self.image is not None
            self._retain.follow(self.image, program.md5, at_once=False)

    def _check_signature(self, stored: StoredProgram) -> None:
        if self._keys_path:
            from serial_runtime.plc.signature import check_stored

            check_stored(stored, self._keys_path)

    def _check(self, path: str) -> None:
        elf.check_file(path)
        self._trial(path)

    def _switch(self, candidate: StoredProgram, path: str) -> None:
        """Load a prepared program in place of the present one, which stays when that fails."""
        if self.image is not None:
            self._watch.forget(tainted=False)
        try:
            self._load(candidate, path)
        except NewProcessNeeded:
            raise
        except SerialRuntimeError:
            self._store.discard(candidate)
            raise
        try:
            self._store.commit(candidate)
        except SerialRuntimeError:  # the disk: what is stored shall be what is loaded
            self.unload()
            self._store.discard(candidate)
            self._load_current()
            raise
        self.broken = ""

    def _load(self, program: StoredProgram, path: str) -> None:
        try:
            self._extensions.unload()  # the image they use may be gone after the next line
            # One it refuses leaves the present one loaded.
            self.image = self._board.load(path, program.md5)
        except SerialRuntimeError as error:
            self._store.drop_from_run(path)
            if self.loaded is not None and not isinstance(error, NewProcessNeeded):
                self._present(self.loaded)
            raise
        if self._run_path:
            self._store.drop_from_run(self._run_path)
        self._run_path = path
        self._present(program)

    def _present(self, program: StoredProgram) -> None:
        """The image in the board is this program: its name, and what else came with it."""
        self.loaded = program
        self._name_variables()
        assert self.image is not None
        self._extensions.load(program, self.image, self._run_path)

    def _name_variables(self) -> None:
        """An object of the Beremiz IDE, if the names came with it."""
        image, program = self.image, self.loaded
        if image is None or program is None or not image.beremiz:
            return
        from serial_runtime.plc.variable_names import FILE, named

        if FILE in program.files:
            try:
                self.image = named(image, f"{program.files_directory}/{FILE}")
            except ImageError as error:
                self._log.add(WARNING, f"variables have no names: {error}")

    def _load_current(self) -> None:
        if self._store.empty:
            return
        try:
            program = self._store.current()
            self._check_signature(program)
            elf.check_file(program.path)
            self._load(program, self._store.copy_to_run(program))
            self.broken = ""
        except SerialRuntimeError as error:
            self.broken = f"the stored program cannot be loaded: {error}"
            self._log.add(CRITICAL, self.broken)
