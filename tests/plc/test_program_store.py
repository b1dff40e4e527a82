# SPDX-License-Identifier: MIT
"""The program store: whole programs, refused names, and power cuts after every operation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from failing_disk import FailingDisk, PowerCut
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import ImageError, StoreError
from serial_runtime.plc.disk import Disk
from serial_runtime.plc.program_store import ProgramStore, StoredProgram, check_names

OLD, NEW = b"the old program" * 100, b"the new program!" * 120
EXTRA = {"table.csv": b"1;2;3", "runtime_00.py": b"x = 1"}


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def prepare(
    store: ProgramStore,
    data: bytes,
    extra: dict[str, bytes],
    check: Callable[[str], None] | None = None,
) -> StoredProgram:
    spool = Path(store.spool_directory)
    (spool / "program").unlink(missing_ok=True)
    (spool / "program").write_bytes(data)
    files = []
    for number, (name, content) in enumerate(extra.items()):
        (spool / f"extra-{number}").unlink(missing_ok=True)
        (spool / f"extra-{number}").write_bytes(content)
        files.append((name, str(spool / f"extra-{number}")))
    return store.prepare(str(spool / "program"), md5(data), files, check)


def install(store: ProgramStore, data: bytes, extra: dict[str, bytes]) -> StoredProgram:
    program = prepare(store, data, extra)
    store.commit(program)
    return program


def holds(program: StoredProgram) -> tuple[bytes, dict[str, bytes]]:
    """What is on disk; also that nothing else is."""
    files = {path.name: path.read_bytes() for path in Path(program.files_directory).iterdir()}
    assert set(files) == set(program.files)
    data = Path(program.path).read_bytes()
    assert md5(data) == program.md5
    return data, files


def test_a_program_is_stored_byte_for_byte_and_found_again(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path / "s"))
    assert store.empty
    with pytest.raises(StoreError, match="no program"):
        store.current()
    install(store, OLD, EXTRA)
    store.close()
    again = ProgramStore(str(tmp_path / "s"))
    assert not again.empty
    assert holds(again.current()) == (OLD, EXTRA)
    assert again.newest() == again.current()
    again.close()


def test_a_new_store_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ProgramStore(str(tmp_path / "plc")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "plc").stat().st_mode & 0o777 == 0o700


def test_preparing_changes_nothing_until_the_commit(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    install(store, OLD, EXTRA)
    candidate = prepare(store, NEW, {})
    assert holds(store.current()) == (OLD, EXTRA)
    store.discard(candidate)
    assert holds(store.current()) == (OLD, EXTRA)
    store.commit(prepare(store, NEW, {}))
    assert holds(store.current()) == (NEW, {})
    store.discard(store.current())  # never drops what is current
    assert holds(store.current()) == (NEW, {})


def test_the_spooled_files_are_not_consumed(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    install(store, OLD, EXTRA)
    assert (Path(store.spool_directory) / "program").read_bytes() == OLD


def test_the_check_comes_after_the_digest_and_before_any_change(tmp_path: Path) -> None:
    store, seen = ProgramStore(str(tmp_path)), []
    install(store, OLD, {})
    before = sorted(str(path) for path in tmp_path.rglob("*") if "spool" not in str(path))

    def refuse(path: str) -> None:
        seen.append(Path(path).read_bytes())
        raise ImageError("no")

    with pytest.raises(ImageError):
        prepare(store, NEW, EXTRA, refuse)
    assert seen == [NEW]
    source = Path(store.spool_directory) / "program"
    with pytest.raises(StoreError, match="MD5"):
        store.prepare(str(source), md5(OLD), [], refuse)
    assert seen == [NEW]
    assert before == sorted(str(path) for path in tmp_path.rglob("*") if "spool" not in str(path))


@pytest.mark.parametrize(
    "bad", ["", "../x", "A" * 32, "0" * 31, "0" * 33, "g" * 32, "\u0661" * 32, "0" * 31 + "\n"]
)
def test_an_md5_is_32_hexadecimal_digits(tmp_path: Path, bad: str) -> None:
    store = ProgramStore(str(tmp_path))
    (tmp_path / "image").write_bytes(OLD)
    with pytest.raises(StoreError, match="32 hexadecimal"):
        store.prepare(str(tmp_path / "image"), bad, [])


def test_a_program_above_the_limit_is_refused(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path), max_program_bytes=len(OLD))
    install(store, OLD, {})
    with pytest.raises(StoreError, match="max_program_kib"):
        prepare(store, NEW, {})


BAD_NAMES = ["", ".", "..", "a/b", "/a", "a\\b", "a\0b", "\u00e9" * 128, "x" * 256, "a\udcff"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_of_extra_files_are_refused(tmp_path: Path, name: str) -> None:
    store = ProgramStore(str(tmp_path))
    with pytest.raises(StoreError):
        prepare(store, OLD, {"good": b"", name: b"evil"})
    assert store.empty


def test_names_may_not_repeat_and_may_be_long_and_odd() -> None:
    with pytest.raises(StoreError, match="two extra files"):
        check_names(["a", "b", "a"])
    check_names(["x" * 255, "\u00e9" * 127, " ", "-rf", "program", "meta.json", "..."])


@given(st.text(max_size=300))
def test_an_accepted_name_stays_in_its_folder(name: str) -> None:
    try:
        check_names([name])
    except StoreError:
        return
    joined = os.path.normpath(os.path.join("/slot/files", name))
    assert os.path.dirname(joined) == "/slot/files"


def test_extra_files_named_like_ours_disturb_nothing(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    extra = {"program": b"1", "meta.json": b"2", "current": b"3"}
    install(store, OLD, extra)
    assert holds(store.current()) == (OLD, extra)


def test_every_load_has_a_fresh_path_and_inode(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    program = install(store, OLD, {})
    paths = [store.copy_to_run(program) for _ in range(3)]
    inodes = {os.stat(path).st_ino for path in [*paths, program.path]}
    assert len(inodes) == 4
    store.drop_from_run(paths[0])
    paths.append(store.copy_to_run(program))
    assert len(set(paths)) == 4
    assert Path(paths[3]).read_bytes() == OLD


def test_a_damaged_image_is_never_loaded(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    program = install(store, OLD, {})
    Path(program.path).write_bytes(OLD[:-1] + b"X")
    with pytest.raises(StoreError, match="damaged"):
        store.copy_to_run(program)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("current", b""),
        ("current", b"../x"),
        ("slot-a/meta.json", b""),
        ("slot-a/meta.json", b"[]"),
        ("slot-a/meta.json", b'{"format": 1, "md5": "../../x", "files": []}'),
        ("slot-a/meta.json", b'{"format": 1, "md5": "%s", "files": ["../x"]}' % (b"0" * 32)),
        ("slot-a/meta.json", b'{"format": 1, "md5": "%s", "files": 3}' % (b"0" * 32)),
        ("slot-a/meta.json", b'{"format": 1, "md5": "%s", "files": [[]]}' % (b"0" * 32)),
        ("slot-a/meta.json", b'{"format": 9, "md5": "x", "files": []}'),
        ("slot-a/meta.json", b"\xff\xfe"),
        ("slot-a/program", None),
        ("slot-a/files/table.csv", None),
    ],
)
def test_a_damaged_store_says_so_and_takes_a_new_program(
    tmp_path: Path, path: str, content: bytes | None
) -> None:
    store = ProgramStore(str(tmp_path))
    install(store, OLD, EXTRA)
    store.close()
    if content is None:
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_bytes(content)
    store = ProgramStore(str(tmp_path))
    assert not store.empty
    with pytest.raises(StoreError):
        store.current()
    install(store, NEW, EXTRA)
    assert holds(store.current()) == (NEW, EXTRA)
    store.erase()
    assert store.empty


def test_a_directory_has_one_runtime(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    with pytest.raises(StoreError, match="in use"):
        ProgramStore(str(tmp_path))
    store.close()
    store.close()
    ProgramStore(str(tmp_path)).close()


def test_a_place_that_cannot_be_used_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file"):
        ProgramStore(str(tmp_path / "file" / "dir"))


def test_leftovers_are_removed_at_the_next_start(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    program = install(store, OLD, EXTRA)
    store.copy_to_run(program)
    prepare(store, NEW, EXTRA)
    (tmp_path / "current.new").write_bytes(b"b")
    store.close()
    ProgramStore(str(tmp_path)).close()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["current", "lock", "run", "slot-a", "spool", "uploads"]
    assert not list((tmp_path / "run").iterdir())
    assert not list((tmp_path / "spool").iterdir())


def test_a_link_in_the_store_is_removed_not_followed(tmp_path: Path) -> None:
    ProgramStore(str(tmp_path / "s")).close()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"")
    (tmp_path / "s" / "spool" / "link").symlink_to(precious)
    ProgramStore(str(tmp_path / "s")).close()
    assert (precious / "file").exists()


def test_a_pending_program_is_tried_once(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    install(store, OLD, EXTRA)
    store.leave_pending(prepare(store, NEW, {}))
    assert holds(store.newest()) == (NEW, {})
    assert holds(store.current()) == (OLD, EXTRA)
    store.close()
    store = ProgramStore(str(tmp_path))
    assert store.has_pending
    assert holds(store.take_pending()) == (NEW, {})
    store.close()  # it brought the runtime down
    store = ProgramStore(str(tmp_path))
    assert not store.has_pending
    assert holds(store.newest()) == (OLD, EXTRA)


def test_a_pending_program_that_loads_is_committed(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    store.leave_pending(prepare(store, NEW, {}))
    assert not store.empty
    store.commit(store.take_pending())
    assert not store.has_pending
    assert holds(store.current()) == (NEW, {})


def test_a_newer_upload_replaces_a_pending_one(tmp_path: Path) -> None:
    store = ProgramStore(str(tmp_path))
    install(store, OLD, {})
    store.leave_pending(prepare(store, NEW, {}))
    candidate = prepare(store, NEW + b"er", {})
    assert not store.has_pending
    store.leave_pending(candidate)
    assert holds(store.newest())[0] == NEW + b"er"
    assert holds(store.current())[0] == OLD


# ---- power cuts ----------------------------------------------------------------------------------


def upload(store: ProgramStore) -> None:
    store.commit(prepare(store, NEW, {"new.csv": b"new"}))


def upload_while_tainted(store: ProgramStore) -> None:
    store.leave_pending(prepare(store, NEW, {"new.csv": b"new"}))


def try_pending(store: ProgramStore) -> None:
    upload_while_tainted(store)
    store.commit(store.take_pending())


def repair(store: ProgramStore) -> None:
    store.erase()


WHOLE_OLD = (OLD, EXTRA)
WHOLE_NEW = (NEW, {"new.csv": b"new"})


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (upload, [WHOLE_OLD, WHOLE_NEW]),
        (upload_while_tainted, [WHOLE_OLD, WHOLE_NEW]),
        (try_pending, [WHOLE_OLD, WHOLE_NEW]),
        (repair, [WHOLE_OLD, None]),
    ],
)
def test_a_power_cut_at_any_instant_leaves_old_or_new_whole(
    tmp_path: Path,
    action: Callable[[ProgramStore], None],
    allowed: list[tuple[bytes, dict[str, bytes]] | None],
) -> None:
    """After every operation, with every possible rest of what was not synced."""
    seen = []
    cut_after, unsynced_kept, finished = 0, 0, False
    while not finished:
        folder = tmp_path / f"{cut_after}-{unsynced_kept}"
        folder.mkdir()
        store = ProgramStore(str(folder / "s"))
        install(store, OLD, EXTRA)
        store.close()
        disk = FailingDisk(folder / "grave")
        store = ProgramStore(str(folder / "s"), disk=disk)
        disk.lose(disk.unsynced)  # what came before is durable
        disk.operations, disk.cut_after = 0, cut_after
        try:
            action(store)
            finished = True
        except PowerCut:
            pass
        unsynced = disk.unsynced
        disk.lose(min(unsynced_kept, unsynced))
        store.close()
        again = ProgramStore(str(folder / "s"))
        found = None if again.empty else holds(again.newest())
        assert found in allowed, (cut_after, unsynced_kept)
        if finished:
            assert found == allowed[-1], "a finished operation is durable"
        seen.append(found)
        # The store works on after the cut.
        install(again, NEW + b"er", EXTRA)
        assert holds(again.current()) == (NEW + b"er", EXTRA)
        again.close()
        if unsynced_kept < unsynced:
            unsynced_kept, finished = unsynced_kept + 1, False
        else:
            cut_after, unsynced_kept = cut_after + 1, 0
    assert allowed[0] in seen
    assert cut_after >= 4


def test_the_real_disk_does_what_the_failing_one_does(tmp_path: Path) -> None:
    """Operation by operation the same tree: else the test above proves nothing."""
    trees = []
    for name, disk in (("a", Disk()), ("b", FailingDisk(tmp_path / "grave"))):
        store = ProgramStore(str(tmp_path / name), disk=disk)
        install(store, OLD, EXTRA)
        install(store, NEW, {})
        store.leave_pending(prepare(store, OLD, {}))
        tree = {}
        for path in (tmp_path / name).rglob("*"):
            tree[str(path.relative_to(tmp_path / name))] = path.is_file() and path.read_bytes()
        trees.append(tree)
        store.close()
    assert trees[0] == trees[1]
