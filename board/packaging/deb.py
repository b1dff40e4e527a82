# SPDX-License-Identifier: MIT
"""The Debian package of the runtime: from the wheel, without debhelper.

It holds our packages, eRPC, which Debian does not have, and pymodbus, of which Debian 12 has one
that is too old, in a folder of their own, compiled to bytecode; the rest comes from Debian. What is
not made here lies in `debian/`.

    python -m board.packaging.deb arm64              # dist/serial-runtime_0.1.0_arm64.deb
    python -m board.packaging.deb armhf --version 0.1.0+acme2 --out /tmp
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import serial_runtime
from board.packaging.elf import needs
from board.packaging.foreign import CACHE, ROOT
from board.packaging.wheels import MODULE, PYTHON, TARGETS, Target, host, source_date
from board.packaging.wheels import build as build_wheel
from serial_runtime.errors import PackagingError, SerialRuntimeError

DEBIAN = Path(__file__).parent / "debian"
FOLDER = "usr/lib/serial-runtime"
GLIBC = (2, 36)  # Debian 12's
# File of `debian/` -> where it is installed.
_FILES = {
    "serial-runtime": "usr/bin/serial-runtime",
    "serial-runtime.service": "usr/lib/systemd/system/serial-runtime.service",
    "sysusers.conf": "usr/lib/sysusers.d/serial-runtime.conf",
    "udev.rules": "usr/lib/udev/rules.d/60-serial-runtime.rules",
    "rtupdate": "usr/share/python3/runtime.d/serial-runtime.rtupdate",
    "profile.toml": "etc/serial-runtime/profile.toml",
    "copyright": "usr/share/doc/serial-runtime/copyright",
}
_SCRIPTS = ("postinst", "prerm", "postrm")
_PROGRAMS = {_FILES["serial-runtime"], _FILES["rtupdate"], *(f"DEBIAN/{name}" for name in _SCRIPTS)}


def build(
    target: Target,
    wheel: Path,
    out: Path,
    version: str = serial_runtime.__version__,
    cache: Path = CACHE,
) -> Path:
    """Write serial-runtime_VERSION_ARCH.deb to `out` and return its path. PackagingError.

    `wheel`: that of the target, see `wheels.build`.
    """
    _check_version(version)
    with tempfile.TemporaryDirectory(prefix="deb-") as folder:
        root = Path(folder)
        _unzip(wheel, root)
        module = root / FOLDER / MODULE
        glibc = needs(module).glibc
        if glibc > GLIBC:
            raise PackagingError(
                "the code needs glibc {}.{}, Debian 12 has {}.{}: build on Debian 12".format(
                    *glibc, *GLIBC
                )
            )
        for name in ("erpc", "pymodbus"):
            _unzip(_from_pypi(name, cache), root)
        for name, place in _FILES.items():
            _install(DEBIAN / name, root / place)
        changes = root / "usr/share/doc/serial-runtime/changelog.gz"
        changes.write_bytes(gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))
        for name in _SCRIPTS:
            _install(DEBIAN / name, root / "DEBIAN" / name)
        (root / "DEBIAN" / "conffiles").write_text("/etc/serial-runtime/profile.toml\n")
        fields = {"VERSION": version, "ARCHITECTURE": target.debian}
        fields["GLIBC"] = "{}.{}".format(*glibc)
        return _pack(root, fields, out)


def _check_version(version: str) -> None:
    if not re.fullmatch(r"\d[A-Za-z0-9.+~]*", version):
        raise PackagingError(f"{version!r}: expected a version as Debian has them, such as 0.1.0+1")


def _unzip(wheel: Path, root: Path) -> None:
    """The packages of a wheel, and its other files, without what describes it to pip."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        for path in Path(folder).iterdir():
            if path.suffix == ".data":  # our profiles
                shutil.copytree(path / "data", root / "usr", dirs_exist_ok=True)
            elif path.suffix != ".dist-info":
                shutil.copytree(path, root / FOLDER / path.name)


def _from_pypi(name: str, cache: Path) -> Path:
    """A pure wheel in the version, and with the digest, of requirements.txt."""
    requirements = (Path(__file__).parent / "requirements.txt").read_text().splitlines()
    (line,) = (line for line in requirements if line.startswith(f"{name}=="))
    version = line.split()[0].partition("==")[2]
    folder = cache / "pypi" / f"{name}-{version}"
    if not any(folder.glob("*.whl")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requirements.txt").write_text(line + "\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
        command += ["--disable-pip-version-check", "-r", str(folder / "requirements.txt")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise PackagingError(f"pip does not get {name} {version}: {done.stderr.strip()}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _pack(root: Path, fields: Mapping[str, str], out: Path) -> Path:
    """Make the package of a finished tree."""
    for path in (root, *root.rglob("*")):
        program = str(path.relative_to(root)) in _PROGRAMS
        path.chmod(0o755 if path.is_dir() or program else 0o644)
        os.utime(path, (source_date(), source_date()))
    _compile(root)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    files = [path for path in files if "DEBIAN" not in path.relative_to(root).parts]
    size = str(sum(-(-path.stat().st_size // 1024) for path in files))
    text = (DEBIAN / "control").read_text()
    for name, value in {**fields, "SIZE": size}.items():
        text = text.replace(f"@{name}@", value)
    (root / "DEBIAN" / "control").write_text(text)
    sums = [f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(root)}\n" for p in files]
    (root / "DEBIAN" / "md5sums").write_text("".join(sums))
    out.mkdir(parents=True, exist_ok=True)
    package = out / "serial-runtime_{VERSION}_{ARCHITECTURE}.deb".format(**fields)
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(package)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date())},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PackagingError(f"{package.name}: {done.stderr.strip()}")
    return package


def _compile(root: Path) -> None:
    """Bytecode of Debian 12's Python, if this is one; else the board makes all of it (postinst).

    By time stamp, as the board's py3compile has it, which then finds nothing to do.
    """
    if "{}.{}".format(*sys.version_info) != PYTHON:
        return
    mode = py_compile.PycInvalidationMode.TIMESTAMP
    if not compileall.compile_dir(
        root / FOLDER, quiet=1, stripdir=str(root), prependdir="/", invalidation_mode=mode
    ):
        raise PackagingError("a module cannot be compiled to bytecode")
    for path in root.rglob("__pycache__"):
        path.chmod(0o755)


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m board.packaging.deb", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", nargs="?", choices=TARGETS, help="default: this host's processor")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default: %(default)s")
    parser.add_argument(
        "--version", default=serial_runtime.__version__, help="of the package; default: %(default)s"
    )
    options = parser.parse_args(words)
    try:
        target = TARGETS[options.target] if options.target else host()
        with tempfile.TemporaryDirectory(prefix="deb-") as folder:
            wheel = build_wheel(target, Path(folder))
            print(build(target, wheel, options.out, options.version))
    except SerialRuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
