# SPDX-License-Identifier: MIT
"""Wheels of the runtime for boards, cross compiled on this host.

The compiler is Debian's cross gcc. Of the target's Python there are only the headers and the file
that says how its extensions are built, both from Debian's libpython3.11-dev; the wheel is one for
every CPython from 3.11 on (abi3). Its tag names the C library that the compiled code really needs.

    python -m board.packaging.wheels                 # arm64, armhf and this host's processor
    python -m board.packaging.wheels arm64 --out dist
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from board.packaging.elf import needs
from board.packaging.foreign import CACHE, ROOT, Apt, unpack
from serial_runtime.errors import PackagingError, SerialRuntimeError

PYTHON = "3.11"  # Debian 12's, and the oldest that the wheel serves
MODULE = "serial_runtime/_board.abi3.so"
# What of the sources a wheel is built from.
_PARTS = ("board", "codegen", "serial_runtime")
_FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg", "setup.py")
_LEAVE = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info", "_board.c", "packaging")


@dataclass(frozen=True)
class Target:
    """A processor that boards have."""

    debian: str
    triplet: str
    machine: str
    """As uname and the tags of wheels have it."""
    elf: str
    """As readelf has it."""


TARGETS = {
    target.debian: target
    for target in (
        Target("amd64", "x86_64-linux-gnu", "x86_64", "Advanced Micro Devices X86-64"),
        Target("arm64", "aarch64-linux-gnu", "aarch64", "AArch64"),
        Target("armhf", "arm-linux-gnueabihf", "armv7l", "ARM"),
    )
}


def host() -> Target:
    """The target that this machine is. PackagingError."""
    for target in TARGETS.values():
        if target.machine == platform.machine():
            return target
    raise PackagingError(f"no target is known for this host's processor, {platform.machine()}")


def build(target: Target, out: Path, cache: Path = CACHE) -> Path:
    """Write the wheel for `target` to the folder `out` and return its path. PackagingError."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        source, built = Path(folder, "source"), Path(folder, "built")
        for part in _PARTS:
            shutil.copytree(ROOT / part, source / part, ignore=_LEAVE)
        for name in _FILES:
            shutil.copy(ROOT / name, source)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())}
        flags = [f"-ffile-prefix-map={source}=.", "-g0"]
        if target != host():
            sysroot = _sysroot(target, cache)
            environment |= _cross(target, sysroot)
            flags += [f"-I{sysroot}/usr/include", f"-I{sysroot}/usr/include/python{PYTHON}"]
        environment["CFLAGS"] = " ".join([*flags, environment.get("CFLAGS", "")])
        _run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
            + ["--disable-pip-version-check", "--wheel-dir", str(built), "."],
            source,
            environment,
        )
        (wheel,) = built.glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(_tag(wheel, target), out))


def source_date() -> int:
    """Seconds since 1970 of the last commit, so that one commit gives one package.

    Without a repository: of the newest packaging file, pyproject.toml.
    """
    if (given := os.environ.get("SOURCE_DATE_EPOCH", "")).isdigit():
        return int(given)
    done = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True
    )
    if done.returncode == 0 and done.stdout.strip():
        return int(done.stdout)
    return int((ROOT / "pyproject.toml").stat().st_mtime)


def tool(target: Target, name: str) -> str:
    """The name of a tool of the compiler for `target`, as ``gcc``. PackagingError without it."""
    command = name if target == host() else f"{target.triplet}-{name}"
    if shutil.which(command) is None:
        raise PackagingError(f"there is no {command} here: install gcc-{target.triplet}")
    return command


def _sysroot(target: Target, cache: Path) -> Path:
    """A folder with the headers of the target's Python."""
    wanted = {f"libpython{PYTHON}{part}" for part in ("-dev", "-minimal", "-stdlib")}
    packages = [
        package
        for package in Apt(target.debian, cache).download(f"libpython{PYTHON}-dev")
        if package.name in wanted
    ]
    # Named by what is in it: a newer version gets a folder of its own.
    version = {package.name: package.version for package in packages}[f"libpython{PYTHON}-dev"]
    sysroot = cache / "sysroot" / f"{target.debian}-{version}"
    if not sysroot.exists():
        sysroot.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=sysroot.parent))
        for package in packages:
            unpack(package.path, new)
        try:
            new.rename(sysroot)
        except OSError:  # somebody else was faster
            shutil.rmtree(new)
    return sysroot


def _cross(target: Target, sysroot: Path) -> dict[str, str]:
    """The environment in which setuptools builds for another processor."""
    # The description of the target's build alone: the rest of that standard library is not for us.
    name = f"_sysconfigdata__{target.triplet}"
    folder = sysroot / "description"
    folder.mkdir(exist_ok=True)
    shutil.copy(sysroot / "usr/lib" / f"python{PYTHON}" / f"{name}.py", folder)
    compiler = tool(target, "gcc")
    return {
        "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
        "_PYTHON_SYSCONFIGDATA_NAME": name,
        "PYTHONPATH": str(folder),
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
    }


def _tag(wheel: Path, target: Target) -> Path:
    """Name the C library in the wheel's tag (PEP 600), after a look at what was compiled."""
    with zipfile.ZipFile(wheel) as archive:
        module = Path(archive.extract(MODULE, wheel.parent / "check"))
    found = needs(module)
    if found.machine != target.elf:
        raise PackagingError(f"{wheel.name}: compiled for {found.machine}, not for {target.elf}")
    if foreign := [name for name in found.libraries if not _of_libc(name)]:
        raise PackagingError(f"{wheel.name} needs {', '.join(foreign)}, which a board may not have")
    major, minor = found.glibc
    tag = f"manylinux_{major}_{minor}_{target.machine}"
    words = ["wheel", "tags", "--remove", "--platform-tag", tag, str(wheel)]
    _run([sys.executable, "-m", *words], wheel.parent, dict(os.environ))
    (tagged,) = wheel.parent.glob("*.whl")
    return tagged


def _of_libc(library: str) -> bool:
    """Also the loader, which ARM code names for its thread-local variables."""
    return library == "libc.so.6" or library.startswith("ld-linux")


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise PackagingError(f"{' '.join(command[1:4])} failed:\n{done.stdout.strip()}")


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m board.packaging.wheels", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "targets", nargs="*", metavar="ARCH", help=f"{', '.join(TARGETS)}; default: see above"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default: %(default)s")
    options = parser.parse_args(words)
    try:
        for name in options.targets or sorted({"arm64", "armhf", host().debian}):
            if name not in TARGETS:
                parser.error(f"{name}: there are {', '.join(TARGETS)}")
            print(build(TARGETS[name], options.out))
    except SerialRuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
