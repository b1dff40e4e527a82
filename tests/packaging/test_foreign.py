# SPDX-License-Identifier: MIT
"""Packages of another architecture, from a repository on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from board.packaging.foreign import Apt, main, merge_usr, unpack
from serial_runtime.errors import PackagingError

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="needs Debian's apt")


def build(repository: Path, name: str, depends: str = "") -> Path:
    """A package for armhf with one file of its own in /lib and one in /usr/share/doc."""
    tree = repository / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1:2.0-1\nArchitecture: armhf\nMaintainer: T <t@x>\n"
    control += (f"Depends: {depends}\n" if depends else "") + "Description: for a test\n"
    (tree / "DEBIAN" / "control").write_text(control)
    for file in (f"lib/{name}.so", f"usr/share/doc/{name}/copyright"):
        (tree / file).parent.mkdir(parents=True)
        (tree / file).write_text(name)
    package = repository / f"{name}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, package],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(tree)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    with (repository / "Packages").open("a") as index:
        index.write(f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\n")
        index.write(f"SHA256: {digest}\n\n")
    return package


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, and apt set up as if this were the source of the host."""
    folder = tmp_path / "repository"
    folder.mkdir()
    build(folder, "plant")
    build(folder, "runtime", depends="plant (>= 1:1)")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] copy:{folder} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return folder


def test_what_a_package_needs_comes_along_and_first(repository: Path, tmp_path: Path) -> None:
    packages = Apt("armhf", tmp_path / "cache").download("runtime")
    assert [(one.name, one.version) for one in packages] == [
        ("plant", "1:2.0-1"),
        ("runtime", "1:2.0-1"),
    ]
    assert all(one.path.exists() for one in packages)


def test_a_second_build_needs_no_source(repository: Path, tmp_path: Path) -> None:
    first = Apt("armhf", tmp_path / "cache").download("runtime")
    shutil.rmtree(repository)
    assert Apt("armhf", tmp_path / "cache").download("runtime") == first


def test_the_hosts_dpkg_is_not_touched(repository: Path, tmp_path: Path) -> None:
    def state() -> str:
        return subprocess.run(
            ["dpkg", "--print-foreign-architectures"], check=True, capture_output=True, text=True
        ).stdout + str(os.stat("/var/lib/dpkg/status").st_mtime_ns)

    before = state()
    Apt("armhf", tmp_path / "cache").download("runtime")
    assert state() == before


def test_an_unknown_package_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="armhf.*Unable to locate package no-such-thing"):
        Apt("armhf", tmp_path / "cache").download("no-such-thing")


def test_files_go_into_a_merged_root(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    merge_usr(root)
    unpack(repository / "plant.deb", root, exclude=["./usr/share/doc"])
    assert (root / "usr/lib/plant.so").read_text() == "plant"
    assert (root / "lib").is_symlink()
    assert not (root / "usr/share/doc").exists()


def test_what_is_no_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.deb").write_bytes(b"no archive")
    with pytest.raises(PackagingError, match=r"broken\.deb"):
        unpack(tmp_path / "broken.deb", tmp_path / "root")


def test_the_command_line(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    words = ["armhf", "runtime", "--cache", str(tmp_path / "cache"), "--unpack", str(root)]
    assert main(words) == 0
    assert capsys.readouterr().out.count("_armhf.deb") == 2
    assert (root / "usr/lib/runtime.so").exists()
    assert main([words[0], "no-such-thing", *words[1:]]) == 1
    assert "no-such-thing" in capsys.readouterr().err
