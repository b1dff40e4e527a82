# SPDX-License-Identifier: MIT
"""The making of a board's image, as far as it needs no emulator."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from board.packaging.foreign import Package
from hil.image import build, kernel, machine, root
from serial_runtime.errors import PackagingError

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs Debian's dpkg")


def package(folder: Path, name: str, control: str = "", **files: str) -> Package:
    """A package with these control files, a configuration file and a manual."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    head = f"Package: {name}\nVersion: 2.0\nArchitecture: arm64\nMaintainer: T <t@x>\n"
    (tree / "DEBIAN" / "control").write_text(head + control + "Description: for a test\n")
    for file, text in files.items():
        (tree / "DEBIAN" / file).write_text(text)
    for file in (f"etc/{name}.conf", f"usr/share/doc/{name}/copyright"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(name)
    (tree / "DEBIAN" / "conffiles").write_text(f"/etc/{name}.conf\n")
    path = folder / f"{name}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True, capture_output=True
    )
    return Package(name, "2.0", path)


def dpkg(tree: Path, *words: str) -> str:
    """What dpkg reads in the root's database."""
    command = ["dpkg", f"--admindir={tree / 'var/lib/dpkg'}", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root of two packages, one of them built for several architectures in one system."""
    packages = [
        package(tmp_path, "dpkg", triggers="interest-noawait /usr/lib/plc\n"),
        package(tmp_path, "libplc", "Multi-Arch: same\n", triggers="interest plc-cache\n"),
    ]
    tree = tmp_path / "root"
    for folder in ("etc/dpkg/dpkg.cfg.d", "etc/systemd/system"):
        (tree / folder).mkdir(parents=True)
    root.build(packages, tree)
    return tree


def test_dpkg_finds_what_was_unpacked(tree: Path) -> None:
    assert "Status: install ok unpacked" in dpkg(tree, "--status", "dpkg")
    assert "/etc/dpkg.conf" in dpkg(tree, "--listfiles", "dpkg").splitlines()
    assert "/etc/libplc.conf" in dpkg(tree, "--listfiles", "libplc:arm64").splitlines()


def test_dpkg_knows_configuration_files_and_triggers(tree: Path) -> None:
    digest = hashlib.md5(b"dpkg", usedforsecurity=False).hexdigest()
    status = dpkg(tree, "--status", "dpkg")
    assert f" /etc/dpkg.conf {digest}" in status.splitlines()
    triggers = tree / "var/lib/dpkg/triggers"
    assert (triggers / "File").read_text() == "/usr/lib/plc dpkg/noawait\n"
    assert (triggers / "plc-cache").read_text() == "libplc:arm64\n"


def test_manuals_stay_away_and_dpkg_on_the_board_is_told(tree: Path) -> None:
    assert not (tree / "usr/share/doc/dpkg/copyright").exists()
    told = (tree / "etc/dpkg/dpkg.cfg.d/board").read_text()
    assert "path-exclude=/usr/share/doc/*\n" in told


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "kernel/ext4.ko: kernel/jbd2.ko kernel/crc16.ko\nkernel/jbd2.ko: kernel/crc16.ko\n"
        "kernel/crc16.ko:\nkernel/virtio-blk.ko:\n"
    )
    assert kernel._with_needs(tmp_path, ["virtio_blk", "built_in", "ext4"]) == [
        *("kernel/virtio-blk.ko", "kernel/crc16.ko", "kernel/jbd2.ko", "kernel/ext4.ko")
    ]


def test_an_initramfs_is_what_cpio_reads(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("needs cpio")
    whole = kernel.archive({"init": b"#!/bin/sh\n", "modules/a.ko": b"x" * 5}, ["modules"])
    subprocess.run(["cpio", "-id", "--quiet"], input=whole, cwd=tmp_path, check=True)
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "modules" / "a.ko").read_bytes() == b"xxxxx"


def test_what_our_package_needs_is_asked_of_debian(tmp_path: Path) -> None:
    ours = package(tmp_path, "ours", "Depends: python3 (>= 3.11~), a | b, extra (= 1)\n")
    extra = package(tmp_path, "extra", "Depends: python3:any\n")
    assert build._needs([ours.path, extra.path]) == "a python3"


def test_an_image_that_is_missing_is_named_with_its_command(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"python -m hil\.image arm64"):
        machine.VIRT_ARM64.make_disk(tmp_path, images=tmp_path)
    with pytest.raises(PackagingError, match="accepted are arm64, armhf"):
        machine.of_architecture("riscv64")


@pytest.mark.parametrize("name", machine.MACHINES)
def test_a_machine_has_its_ends_in_the_folder_of_its_run(name: str, tmp_path: Path) -> None:
    words = machine.MACHINES[name].arguments(tmp_path, append="init=/x", extra=["-S"])
    assert words[-1] == "-S"
    for end in ("console", "line", "modbus", "qmp", "qtest"):
        assert any(f"{tmp_path / end}.sock" in word for word in words)
    assert any(word.startswith("console=") and word.endswith(" init=/x") for word in words)
    assert any(f"file={tmp_path / 'disk.qcow2'},format=qcow2" in word for word in words)
