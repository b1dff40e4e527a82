# SPDX-License-Identifier: MIT
"""The files of retained values: whole sets, whatever is cut or killed, and when."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torn_disk import TornDisk

from serial_runtime.errors import StoreError
from serial_runtime.plc.disk import Disk
from serial_runtime.plc.retain_file import (
    NAMES,
    NOTHING,
    Kept,
    Key,
    RetainFiles,
    decode,
    encode,
    layout_of,
)

KEYS = [Key("A", 4, 0), Key("B.TEXT", 20, 9), Key("C", 16, 0)]
keys = st.builds(Key, st.text(max_size=40), st.integers(1, 20), st.integers(0, 254))
sets = st.dictionaries(keys, st.binary(max_size=255), max_size=20)


def a_set(number: int, entries: int = 3) -> Kept:
    """One that is like no other, and says so in every value."""
    value = number.to_bytes(4, "little")
    chosen = {key: value * (1 + place) for place, key in enumerate(KEYS[:entries])}
    return Kept(number, number % (entries + 1), chosen)


def reopened(directory: Path) -> Kept:
    files = RetainFiles(str(directory))
    try:
        return files.read()
    finally:
        files.close()


@given(values=sets, layout=st.integers(0, 2**32 - 1), number=st.integers(1, 2**64 - 1))
def test_a_set_comes_back_in_its_order(values: dict[Key, bytes], layout: int, number: int) -> None:
    kept = Kept(layout, len(values) // 2, values)
    found = decode(encode(kept, number))
    assert found == (number, kept)
    assert list(found[1].values) == list(values)


@given(values=sets, data=st.data())
def test_no_damage_passes(values: dict[Key, bytes], data: st.DataObject) -> None:
    whole = encode(Kept(1, 0, values), 7)
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(flipped), whole[:place], whole + b"\0", whole[place:] + whole[:place]):
        if damaged != whole:
            with pytest.raises(StoreError):
                decode(damaged)


def test_what_a_checksum_does_not_find() -> None:
    from binascii import crc32

    def sealed(data: bytes) -> bytes:
        return data + crc32(data).to_bytes(4, "little")

    whole = encode(a_set(1), 1)[:-4]
    with pytest.raises(StoreError, match="version is 2"):
        decode(sealed(whole[:4] + b"\2" + whole[5:]))
    for wrong in (whole[:-1], whole + b"\0", whole[:20] + b"\xff" + whole[21:]):
        with pytest.raises(StoreError, match="entries"):
            decode(sealed(wrong))
    with pytest.raises(StoreError, match="head says"):
        decode(sealed(whole[:24] + b"\4" + whole[25:]))


def test_layouts() -> None:
    assert layout_of([]) == 0
    assert layout_of(KEYS) != layout_of(KEYS[::-1])
    assert layout_of(KEYS) != layout_of([*KEYS[:2], KEYS[2]._replace(capacity=1)])


def test_the_newest_set_counts(tmp_path: Path) -> None:
    assert reopened(tmp_path) == NOTHING
    for number in range(1, 6):
        files = RetainFiles(str(tmp_path))
        files.read()
        files.write(a_set(number))
        files.write(a_set(number + 100))
        files.close()
        assert reopened(tmp_path) == a_set(number + 100)
    assert sorted(os.listdir(tmp_path)) == [*NAMES, "retain.lock"]


def test_a_damaged_file_is_told_and_the_other_counts(tmp_path: Path) -> None:
    files = RetainFiles(str(tmp_path))
    files.write(a_set(1))
    files.write(a_set(2))
    files.close()
    newest = tmp_path / "retain-b"
    newest.write_bytes(newest.read_bytes()[:-1])
    files = RetainFiles(str(tmp_path))
    assert files.read() == a_set(1)
    assert files.damage == [f"{newest}: it is not whole (checksum); the set before counts"]
    files.write(a_set(3))  # over the damaged one
    files.close()
    assert reopened(tmp_path) == a_set(3)
    assert decode((tmp_path / "retain-a").read_bytes())[1] == a_set(1)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "retain-a").mkdir()
    files = RetainFiles(str(tmp_path))
    assert files.read() == NOTHING
    assert "retain-a cannot be read: Is a directory" in files.damage[0]
    with pytest.raises(StoreError, match="Is a directory"):
        files.write(a_set(1))
    files.close()


def test_a_directory_is_for_one_runtime(tmp_path: Path) -> None:
    files = RetainFiles(str(tmp_path / "kept"))
    with pytest.raises(StoreError, match="in use by another runtime"):
        RetainFiles(str(tmp_path / "kept"))
    files.close()
    files.close()
    RetainFiles(str(tmp_path / "kept")).close()


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = RetainFiles(str(tmp_path / "file"))
    assert files.read() == NOTHING
    assert "cannot be used: File exists" in files.damage[0]
    with pytest.raises(StoreError, match="Not a directory"):
        files.write(a_set(1))
    files.close()


def lay(directory: Path, files: dict[str, bytes]) -> None:
    for name in NAMES:
        (directory / name).unlink(missing_ok=True)
    for path, data in files.items():
        (directory / os.path.basename(path)).write_bytes(data)


def test_power_cut_at_any_instant(tmp_path: Path) -> None:
    written, cut = tmp_path / "written", tmp_path / "cut"
    cut.mkdir()
    disk = TornDisk()
    files = RetainFiles(str(written), disk)
    before, states = NOTHING, 0
    # Longer and shorter ones; the first two make the files.
    for number, entries in enumerate((3, 2, 1, 3, 3, 0, 2), 1):
        now = a_set(number, entries)
        files.write(now)
        for state in disk.after_a_cut():
            states += 1
            lay(cut, state)
            found = reopened(cut)
            assert found in (before, now)
            if states % 10 == 0:  # and it goes on from there
                again = RetainFiles(str(cut))
                again.read()
                again.write(a_set(99))
                again.close()
                assert reopened(cut) == a_set(99)
        before = now
    files.close()
    assert states > 1000


def test_a_write_that_has_returned_is_durable(tmp_path: Path) -> None:
    """A name is durable too, however often the process before was killed between two steps."""

    class Watched(TornDisk):
        synced = 0

        def sync_directory(self, path: str) -> None:
            Watched.synced += 1
            super().sync_directory(path)

    for wanted in (2, 4):  # in each process once for each file
        files = RetainFiles(str(tmp_path), Watched())
        files.read()
        for number in range(5):
            files.write(a_set(number))
        files.close()
        assert Watched.synced == wanted


def test_a_disk_that_fails_leaves_the_set_before(tmp_path: Path) -> None:
    class Full(Disk):
        full = False

        def overwrite(self, path: str, data: bytes) -> None:
            super().overwrite(path, data[: len(data) // 2] if self.full else data)
            if self.full:
                raise OSError(28, "No space left on device")

    disk = Full()
    files = RetainFiles(str(tmp_path), disk)
    files.write(a_set(1))
    disk.full = True
    for number in (2, 3, 4):
        with pytest.raises(StoreError, match="No space left on device"):
            files.write(a_set(number))
        files.close()
        assert reopened(tmp_path) == a_set(1)
    disk.full = False
    files.write(a_set(5))
    assert reopened(tmp_path) == a_set(5)


def test_content_is_synced_before_a_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, called = str(tmp_path / "file"), []
    Disk().overwrite(path, b"longer than the next")

    def noted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            called.append(call.__name__)
            if call.__name__ != "pwrite":
                return call(*arguments)
            fd, data, at = arguments
            assert isinstance(data, bytes)
            return call(fd, data[:5], at)  # a short one

        return wrapper

    for name in STEPS:
        monkeypatch.setattr(os, name, noted(getattr(os, name)))
    Disk().overwrite(path, b"the next")
    assert called == ["open", "pwrite", "pwrite", "ftruncate", "fdatasync", "close"]
    assert Path(path).read_bytes() == b"the next"


STEPS = ("open", "pwrite", "ftruncate", "fdatasync", "close", "fsync")


def killed_at(directory: Path, step: int) -> bool:
    """Have a process write sets until its so manieth step, which kills it; whether it came there.

    A step is a call of the system; a write is cut in its middle.
    """
    child = os.fork()
    if child == 0:
        try:
            _write_until(directory, step)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _write_until(directory: Path, step: int) -> None:
    left = step
    files = RetainFiles(str(directory))
    files.read()

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                if call.__name__ == "pwrite":
                    fd, data, at = arguments
                    assert isinstance(data, bytes)
                    call(fd, data[: len(data) // 2], at)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return wrapper

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    for number in range(1, 5):
        files.write(a_set(number))
        (directory / f"done-{number}").touch()
    os._exit(0)


def test_a_killed_process_leaves_a_whole_set(tmp_path: Path) -> None:
    step = 0
    while True:
        directory = tmp_path / str(step)
        directory.mkdir()
        killed = killed_at(directory, step)
        done = len(list(directory.glob("done-*")))
        sets = [NOTHING, *map(a_set, range(1, 5))]
        assert reopened(directory) in sets[done : done + 2]
        if not killed:
            assert done == 4
            break
        step += 1
    assert step > 20
