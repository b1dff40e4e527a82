# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import ConfigError, StoreError
from serial_runtime.plc import identity
from serial_runtime.plc.identity import FILE, Identity

SECRET = "a-secret-of-26-characters."


def put(directory: Path, text: str) -> Path:
    path = directory / FILE
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_first_start_makes_an_identity_and_later_ones_find_it(tmp_path: Path) -> None:
    made = identity.load_or_create(str(tmp_path / "new"), "plc.example")
    again = identity.load_or_create(str(tmp_path / "new"), "another name")
    assert made == again
    assert made.id.startswith("plc-example-")
    assert made.role == "program"
    assert stat.S_IMODE((tmp_path / "new" / FILE).stat().st_mode) == 0o600
    assert identity.load_all(str(tmp_path / "new")) == {made.id: made.secret.encode()}


def test_boards_of_the_same_name_differ(tmp_path: Path) -> None:
    first = identity.load_or_create(str(tmp_path / "a"), "board")
    second = identity.load_or_create(str(tmp_path / "b"), "board")
    assert first.id != second.id
    assert first.secret != second.secret


MAKE = "import sys; from serial_runtime.plc.identity import load_or_create; "
MAKE += "print(load_or_create(sys.argv[1], 'board'))"


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0] * 4


def test_all_identities_with_their_roles(tmp_path: Path) -> None:
    put(tmp_path, f"board-1:{SECRET} program\n\nviewer:{SECRET}2 view\nplain:{SECRET}:3\n")
    assert identity.read(str(tmp_path)) == [
        Identity("board-1", SECRET, "program"),
        Identity("viewer", SECRET + "2", "view"),
        Identity("plain", SECRET + ":3", "program"),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"../evil:{SECRET}", "no ID"),
        (f":{SECRET}", "no ID"),
        (f"{'x' * 65}:{SECRET}", "no ID"),
        ("board:short", "5 characters"),
        ("board", "0 characters"),
        (f"board:{'x' * 257}", "257 characters"),
        ("board:0123456789abcdefABCDEF", "hexadecimal"),
        ("board:sécret-sécret-sécret", "ASCII"),
        (f"board:{SECRET} admin", "view, operate, program"),
        (f"board:{SECRET} view more", "one role"),
        (f"other:{SECRET}", "twice"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = put(tmp_path, f"other:{SECRET} view\n{line}\n")
    with pytest.raises(ConfigError, match=rf"{path}, line 2: .*{why}") as caught:
        identity.read(str(tmp_path))
    assert SECRET not in str(caught.value)
    assert identity.FILE in os.listdir(tmp_path), "it is left as it is"


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = put(tmp_path, f"board:{SECRET} program\n")
    path.chmod(0o644)
    identity.read(str(tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("a file of root's")
    (tmp_path / "elsewhere").chmod(0o644)
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be read"):
        identity.read(str(tmp_path))
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o644


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, f"board:{SECRET} program\n")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="hexadecimal"), identity.changing(str(tmp_path)) as known:
        known.append(Identity("viewer", "0" * 20, "view"))
    assert path.read_bytes() == before


def test_what_a_killed_process_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / (FILE + ".new")).write_text("half of")
    identity.load_or_create(str(tmp_path), "board")
    assert os.listdir(tmp_path) == [FILE]


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        identity.load_or_create(str(tmp_path / "file"), "board")


@given(st.binary(max_size=200))
def test_any_file_is_a_list_of_identities_or_told(text: bytes) -> None:
    told = ""
    found: list[Identity] = []
    try:
        found = identity._parse(text, FILE)
    except ConfigError as error:
        told = str(error)
    assert told.startswith(f"{FILE}, line ") or len({one.id for one in found}) == len(found)
