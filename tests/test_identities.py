# SPDX-License-Identifier: MIT
"""The secrets this computer knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial_runtime import identities
from serial_runtime.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(identities.VARIABLE, str(tmp_path))
    return tmp_path


def test_a_secret_as_the_ide_keeps_it(folder: Path) -> None:
    (folder / "press-1.secret").write_text("press-1:a:secret with a colon\n")
    assert identities.secret_of("press-1") == b"a:secret with a colon"


def test_an_unknown_one(folder: Path) -> None:
    with pytest.raises(ConfigError, match=f"secret of press-1 is not in {folder}"):
        identities.secret_of("press-1")


@pytest.mark.parametrize("text", ["", "press-1", "press-1:", "press-2:secret", "gr\xf6\xdfe:x"])
def test_a_damaged_one(folder: Path, text: str) -> None:
    (folder / "press-1.secret").write_text(text)
    with pytest.raises(ConfigError, match=r"press-1\.secret: "):
        identities.secret_of("press-1")


def test_the_folder_of_an_ide_project_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(identities.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert identities.folder() == tmp_path / "config" / "serial-runtime" / "psk"
    (tmp_path / "psk").mkdir()
    assert identities.folder() == Path("psk")
