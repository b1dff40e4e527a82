# SPDX-License-Identifier: MIT
"""A board's disk as a power cut leaves it, made and looked at on this host.

What a boot would do first is done by the same program: ``e2fsck -p`` replays the journal. Nothing
else may be left to mend. Then the files are taken out with ``debugfs``; no root is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hil.power_cuts.write_log import SECTOR, Cut, Entry

_ENVIRONMENT = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
# What every mount without a clean unmount leaves and every later one mends by itself: counters of
# the superblock, which no journal holds, and files that were deleted while they were open.
_USUAL = re.compile(
    r"|Overwriting existing filesystem; this can be undone using the command:|e2undo .*"
    r"|.*: recovering journal|.*: \d+/\d+ files \(.*"
    r"|.*: Clearing orphaned inode .*"
    r"|.*: Free (blocks|inodes) count wrong \(\d+, counted=\d+\)\.|FIXED\."
)


class DamagedFileSystem(Exception):
    """The file system is not what its journal promises."""


class DiskImage:
    """A raw image with one ext4 file system, and what was written to it since."""

    def __init__(self, image: Path, entries: Sequence[Entry]) -> None:
        """`image` is changed from now on. ``OSError``."""
        self._path = image
        self._entries = entries
        self._done = 0  # entries that are in the image for good: up to a flush

    @contextlib.contextmanager
    def after(self, cut: Cut) -> Iterator[Path]:
        """The image as this cut leaves it, to be changed at will. Cuts come in order of time."""
        flushed = cut.made
        while flushed > self._done and not self._entries[flushed - 1].flush:
            flushed -= 1
        with self._path.open("r+b", buffering=0) as file:
            for entry in self._entries[self._done : flushed]:
                file.seek(entry.offset)
                file.write(entry.data)
            self._done = flushed
            before = []
            for number in range(self._done, cut.made):
                if number in cut.lost:
                    continue
                entry = self._entries[number]
                torn = number == cut.made - 1 and cut.torn >= 0
                data = entry.data[: cut.torn * SECTOR] if torn else entry.data
                file.seek(entry.offset)
                before.append((entry.offset, file.read(len(data))))
                file.seek(entry.offset)
                file.write(data)
        undo = self._path.with_suffix(".undo")
        undo.unlink(missing_ok=True)
        try:
            yield self._path
        finally:
            if undo.exists():
                _run("e2undo", undo, self._path)
            with self._path.open("r+b", buffering=0) as file:
                for offset, data in reversed(before):
                    file.seek(offset)
                    file.write(data)


def repair(image: Path) -> None:
    """What a boot does before it mounts. DamagedFileSystem: there was more to do than usual."""
    undo = image.with_suffix(".undo")
    undo.unlink(missing_ok=True)
    done = _run("e2fsck", "-f", "-p", "-z", undo, image, good=(0, 1, 4))
    lines = [line.strip() for line in done.splitlines()]
    unusual = [line for line in lines if not _USUAL.fullmatch(line)]
    if unusual:
        raise DamagedFileSystem("; ".join(unusual))


def extract(image: Path, directory: str, target: Path) -> Path:
    """A copy of one of the image's directories, below `target`, which is emptied before."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _run("debugfs", "-R", f"rdump {directory} {target}", image)
    return target / Path(directory).name


def _run(program: str, *words: str | Path, good: tuple[int, ...] = (0, 1)) -> str:
    done = subprocess.run(
        [program, *words],
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode not in good:
        raise DamagedFileSystem(f"{program}: exit code {done.returncode}: {done.stdout}")
    return done.stdout


def replace_module(image: Path, module: str, file: Path) -> None:
    """Put another source of a Python module into the image, and drop what was compiled of it.

    FileNotFoundError: it is not there.
    """
    stem = Path(module).stem
    for folder in ("/usr/lib/serial-runtime", "/usr/lib/python3/dist-packages"):
        path = Path(folder) / module
        if "Type: regular" not in _run("debugfs", "-R", f"stat {path}", image):
            continue
        cache = path.parent / "__pycache__"
        listed = _run("debugfs", "-R", f"ls -p {cache}", image)
        orders = [f"rm {cache}/{name}" for name in re.findall(rf"/({stem}\.[^/]*\.pyc)/", listed)]
        orders += [f"rm {path}", f"cd {path.parent}", f"write {file} {path.name}"]
        script = file.with_suffix(".debugfs")
        script.write_text("".join(f"{order}\n" for order in orders))
        _run("debugfs", "-w", "-f", script, image)
        return
    raise FileNotFoundError(f"the image has no module {module}")
