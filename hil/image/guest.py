# SPDX-License-Identifier: MIT
"""A board boots to run one script in place of init: how images are finished, among others."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hil.image.kernel import archive
from hil.image.machine import Machine
from serial_runtime.errors import PackagingError

_LIMIT_S = 900.0
_DONE = re.compile(r"^stage: done at [\d.]+ s\s*$", re.MULTILINE)


def run(
    machine: Machine,
    images: Path,
    disk: Path,
    files: dict[str, bytes],
    extra: Sequence[str] = (),
) -> str:
    """Boot ``disk`` with ``files`` in /stage, of which the one named ``stage`` is run as init.

    What the console said; ``extra`` goes to QEMU. PackagingError with the console's last
    lines when it did not succeed.
    """
    if shutil.which(machine.qemu) is None:
        raise PackagingError(f"there is no {machine.qemu}: install qemu-system-arm")
    with tempfile.TemporaryDirectory(prefix="serial-runtime-image-") as scratch:
        folder = Path(scratch)
        initrd = folder / "initrd.cpio"
        stage = archive({f"stage/{name}": data for name, data in files.items()}, ["stage"])
        initrd.write_bytes((images / "initrd.cpio").read_bytes() + stage)
        (folder / "vmlinuz").symlink_to((images / "vmlinuz").absolute())
        if machine.device_tree:
            (folder / "board.dtb").symlink_to((images / "board.dtb").absolute())
        command = machine.arguments(
            folder, append="init=/stage/stage", images=folder, disk=disk, extra=extra
        )
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise PackagingError(_story(f"has not ended after {_LIMIT_S:.0f} s", folder)) from None
        console = (folder / "console.log").read_text(errors="replace")
        if done.returncode or not _DONE.search(console):
            raise PackagingError(_story(f"failed: {done.stderr.strip()}", folder))
        return console


def _story(what: str, folder: Path) -> str:
    log = folder / "console.log"
    lines = log.read_text(errors="replace").splitlines()[-30:] if log.exists() else []
    return "\n".join([f"what the board was booted for {what}", *lines])
