# SPDX-License-Identifier: MIT
"""The host's cache of images: bounded, and never a wrong or a foreign file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from serial_runtime.rpc.image_cache import ImageCache, default_directory


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def test_what_was_put_is_found_by_its_md5(tmp_path: Path) -> None:
    cache = ImageCache(str(tmp_path / "new" / "images"))
    assert cache.get(md5(b"image")) == b""
    cache.put(b"image")
    cache.put(b"image")
    assert cache.get(md5(b"image")) == b"image"
    assert os.listdir(tmp_path / "new" / "images") == [md5(b"image")]


def test_a_damaged_entry_counts_as_absent_and_goes(tmp_path: Path) -> None:
    cache = ImageCache(str(tmp_path))
    cache.put(b"image")
    (tmp_path / md5(b"image")).write_bytes(b"imag")
    assert cache.get(md5(b"image")) == b""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../secret", "/etc/hostname", "A" * 32, "x"])
def test_a_name_from_a_board_reaches_no_other_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    assert ImageCache(str(tmp_path / "images")).get(name) == b""


def test_it_keeps_those_used_last(tmp_path: Path) -> None:
    cache = ImageCache(str(tmp_path), max_images=3, max_bytes=100)
    for number in range(3):
        cache.put(b"%d" % number)
        os.utime(tmp_path / md5(b"%d" % number), (1000 + number, 1000 + number))
    cache.get(md5(b"0"))
    cache.put(b"3")
    assert {cache.get(md5(b"%d" % number)) for number in range(4)} == {b"", b"0", b"2", b"3"}
    cache.put(b"x" * 99)
    assert len(os.listdir(tmp_path)) <= 2
    cache.put(b"y" * 101)
    assert cache.get(md5(b"y" * 101)) == b""
    assert cache.get(md5(b"x" * 99)) == b"x" * 99


def test_a_place_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = ImageCache(str(tmp_path / "file" / "images"))
    cache.put(b"image")
    assert cache.get(md5(b"image")) == b""


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_directory() == "/cache/serial-runtime/images"
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert default_directory() == "/home/me/.cache/serial-runtime/images"
