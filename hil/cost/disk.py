# SPDX-License-Identifier: MIT
"""A second disk for the board: the probe, its program, and the packages it is compared with."""

from __future__ import annotations

import compileall
import importlib.util
import py_compile
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from board.packaging.foreign import Apt, Package, unpack
from hil.boards.programs import image_of
from hil.image.machine import Machine
from serial_runtime.errors import PackagingError

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "programs" / "cost.c"
# Of ours, what the package depends on beside what every board of this Debian has.
OURS = ("python3", "python3-cffi-backend", "python3-serial", "python3-zstandard")
# Of the runtime of the Beremiz IDE, by its requirements; without Nevow, lxml and wxPython: its web
# server is optional, and Debian has no Nevow for Python 3.
PEER = (
    "python3",
    *("python3-autobahn", "python3-click", "python3-msgpack", "python3-twisted"),
    "python3-zeroconf",
)
_BASE = ("base-files", "libc6", "systemd", "udev")  # on every board
_LEAVE = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/include")


class Extra(NamedTuple):
    """The disk, and what of the flash the packages take, in kB."""

    disk: Path
    ours_kb: int
    peer_kb: int


def make(machine: Machine, folder: Path) -> Extra:
    """Write the disk's image to `folder`. PackagingError."""
    apt = Apt(machine.architecture)
    base = {package.name for package in apt.download(*_BASE)}
    ours = [package for package in apt.download(*OURS) if package.name not in base]
    peer = [package for package in apt.download(*PEER) if package.name not in base]
    root, packages = folder / "extra", folder / "packages"
    root.mkdir()
    here = {package.name for package in (*ours,)} | base
    for package in peer:
        if package.name not in here:
            unpack(package.path, packages, _LEAVE)
    modules = root / "modules"
    shutil.copytree(packages / "usr/lib/python3/dist-packages", modules, symlinks=True)
    _copy_library("erpc", modules)
    compileall.compile_dir(
        modules,
        quiet=2,
        stripdir=str(root),
        prependdir="/mnt",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    shared = packages / "usr/lib" / machine.target
    if shared.exists():
        shutil.copytree(shared, root / "lib", symlinks=True)
    shutil.copyfile(HERE / "probe.py", root / "probe.py")
    (root / "cost.so").write_bytes(image_of(PROGRAM, machine.target).data)
    disk = folder / "extra.img"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(disk)]
    done = subprocess.run([*command, "160M"], capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"mke2fs: {done.stderr.strip()}")
    return Extra(disk, _installed_kb(ours), _installed_kb(peer))


def _copy_library(name: str, modules: Path) -> None:
    """A pure Python package of this host's environment."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise PackagingError(f"the Python package {name} is not here: make .venv/ready")
    (source,) = found.submodule_search_locations
    shutil.copytree(source, modules / name, ignore=shutil.ignore_patterns("__pycache__"))


def _installed_kb(packages: list[Package]) -> int:
    sizes = [
        subprocess.run(
            ["dpkg-deb", "--field", str(package.path), "Installed-Size"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for package in packages
    ]
    return sum(int(size) for size in sizes if size.strip())
