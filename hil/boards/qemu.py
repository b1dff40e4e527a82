# SPDX-License-Identifier: MIT
"""The command line of an emulated board, and its disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hil.boards.board import RigError


def arguments(machine: str, folder: Path) -> list[str]:
    """Of QEMU for a board that runs in `folder`; makes its disk when there is none."""
    image = Path(os.environ.get("HIL_IMAGE", "/nonexistent"))
    if not (image / "root.img").exists():
        raise RigError(f"there is no board image in {image}")
    disk = folder / "disk.qcow2"
    if not disk.exists():
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"]
            + ["-b", str((image / "root.img").resolve()), str(disk)],
            check=True,
        )

    def sock(name: str) -> str:
        return f"socket,id={name},path={folder}/{name}.sock,server=on,wait=off"

    return [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "1", "-m", "512"),
        *("-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/small.cpio", "-no-reboot"),
        *("-display", "none", "-nodefaults"),
        *("-append", "console=ttyAMA0 quiet loglevel=4 panic=-1"),
        *("-drive", f"file={disk},format=qcow2,if=none,id=d", "-device", "virtio-blk-pci,drive=d"),
        *("-chardev", f"{sock('console')},logfile={folder}/console.log"),
        *("-serial", "chardev:console"),
        *("-chardev", sock("line"), "-device", "pci-serial,chardev=line"),
        *("-chardev", sock("modbus"), "-device", "pci-serial,chardev=modbus"),
        *("-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off"),
        *("-qtest", f"unix:{folder}/qtest.sock,server=on,wait=off"),
    ]
