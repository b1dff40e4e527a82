# SPDX-License-Identifier: MIT
"""Debian packages of another architecture, resolved, downloaded and unpacked on this host.

apt runs with lists, status and cache of its own below a folder, from the host's own sources; the
host's dpkg, its architectures and its installed packages are neither asked nor changed. No root is
needed. Packages are unpacked, their maintainer scripts do not run.

    python -m board.packaging.foreign arm64 libpython3.11-dev --unpack sysroot
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serial_runtime.errors import PackagingError, SerialRuntimeError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".hil" / "cache"
_LISTS_AGE_S = 24 * 3600.0
_ATTEMPTS = 4
# "Inst libc6 (2.36-9+deb12u10 Debian:12.10/stable [arm64])"
_INSTALL = re.compile(r"^Inst (?P<name>\S+) \((?P<version>\S+) .*\[(?P<arch>\w+)\]")


@dataclass(frozen=True)
class Package:
    """One downloaded package."""

    name: str
    version: str
    path: Path


class Apt:
    """apt for one architecture, with everything that it keeps below ``cache``."""

    def __init__(self, architecture: str, cache: Path = CACHE) -> None:
        """``architecture`` in Debian's words, as ``armhf``. PackagingError without apt."""
        for tool, debian in (("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("tar", "tar")):
            if shutil.which(tool) is None:
                raise PackagingError(
                    f"there is no {tool} here: board packages are built on Debian or one of its"
                    f" derivatives, with the package {debian}"
                )
        self.architecture = architecture
        self._folder = cache.absolute() / "apt" / architecture
        self._archives = self._folder / "cache" / "archives"
        self._lists = self._folder / "lists"
        for folder in (self._archives / "partial", self._lists / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()

    def download(self, *names: str) -> list[Package]:
        """These packages and all they depend on, in an order in which they can be installed.

        What is in the cache is not downloaded again; lists are renewed when they are a day old.
        PackagingError.
        """
        with self._locked():
            self._renew_lists()
            packages = self._resolve(names)
            if not all(package.path.exists() for package in packages):
                self._run("install", "--download-only", *names)
        for package in packages:
            if not package.path.exists():
                raise PackagingError(f"apt has not left {package.path.name} in {self._archives}")
        return packages

    def _resolve(self, names: Iterable[str]) -> list[Package]:
        said = self._run("install", "--simulate", *names)
        found = [match for line in said.splitlines() if (match := _INSTALL.match(line))]
        return [
            Package(
                match["name"].partition(":")[0],
                match["version"],
                self._archives
                / "{}_{}_{}.deb".format(
                    match["name"].partition(":")[0],
                    match["version"].replace(":", "%3a"),
                    match["arch"],
                ),
            )
            for match in found
        ]

    def _renew_lists(self) -> None:
        mark = self._folder / "renewed"
        if mark.exists() and time.time() - mark.stat().st_mtime < _LISTS_AGE_S:
            return
        try:
            self._run("update")
        except PackagingError:
            # A source that does not have this architecture, or does not answer, is no obstacle
            # as long as there is another: resolving says what is missing.
            if not any(self._lists.glob("*_Packages*")):
                raise
        mark.touch()

    def _run(self, *words: str) -> str:
        options = {
            "APT::Architecture": self.architecture,
            "APT::Install-Recommends": "0",
            "APT::Sandbox::User": "root",
            "APT::Update::Post-Invoke-Success::": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::Cache": str(self._folder / "cache"),
            "Dir::Log": str(self._folder),
            "Dir::State": str(self._folder),
            "Dir::State::Lists": str(self._lists),
            "Dir::State::status": str(self._folder / "status"),
        }
        command = ["apt-get", "-y", "-q", "-o", "APT::Architectures::="]
        command += ["-o", f"APT::Architectures={self.architecture}"]
        for key, value in options.items():
            command += ["-o", f"{key}={value}"]
        command += words
        said = ""
        for attempt in range(_ATTEMPTS):
            time.sleep(2.0 * attempt)
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                # Its messages are read, and nobody is there to be asked.
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            )
            if done.returncode == 0:
                return done.stdout
            said = done.stderr.strip()
            if "Unable to locate package" in said or "has no installation candidate" in said:
                break
        raise PackagingError(
            f"apt-get {' '.join(words)} for {self.architecture}, from this host's sources: {said}"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two builds may share a cache."""
        with (self._folder / "lock-here").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def unpack(package: Path, root: Path, exclude: Sequence[str] = ()) -> list[str]:
    """Write the files of a .deb below ``root``, without those that match a pattern of tar's.

    Their names, as dpkg lists them.

    Symbolic links to folders that are there already stay, so a root with a merged /usr stays one.
    PackagingError.
    """
    root.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as opened:
        done = subprocess.run(
            ["tar", "--extract", "--verbose", "--keep-directory-symlink", "--directory", str(root)]
            + [f"--exclude={pattern}" for pattern in exclude],
            stdin=opened.stdout,
            capture_output=True,
            text=True,
        )
    if opened.returncode or done.returncode:
        raise PackagingError(f"{package.name} cannot be unpacked: {done.stderr.strip()}")
    names = (line.removeprefix(".").rstrip("/") for line in done.stdout.splitlines())
    return [name or "/." for name in names]


def merge_usr(root: Path) -> None:
    """Make /bin, /sbin and /lib of a new root links into /usr, as Debian has them."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        link = root / name
        if not link.is_symlink():
            link.symlink_to(Path("usr") / name)


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m board.packaging.foreign", description=__doc__)
    parser.add_argument("architecture", help="Debian's name, as arm64 or armhf")
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="write their files below DIR")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    options = parser.parse_args(words)
    try:
        packages = Apt(options.architecture, options.cache).download(*options.packages)
        if options.unpack:
            merge_usr(options.unpack)
        for package in packages:
            if options.unpack:
                unpack(package.path, options.unpack)
            print(package.path)
    except SerialRuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
