# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from serial_runtime.errors import StoreError
from serial_runtime.plc import pairing


def test_a_window_is_for_one(tmp_path: Path) -> None:
    assert not pairing.close_window(str(tmp_path))
    pairing.open_window(str(tmp_path), 60)
    assert pairing.close_window(str(tmp_path))
    assert not pairing.close_window(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("boot_id", "left_s"),
    [
        ("this", -1),
        ("this", pairing.MOST_S + 60),  # the clock of a later boot is behind
        ("00000000-0000-0000-0000-000000000000", 60),
    ],
)
def test_over(tmp_path: Path, boot_id: str, left_s: int) -> None:
    pairing.open_window(str(tmp_path), 60)
    path = tmp_path / pairing.FILE
    this, _ = path.read_text().split()
    end_ns = time.monotonic_ns() + left_s * 1_000_000_000
    path.write_text(f"{boot_id.replace('this', this)} {end_ns}\n")
    assert not pairing.close_window(str(tmp_path))
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "nonsense", "a b", "\xff"])
def test_a_damaged_file_is_no_window(tmp_path: Path, text: str) -> None:
    (tmp_path / pairing.FILE).write_text(text, "latin-1")
    assert not pairing.close_window(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("a file of root's")
    (tmp_path / (pairing.FILE + ".new")).symlink_to(tmp_path / "elsewhere")
    pairing.open_window(str(tmp_path), 60)
    assert (tmp_path / "elsewhere").read_text() == "a file of root's"
    assert pairing.close_window(str(tmp_path))


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="pairing"):
        pairing.open_window(str(tmp_path / "none"), 60)
