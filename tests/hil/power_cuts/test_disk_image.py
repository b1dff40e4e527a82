# SPDX-License-Identifier: MIT
"""A disk image as a power cut leaves it: made, mended as a boot does it, taken apart."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hil.power_cuts.disk_image import DamagedFileSystem, DiskImage, extract, repair, replace_module
from hil.power_cuts.write_log import SECTOR, Cut, Entry

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
pytestmark = pytest.mark.skipif(
    not all(shutil.which(one, path=PATH) for one in ("mke2fs", "debugfs", "e2undo")),
    reason="needs e2fsprogs",
)
MODULE = "serial_runtime/plc/disk.py"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    store = tree / "var" / "lib" / "store"
    store.mkdir(parents=True)
    (store / "current").write_text("a")
    plc = tree / "usr" / "lib" / "serial-runtime" / "serial_runtime" / "plc"
    (plc / "__pycache__").mkdir(parents=True)
    (plc / "disk.py").write_text("right = True\n")
    for name in ("disk.cpython-311.pyc", "diskette.cpython-311.pyc"):
        (plc / "__pycache__" / name).write_text("compiled")
    made = tmp_path / "image"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", tree, made, "8M"],
        check=True,
        env={**os.environ, "PATH": PATH},
    )
    return made


def test_a_cut_is_made_and_undone(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4 * SECTOR))
    one, two = b"1" * SECTOR, b"2" * 2 * SECTOR
    entries = [Entry(0, one, False, 0), Entry(SECTOR, two, False, 0), Entry(0, two, False, 0)]
    entries += [Entry(0, b"", True, 0), Entry(0, one, False, 0)]
    disk = DiskImage(image, entries)
    empty = bytes(4 * SECTOR)
    for cut, expected in (
        (Cut(1), one),
        (Cut(2, torn=1), one + two[:SECTOR]),
        (Cut(2), one + two),
        (Cut(2, frozenset((0,))), empty[:SECTOR] + two),
        (Cut(3, frozenset((0, 1))), two),
        (Cut(3), two + two[:SECTOR]),
        (Cut(4), two + two[:SECTOR]),
        (Cut(5), one + two[:1] * 2 * SECTOR),
        (Cut(5, frozenset((4,))), two + two[:SECTOR]),
    ):
        with disk.after(cut) as path:
            assert path.read_bytes() == (expected + empty)[: 4 * SECTOR]


def test_what_a_look_changes_does_not_last(image: Path) -> None:
    before = image.read_bytes()
    disk = DiskImage(image, [Entry(0, b"x" * SECTOR, False, 0)])
    with disk.after(Cut(1)) as path:
        repair(path)
    with disk.after(Cut(1, frozenset((0,)))) as path:
        assert path.read_bytes() == before


def test_a_file_is_taken_out(image: Path, tmp_path: Path) -> None:
    repair(image)
    store = extract(image, "/var/lib/store", tmp_path / "out")
    assert {path.name: path.read_text() for path in store.iterdir()} == {"current": "a"}
    assert not extract(image, "/var/lib/none", tmp_path / "out").exists()


def test_a_file_system_that_its_journal_does_not_mend_is_damaged(image: Path) -> None:
    told = subprocess.run(
        ["debugfs", "-w", "-R", "clri /var/lib/store/current", image],
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        check=True,
    )
    assert told.returncode == 0
    with pytest.raises(DamagedFileSystem, match="current"):
        repair(image)


def test_a_module_is_replaced_and_what_was_compiled_of_it_is_gone(
    image: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.py"
    new.write_text("right = False\n")
    replace_module(image, MODULE, new)
    repair(image)
    plc = extract(image, "/usr/lib/serial-runtime/serial_runtime/plc", tmp_path / "out")
    assert (plc / "disk.py").read_text() == "right = False\n"
    assert [path.name for path in (plc / "__pycache__").iterdir()] == ["diskette.cpython-311.pyc"]
    with pytest.raises(FileNotFoundError):
        replace_module(image, "serial_runtime/plc/none.py", new)
