# SPDX-License-Identifier: MIT
"""The secrets this computer knows."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from serial_runtime import identities
from serial_runtime.errors import ConfigError, StoreError


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


SECRET = "a-secret-of-26-characters."


def rows_of(folder: Path) -> list[list[str | None]]:
    found: list[list[str | None]] = json.loads((folder / "management.json").read_text())
    return found


def test_a_secret_is_kept_as_the_ide_keeps_it(folder: Path) -> None:
    assert not identities.keep("press-1", SECRET, "ERPC:///dev/ttyUSB0")
    assert (folder / "press-1.secret").read_text() == f"press-1:{SECRET}"
    assert stat.S_IMODE((folder / "press-1.secret").stat().st_mode) == 0o600
    (row,) = rows_of(folder)
    assert row[:3] == ["press-1", "ERPC:///dev/ttyUSB0", None]
    assert identities.rows() == [row]
    assert identities.secret_of("press-1") == SECRET.encode()


def test_another_secret_of_the_same_board_is_told(folder: Path) -> None:
    identities.keep("press-1", SECRET, "one")
    assert not identities.keep("press-1", SECRET, "two")
    assert identities.keep("press-1", SECRET + "2", "two")
    assert [row[1] for row in rows_of(folder)] == ["two"]


def test_the_descriptions_of_the_ide_stay(folder: Path) -> None:
    others = [["other", "ERPC://other", "a pump", None], ["press-1", "x", "the press", None]]
    (folder / "management.json").write_text(json.dumps(others))
    identities.keep("press-1", SECRET, "y")
    assert [row[2] for row in rows_of(folder)] == ["a pump", "the press"]
    assert [row[0] for row in identities.rows()] == ["press-1"], "only what has a secret"


@pytest.mark.parametrize(
    ("name", "secret"), [("../evil", SECRET), ("press-1", ""), ("press-1", "abc\ndef" * 5)]
)
def test_nothing_is_kept_that_is_wrong(folder: Path, name: str, secret: str) -> None:
    with pytest.raises(ConfigError):
        identities.keep(name, secret, "x")
    assert list(folder.iterdir()) == []


def test_a_damaged_list_of_the_ide_is_not_overwritten(folder: Path) -> None:
    (folder / "management.json").write_text('[["press-1"]]')
    with pytest.raises(ConfigError, match=r"management\.json: damaged"):
        identities.keep("press-1", SECRET, "x")
    assert [path.name for path in folder.iterdir()] == ["management.json"]


def test_forgotten(folder: Path) -> None:
    identities.keep("press-1", SECRET, "x")
    identities.forget("press-1")
    assert identities.rows() == rows_of(folder) == []
    with pytest.raises(ConfigError, match="not in"):
        identities.forget("press-1")


def move(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv(identities.VARIABLE, str(place))


def test_from_one_computer_to_another(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("press-1", "press-2", "press-3"):
        identities.keep(name, SECRET + name, name)
    there = tmp_path_factory.mktemp("there")
    assert identities.export_to(there / "all.zip") == ["press-1", "press-2", "press-3"]
    assert identities.export_to(there / "one.zip", ["press-2"]) == ["press-2"]
    assert stat.S_IMODE((there / "all.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile(there / "all.zip") as archive:
        assert "management.json" in archive.namelist()
        assert archive.read("press-1.secret") == f"press-1:{SECRET}press-1".encode()
    with pytest.raises(StoreError, match="File exists"):
        identities.export_to(there / "all.zip")

    move(monkeypatch, there / "psk")
    identities.keep("press-2", SECRET, "mine")
    assert identities.import_from(there / "one.zip", replace=False) == ([], ["press-2"])
    assert identities.import_from(there / "all.zip", replace=False) == (
        ["press-1", "press-3"],
        ["press-2"],
    )
    assert [row[1] for row in identities.rows()] == ["press-1", "mine", "press-3"]
    assert identities.import_from(there / "all.zip", replace=True)[1] == []
    assert identities.secret_of("press-2") == f"{SECRET}press-2".encode()


def test_an_export_of_the_ide_without_rows_and_one_that_is_not(folder: Path) -> None:
    with zipfile.ZipFile(folder / "ide.zip", "w") as archive:
        archive.writestr("press-1.secret", f"press-1:{SECRET}\n")
    assert identities.import_from(folder / "ide.zip", replace=False) == (["press-1"], [])
    lines = f"press-1:{SECRET}\npress-2:{SECRET}"
    for content in ("press-1:", "press-2:" + SECRET, "", lines, f"press-1:{SECRET}\x1b[2J"):
        with zipfile.ZipFile(folder / "bad.zip", "w") as archive:
            archive.writestr("good.secret", f"good:{SECRET}")
            archive.writestr("press-1.secret", content)
        with pytest.raises(ConfigError, match="expected the text press-1:SECRET"):
            identities.import_from(folder / "bad.zip", replace=True)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("press-1.secret", "press-1:" + SECRET * 1000)
    with pytest.raises(ConfigError, match="it holds more than secrets"):
        identities.import_from(folder / "bomb.zip", replace=True)
    with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
        archive.writestr("../../evil.secret", f"../../evil:{SECRET}")
    with pytest.raises(ConfigError, match="is no ID"):
        identities.import_from(folder / "evil.zip", replace=True)
    (folder / "text.zip").write_text("no zip")
    with pytest.raises(ConfigError, match="not an export of identities"):
        identities.import_from(folder / "text.zip", replace=True)
    assert [row[0] for row in identities.rows()] == ["press-1"]


@pytest.mark.parametrize(
    ("compression", "content", "flip"),
    [
        (zipfile.ZIP_LZMA, f"press-1:{SECRET}", 0),
        (zipfile.ZIP_DEFLATED, f"press-1:{SECRET}", 45),
        (zipfile.ZIP_STORED, f"press-1:{SECRET}\xe9", 0),
    ],
    ids=["another compression", "damaged", "no ASCII"],
)
def test_an_export_that_cannot_be_read(
    folder: Path, compression: int, content: str, flip: int
) -> None:
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("press-1.secret", content)
    data = bytearray(path.read_bytes())
    data[flip] ^= 0xFF if flip else 0
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"export\.zip: "):
        identities.import_from(path, replace=True)
    assert list(folder.glob("*.secret")) == []


def test_a_list_of_the_ide_that_is_too_deep(folder: Path) -> None:
    (folder / "management.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"management\.json: damaged"):
        identities.rows()


def test_nothing_to_export(folder: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to export"):
        identities.export_to(folder / "all.zip")
    with pytest.raises(ConfigError, match="press-9 is not in"):
        identities.export_to(folder / "all.zip", ["press-9"])
    assert list(folder.iterdir()) == []
