# SPDX-License-Identifier: MIT
"""A model of the PLC object as hypothesis runs it: any sequence of calls, faults and restarts.

The machine knows programs by name; a subclass says how their files and the board are made.
Names: good, other; fail-init (does not start); bad (refused before it disturbs); fail-load
(refused by the board itself, when the program before is stopped already; the real trial load finds
that before, too).
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from plc_scene import Scene, md5

from serial_runtime.errors import ImageError, ProgramFault, StateError, StoreError, TraceError
from serial_runtime.plc.answers import PlcStatus

EMPTY, STOPPED, STARTED, BROKEN = (
    PlcStatus.EMPTY,
    PlcStatus.STOPPED,
    PlcStatus.STARTED,
    PlcStatus.BROKEN,
)
GOOD = ("good", "other", "fail-init")
BIG = 60_000


class PlcMachine(RuleBasedStateMachine):
    """What a client, a faulty program and the mains can do to it."""

    can_crash = True
    real_trial = False

    def make_scene(self, directory: str) -> Scene:
        raise NotImplementedError

    def file_of(self, name: str) -> bytes:
        raise NotImplementedError

    def crash(self) -> None:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a place: syncing is not what is tested here.
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.scene = self.make_scene(self.folder)
        self.state = EMPTY
        self.tainted = False
        self.stored = ""  # name of the current program
        self.extra = b""
        self.pending = ""  # waits for the next process
        self.pending_extra = b""
        self.planned: bool | None = None  # a restart, and whether to start then
        self.forced: set[int] = set()
        self.token = 0
        self.tokens: list[int] = []
        self.warnings = 0

    def teardown(self) -> None:
        self.scene.end()
        shutil.rmtree(self.folder)

    # ---- commands --------------------------------------------------------------------------------

    @rule(name=st.sampled_from(GOOD), extra=st.binary(max_size=8))
    def load(self, name: str, extra: bytes) -> None:
        self.scene.load(self.file_of(name), extra=extra)
        self.forced.clear()
        self.token = 0
        if self.tainted:
            self.pending, self.pending_extra, self.planned = name, extra, False
        else:
            self.state, self.stored, self.extra = STOPPED, name, extra

    @rule()
    def load_what_is_refused_at_once(self) -> None:
        with pytest.raises(ImageError):
            self.scene.load(self.file_of("bad"))

    @rule()
    def load_with_a_wrong_md5(self) -> None:
        blob_id = self.scene.upload(self.file_of("good"))
        with pytest.raises(StoreError):
            self.scene.plc.new_plc("ide", md5(b"something else"), blob_id)

    @precondition(lambda self: not self.tainted)
    @rule()
    def load_what_the_board_refuses(self) -> None:
        with pytest.raises(ImageError):
            self.scene.load(self.file_of("fail-load"))
        if self.real_trial:
            return
        self.state = STOPPED if self.stored else EMPTY
        self.forced.clear()
        self.token = 0

    @rule()
    def start(self) -> None:
        if self.tainted:
            if self.stored or self.pending:
                self.scene.plc.start()
                self.planned = True
            else:
                self.refused(self.scene.plc.start)
        elif self.state is not STOPPED:
            self.refused(self.scene.plc.start)
        elif self.stored == "fail-init":
            with pytest.raises(ProgramFault):
                self.scene.plc.start()
        else:
            self.scene.plc.start()
            self.state = STARTED

    # Chance alone would seldom lead to a running program, where most of the trouble is.
    @precondition(lambda self: not self.tainted and self.state is not STARTED)
    @rule()
    def run(self) -> None:
        self.load("good", b"run")
        self.start()
        self.force(0, True)
        self.force(1, False)

    @rule()
    def stop(self) -> None:
        if self.state is STARTED:
            self.scene.plc.stop()
            self.state = STOPPED
            self.forced.clear()
        else:
            self.refused(self.scene.plc.stop)

    @rule()
    def repair(self) -> None:
        if self.state is STARTED:
            self.refused(self.scene.plc.repair)
            return
        self.scene.plc.repair()
        self.stored = self.pending = ""
        if self.tainted:
            self.planned = False
        else:
            self.state = EMPTY
            self.token = 0
            self.forced.clear()

    def refused(self, call: object) -> None:
        before = self.scene.plc.status()[1][1]
        with pytest.raises(StateError):
            call()  # type: ignore[operator]
        assert self.scene.plc.status()[1][1] == before + 1, "a refusal is logged as a warning"

    # ---- watching --------------------------------------------------------------------------------

    @precondition(lambda self: self.state in (STOPPED, STARTED))
    @rule(index=st.integers(0, 3), trace=st.booleans())
    def force(self, index: int, trace: bool) -> None:
        value = (1000 + index).to_bytes(4, "little")
        if trace:  # service 1 replaces all forces, and traces
            self.token = self.scene.plc.set_trace_list([(index, value)])
            assert self.token > 0
            self.tokens.append(self.token)
            self.forced = {index}
        else:
            self.scene.plc.force_variables({index: value})
            self.forced.add(index)

    @precondition(lambda self: self.forced)
    @rule()
    def release(self) -> None:
        if self.tainted:
            with pytest.raises(StateError):
                self.scene.plc.release_forces()
            return
        self.scene.plc.release_forces()
        self.forced.clear()

    @rule()
    def suspend(self) -> None:
        assert self.scene.plc.set_trace_list([]) == -5
        if not self.tainted:
            self.token = 0

    @rule()
    def fetch_with_stale_tokens(self) -> None:
        for token in self.tokens:
            if token != self.token:
                assert self.scene.plc.get_traces(token, BIG) == (BROKEN, [])
                with pytest.raises(TraceError):
                    self.scene.plc.read_trace(token, 0, BIG)

    # ---- what happens to it ----------------------------------------------------------------------

    @precondition(lambda self: self.can_crash and not self.tainted)
    @rule()
    def program_crashes(self) -> None:
        if self.state is not STARTED:
            self.run()
        self.crash()
        self.state, self.tainted = BROKEN, True

    @precondition(lambda self: self.planned is not None)
    @rule()
    def re_execute(self) -> None:
        start = self.planned
        self.scene.re_execute()
        self.in_a_new_process(bool(start))

    @rule(start=st.booleans())
    def power_cycle(self, start: bool) -> None:
        self.scene.end()
        self.scene.begin()
        self.scene.plc.autoload(start)
        self.in_a_new_process(start)

    def in_a_new_process(self, start: bool) -> None:
        if self.pending:
            self.stored, self.extra = self.pending, self.pending_extra
        self.pending, self.planned, self.tainted = "", None, False
        self.forced.clear()
        self.token, self.tokens = 0, []
        self.state = STOPPED if self.stored else EMPTY
        if start and self.stored and self.stored != "fail-init":
            self.state = STARTED

    # ---- what holds always -----------------------------------------------------------------------

    @invariant()
    def answers_agree_with_the_model(self) -> None:
        plc = self.scene.plc
        assert plc.status()[0] is self.state
        newest = self.pending or self.stored
        for name in GOOD:
            assert plc.match_md5(md5(self.file_of(name))) == (name == newest)
        assert set(plc.forced()[1]) == self.forced
        assert (plc.restart is not None) == (self.planned is not None)
        if plc.restart is not None:
            assert plc.restart.start == self.planned
        if self.token:
            assert plc.get_traces(self.token, BIG)[0] is self.state

    @invariant()
    def the_store_holds_the_newest_program_whole(self) -> None:
        if not (self.pending or self.stored):
            assert self.scene.store.empty
            return
        newest = self.scene.store.newest()
        assert Path(newest.path).read_bytes() == self.file_of(self.pending or self.stored)
        extra = Path(newest.files_directory) / "extra"
        assert extra.read_bytes() == (self.pending_extra if self.pending else self.extra)

    @invariant()
    def nothing_is_left_lying_about(self) -> None:
        run = list((Path(self.folder) / "run").iterdir())
        assert len(run) <= 1
