# SPDX-License-Identifier: MIT
"""The whole image, in ``.hil/ARCH``, and made again when what it is made of has changed.

``bare.img`` is Debian with what our package needs; ``root.img`` has our package installed, by the
board's own dpkg. ``manifest.json`` says what is in them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from board.packaging import deb, foreign, wheels
from hil.image import guest, kernel, root
from hil.image.machine import ROOT, Machine
from serial_runtime.errors import PackagingError

_HERE = Path(__file__).parent
_FILES = _HERE / "files"
# A power of two: QEMU wants that of SD cards.
_DISK_SIZE = "512M"


def build(machine: Machine, bare: bool = False, package: Path | None = None) -> Path:
    """Bring the image of a machine up to date; its folder. Needs root. PackagingError.

    ``bare``: without our package. ``package``: this one instead of one of the sources here.
    """
    if os.geteuid() != 0:
        raise PackagingError("the files of an image belong to root: run this as root")
    images = machine.images
    images.mkdir(parents=True, exist_ok=True)
    with _locked(images), tempfile.TemporaryDirectory(dir=images, prefix="packages-") as folder:
        packages = [package] if package else _packages(machine, Path(folder))
        needs = _needs(packages)
        manifest = _read(images)
        key = _digest([*_sources(machine), needs.encode()])
        if manifest.get("bare_key") != key or not (images / "bare.img").exists():
            manifest = _build_bare(machine, images, needs) | {"bare_key": key}
            _write(images, manifest)
        if bare:
            return images
        profile = ROOT / "board" / "profiles" / f"{machine.name}.toml"
        key = _digest([key.encode(), *(one.read_bytes() for one in (*packages, profile))])
        if manifest.get("key") != key or not (images / "root.img").exists():
            _install(machine, images, packages, profile)
            manifest["serial_runtime"] = _field(packages[0], "Version")
            _write(images, manifest | {"key": key})
    return images


def _packages(machine: Machine, folder: Path) -> list[Path]:
    """Ours, of the sources here."""
    target = wheels.TARGETS[machine.architecture]
    wheel = wheels.build(target, folder)
    return [deb.build(target, wheel, folder)]


def _build_bare(machine: Machine, images: Path, needs: str) -> dict[str, Any]:
    began = time.monotonic()
    (images / "manifest.json").unlink(missing_ok=True)
    apt = foreign.Apt(machine.architecture)
    packages = apt.download(*root.PACKAGES, *needs.split())
    with tempfile.TemporaryDirectory(dir=images, prefix="tree-") as scratch:
        tree = Path(scratch)
        tree.chmod(0o755)
        root.build(packages, tree)
        kernel_version = kernel.build(machine, apt, tree, images)
        disk = images / "bare.img"
        disk.unlink(missing_ok=True)
        _make_file_system(tree, disk)
    files = {"stage": _FILES / "stage", "steps": _FILES / "configure.sh"}
    guest.run(machine, images, disk, {name: path.read_bytes() for name, path in files.items()})
    _check_file_system(disk)
    return {
        "machine": machine.name,
        "kernel": kernel_version,
        "packages": {package.name: package.version for package in packages},
        "build_s": round(time.monotonic() - began, 1),
    }


def _make_file_system(tree: Path, disk: Path) -> None:
    if shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        raise PackagingError("there is no mke2fs: install e2fsprogs")
    command: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "board"]
    command += ["-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", "-d", tree]
    done = subprocess.run([*command, disk, _DISK_SIZE], capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"mke2fs: {done.stderr.strip()}")


def _check_file_system(disk: Path) -> None:
    """Nothing is left for a board's first boot to mend: files that were in use are orphans."""
    done = subprocess.run(
        ["/sbin/e2fsck", "-f", "-p", disk], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise PackagingError(f"e2fsck {disk}: {done.stdout.strip()} {done.stderr.strip()}")


def _install(machine: Machine, images: Path, packages: Iterable[Path], profile: Path) -> None:
    """Make ``root.img`` of ``bare.img``."""
    new = images / "root.img.new"
    subprocess.run(["cp", "--sparse=always", images / "bare.img", new], check=True)
    files = {package.name: package.read_bytes() for package in packages}
    files["profile.toml"] = profile.read_bytes()
    files["stage"] = (_FILES / "stage").read_bytes()
    files["steps"] = (_FILES / "install.sh").read_bytes()
    guest.run(machine, images, new, files)
    _check_file_system(new)
    # Boards may run from the old one: theirs stays what it was.
    new.replace(images / "root.img")


def _needs(packages: Iterable[Path]) -> str:
    """The names of Debian's packages that ours depend on."""
    ours = {_field(package, "Package") for package in packages}
    fields = ", ".join(_field(package, "Depends") for package in packages)
    names = {re.sub(r"[\s(|:].*", "", word.strip()) for word in fields.split(",")}
    return " ".join(sorted(names - ours - {""}))


def _field(package: Path, name: str) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", package, name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagingError(f"{package} is no Debian package: {done.stderr.strip()}")
    return done.stdout.strip()


def _sources(machine: Machine) -> Iterator[bytes]:
    """What an image is made of, as far as it is ours."""
    yield f"{machine.kernel_package} {machine.modules} {_DISK_SIZE}".encode()
    code = [Path(module.__file__ or "") for module in (foreign, kernel, root)]
    for path in sorted([*_FILES.rglob("*"), *code]):
        if path.is_file():
            yield path.name.encode() + path.read_bytes()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _read(images: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((images / "manifest.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return manifest


def _write(images: Path, manifest: dict[str, Any]) -> None:
    (images / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


@contextmanager
def _locked(images: Path) -> Iterator[None]:
    with (images / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
