# SPDX-License-Identifier: MIT
"""The Debian package as a file: its fields, what is in it, and that this runs.

That it installs, upgrades and is removed on a board is shown by the rig (hil/scenarios).
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from board.packaging import deb, wheels
from serial_runtime import __version__
from serial_runtime.errors import PackagingError
from serial_runtime.profile_file import load_profile
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status

ARM64 = wheels.TARGETS["arm64"]


@pytest.fixture(scope="module")
def package(wheel_for: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deb.build(ARM64, wheel_for("arm64"), tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(folder)], check=True)
    return folder


def field(package: Path, name: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "--field", str(package), name], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_its_fields(package: Path) -> None:
    assert package.name == f"serial-runtime_{__version__}_arm64.deb"
    assert field(package, "Version") == __version__
    assert field(package, "Architecture") == "arm64"
    assert 1000 < int(field(package, "Installed-Size")) < 8000
    needed = dict(
        re.fullmatch(r"(\S+)(?: \((.*)\))?", one).groups("")  # type: ignore[union-attr]
        for one in field(package, "Depends").split(", ")
    )
    assert needed["python3"] == ">= 3.11~"
    assert needed["libc6"] <= ">= 2.36"
    assert {"python3-serial", "python3-cffi-backend", "python3-zstandard"} <= set(needed)


def test_what_is_in_it(root: Path) -> None:
    for name in (
        "serial_runtime/_board.abi3.so",
        "serial_runtime/rpc/server.py",
        "erpc/codec.py",
        "pymodbus/client/serial.py",
    ):
        assert (root / deb.FOLDER / name).is_file()
    profiles = {path.name for path in (root / "usr/share/serial-runtime/profiles").iterdir()}
    assert profiles == {path.name for path in (wheels.ROOT / "board/profiles").iterdir()}
    assert not [*root.rglob("*.dist-info"), *root.rglob("*.data")]
    assert (root / "DEBIAN/conffiles").read_text() == "/etc/serial-runtime/profile.toml\n"
    listed = [line.split("  ")[1] for line in (root / "DEBIAN/md5sums").read_text().splitlines()]
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert set(listed) == {str(path) for path in files if path.parts[0] != "DEBIAN"}


def test_files_belong_to_root_and_only_programs_are_executable(package: Path) -> None:
    listing = subprocess.run(
        ["dpkg-deb", "--contents", str(package)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    rows = [line.split() for line in listing]
    assert {row[1] for row in rows} == {"root/root"}
    modes = {row[0] for row in rows}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    assert [row[5] for row in rows if row[0] == "-rwxr-xr-x"] == [
        "./usr/bin/serial-runtime",
        "./usr/share/python3/runtime.d/serial-runtime.rtupdate",
    ]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="bytecode is of Debian 12's Python")
def test_its_bytecode_is_what_the_board_would_make(root: Path) -> None:
    sources = list((root / deb.FOLDER).rglob("*.py"))
    assert len(sources) > 100
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        flags, mtime = struct.unpack("<4xLL", compiled.read_bytes()[:12])
        assert (flags, mtime) == (0, int(source.stat().st_mtime))


def test_the_same_commit_gives_the_same_file(
    package: Path, wheel_for: Callable[[str], Path], tmp_path: Path
) -> None:
    again = deb.build(ARM64, wheel_for("arm64"), tmp_path)
    assert again.read_bytes() == package.read_bytes()


def test_a_version_of_ones_own_is_a_higher_one(
    wheel_for: Callable[[str], Path], tmp_path: Path
) -> None:
    mine = deb.build(ARM64, wheel_for("arm64"), tmp_path, f"{__version__}+acme2")
    version = field(mine, "Version")
    assert subprocess.call(["dpkg", "--compare-versions", version, "gt", __version__]) == 0
    with pytest.raises(PackagingError, match="as Debian has them"):
        deb.build(ARM64, wheel_for("arm64"), tmp_path, "new one")


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_shell_without_bashisms(root: Path, name: str) -> None:
    script = root / "DEBIAN" / name
    assert os.access(script, os.X_OK)
    subprocess.run(["dash", "-n", str(script)], check=True)


def test_a_fresh_board_comes_up_and_is_reached_from_itself_alone(root: Path) -> None:
    profile = load_profile(str(root / "etc/serial-runtime/profile.toml"))
    assert profile.serial.port == ""
    assert str(profile.tcp.listen) == "127.0.0.1:3000"
    assert profile.policy.tcp == "view"
    assert profile.store.dir == "/var/lib/serial-runtime"
    assert profile.store.autostart


def test_the_launcher_needs_nothing_of_ours_elsewhere(root: Path, tmp_path: Path) -> None:
    """Its own modules and eRPC from its folder; pyserial and cffi from the system's."""
    system = tmp_path / "system"
    system.mkdir()
    for name in ("serial", "cffi", "_cffi_backend", "zstandard"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin)
        place = place.parent if place.name == "__init__.py" else place
        (system / place.name).symlink_to(place)
    board = find_spec("serial_runtime._board")
    assert board is not None
    assert board.origin is not None
    mine = tmp_path / "mine"
    shutil.copytree(root / deb.FOLDER, mine)
    shutil.copy(board.origin, mine / wheels.MODULE)  # of this machine, in place of the board's

    text = (root / "usr/bin/serial-runtime").read_text()
    first, _, rest = text.partition("\n")
    assert first == "#!/usr/bin/python3 -IS"
    rest = rest.replace("/usr/lib/serial-runtime", str(mine))
    rest = rest.replace("/usr/lib/python3/dist-packages", str(system))
    launcher = tmp_path / "launcher"
    launcher.write_text(rest)
    process = subprocess.Popen(
        [sys.executable, "-IS", str(launcher), "serve", "--tcp", "127.0.0.1:0", "--dir"]
        + [str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, uri = process.stdout.readline().split()
        assert ready == "READY"
        with connect(uri) as client:
            assert client.status().status == Status.Empty
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
