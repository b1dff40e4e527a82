# SPDX-License-Identifier: MIT
"""Cross compiled wheels: what they are called is what they are."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from board.packaging import elf, wheels
from serial_runtime.errors import PackagingError

BOARDS = pytest.mark.parametrize("architecture", ["arm64", "armhf"])


def module_of(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(wheels.MODULE, folder))


@BOARDS
def test_the_compiled_module_is_of_the_board_and_of_debian_12(
    wheel_for: Callable[[str], Path], tmp_path: Path, architecture: str
) -> None:
    found = elf.needs(module_of(wheel_for(architecture), tmp_path))
    assert found.machine == {"arm64": "AArch64", "armhf": "ARM"}[architecture]
    assert (2, 17) <= found.glibc <= (2, 36)
    assert {name.partition(".")[0] for name in found.libraries} <= {"libc", "ld-linux-armhf"}


@BOARDS
def test_the_tag_names_processor_and_c_library(
    wheel_for: Callable[[str], Path], tmp_path: Path, architecture: str
) -> None:
    wheel = wheel_for(architecture)
    glibc = "{}_{}".format(*elf.needs(module_of(wheel, tmp_path)).glibc)
    machine = {"arm64": "aarch64", "armhf": "armv7l"}[architecture]
    tag = f"cp311-abi3-manylinux_{glibc}_{machine}"
    assert wheel.name.endswith(f"-{tag}.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/WHEEL"))
        assert re.findall("^Tag: (.*)$", archive.read(name).decode(), re.MULTILINE) == [tag]


def test_its_numbers_are_32_bit_ones_that_outlast_2038(
    wheel_for: Callable[[str], Path], tmp_path: Path
) -> None:
    names = module_of(wheel_for("armhf"), tmp_path).read_bytes()
    assert b"__clock_gettime64" in names
    assert b"\0clock_gettime\0" not in names


def test_what_is_no_elf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no module")
    with pytest.raises(PackagingError, match="text"):
        elf.needs(tmp_path / "text")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackagingError, match="install gcc-arm-linux-gnueabihf"):
        wheels.tool(wheels.TARGETS["armhf"], "gcc")
