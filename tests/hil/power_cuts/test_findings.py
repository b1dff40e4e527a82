# SPDX-License-Identifier: MIT
"""What is found in a store after a power cut, and what of that may not be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hil.power_cuts.findings import COUNTERS, Allowed, Generation, judge, look
from hil.power_cuts.promises import Story
from hil.power_cuts.write_log import SECTOR
from serial_runtime.plc import identity
from serial_runtime.plc.crashes import Crashes
from serial_runtime.plc.program_store import ProgramStore
from serial_runtime.plc.retain_file import Kept, Key, RetainFiles

OLD, NEW = Generation(1, b"the old program" * 99), Generation(2, b"the new program" * 99)
BOTH = {one.md5: one for one in (OLD, NEW)}
UDINT = 7


def install(directory: Path, generation: Generation) -> None:
    store = ProgramStore(str(directory))
    program, extra = directory / "spool" / "program", directory / "spool" / "extra"
    program.write_bytes(generation.image)
    [(name, data)] = generation.files
    extra.write_bytes(data)
    store.commit(store.prepare(str(program), generation.md5, [(name, str(extra))]))
    store.close()


def retain(directory: Path, *counts: int) -> None:
    files = RetainFiles(str(directory))
    files.read()
    values = {
        Key(f"{COUNTERS}{place:03}", UDINT, 0): count.to_bytes(4, "little")
        for place, count in enumerate(counts)
    }
    files.write(Kept(1, 0, values))
    files.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    install(tmp_path / "plc", OLD)
    retain(tmp_path / "plc", 7, 7, 7)
    identity.load_or_create(str(tmp_path / "plc"), "board")
    return tmp_path / "plc"


def wrong(store: Path, allowed: Allowed) -> str:
    return "; ".join(judge(look(store, BOTH), allowed))


def test_a_sound_store(store: Path) -> None:
    found = look(store, BOTH)
    assert (found.program, found.count) == (OLD.md5, 7)
    assert found.secret
    both = frozenset((OLD.md5, NEW.md5))
    assert judge(found, Allowed(both, 7, found.identity)) == []
    assert wrong(store.parent / "none", Allowed(frozenset(("",)))) == ""


def test_another_program_than_was_promised(store: Path) -> None:
    assert "expected one of" in wrong(store, Allowed(frozenset((NEW.md5,))))
    install(store, NEW)
    assert wrong(store, Allowed(frozenset((NEW.md5,)))) == ""


def test_a_program_with_the_bytes_or_files_of_another(store: Path) -> None:
    allowed = Allowed(frozenset((OLD.md5,)))
    slot = store / "slot-a"
    (slot / "files" / "generation.csv").write_bytes(b"2\n")
    assert "extra files are not those" in wrong(store, allowed)
    (slot / "program").write_bytes(NEW.image)
    assert "is not that of generation 1" in wrong(store, allowed)
    (slot / "meta.json").write_bytes(b"")
    assert "damaged" in wrong(store, allowed)
    (store / "current").write_bytes(b"")
    assert "damaged" in wrong(store, allowed)


def test_retained_values_that_are_too_old_or_of_two_cycles(store: Path) -> None:
    programs = frozenset((OLD.md5,))
    assert "is 7, 8 was acknowledged" in wrong(store, Allowed(programs, 8))
    retain(store, 8, 9, 9)
    assert "different cycles: [8, 9]" in wrong(store, Allowed(programs, 7))


def test_a_cut_write_of_retained_values_is_no_trouble(store: Path) -> None:
    retain(store, 9, 9, 9)
    newest = max((store / "retain-a", store / "retain-b"), key=os.path.getmtime)
    newest.write_bytes(newest.read_bytes()[:-9])
    assert wrong(store, Allowed(frozenset((OLD.md5,)), 7)) == ""


def test_another_identity_or_a_crash_that_was_none(store: Path) -> None:
    programs = frozenset((OLD.md5,))
    assert "the identity is" in wrong(store, Allowed(programs, 0, "another"))
    row = Crashes(str(store), boot_id="one boot")
    row.begins()
    assert wrong(store, Allowed(programs)) == ""
    row.faulted("it divided by zero")
    assert "a crash is counted: it divided by zero" in wrong(store, Allowed(programs))


def test_a_story_tells_what_held_when(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(10 * SECTOR))
    story = Story(log)
    story.note("download", programs={"", "new"})
    log.write_bytes(bytes(20 * SECTOR))
    story.note("downloaded", programs={"new"}, least_count=5)
    story.note("stopped", least_count=3)
    assert story.before(10 * SECTOR).step == "first start"
    assert story.before(20 * SECTOR).allowed == Allowed(frozenset(("", "new")))
    assert story.before(21 * SECTOR).allowed == Allowed(frozenset(("new",)), 5)
