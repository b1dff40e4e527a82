# SPDX-License-Identifier: MIT
"""The board's kernel with the modules that it needs, the initramfs that finds the disk, the device
tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from board.packaging.foreign import Apt, unpack
from hil.image.machine import Machine
from serial_runtime.errors import PackagingError

_FILES = Path(__file__).parent / "files"
# Debian's device tree of the board has the console's UART only. QEMU's UARTs take their clock for
# the usual one whatever the tree says; told another, the driver's receive timeout is ten times as
# long as a real board's.
_UARTS = ("1e783000", "1e78d000", "1e78e000", "1e78f000")
_UART_CLOCK_HZ = 1843200
# Of the initramfs: package and file.
_PROGRAMS = {"busybox-static": "bin/busybox", "e2fsck-static": "sbin/e2fsck.static"}


def build(machine: Machine, apt: Apt, root: Path, images: Path) -> str:
    """Write ``vmlinuz``, ``initrd.cpio`` and ``board.dtb``, and the modules into ``root``.

    The version of the package. PackagingError.
    """
    package = next(
        one for one in apt.download(machine.kernel_package) if re.match(r"linux-image-\d", one.name)
    )
    with tempfile.TemporaryDirectory(dir=images) as scratch:
        kernel = Path(scratch)
        unpack(package.path, kernel)
        release = next((kernel / "lib" / "modules").iterdir()).name
        shutil.copyfile(kernel / "boot" / f"vmlinuz-{release}", images / "vmlinuz")
        _run("depmod", "-b", str(kernel), release, package="kmod")
        order = _with_needs(kernel / "lib" / "modules" / release, machine.modules)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order", *order):
            target = root / "usr" / "lib" / "modules" / release / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kernel / "lib" / "modules" / release / name, target)
        _run("depmod", "-b", str(root), release, package="kmod")
        files = {"init": (_FILES / "init").read_bytes()}
        for name, program in _PROGRAMS.items():
            (one,) = (one for one in apt.download(name) if one.name == name)
            unpack(one.path, kernel / name)
            place = f"bin/{Path(program).name.removesuffix('.static')}"
            files[place] = (kernel / name / program).read_bytes()
        names = [f"{number:02}-{Path(name).name}" for number, name in enumerate(order)]
        for name, module in zip(names, order, strict=True):
            files[f"modules/{name}"] = (kernel / "lib" / "modules" / release / module).read_bytes()
        (images / "initrd.cpio").write_bytes(
            archive(files, folders=("dev", "proc", "sys", "root", "bin", "modules"))
        )
        if machine.device_tree:
            tree = next(kernel.glob("usr/lib/linux-image-*/**/aspeed-ast2600-evb.dtb"))
            shutil.copyfile(tree, images / "board.dtb")
            for uart in _UARTS:
                node = f"/ahb/apb/serial@{uart}"
                put = ("fdtput", "-t")
                board = str(images / "board.dtb")
                tools = "device-tree-compiler"
                _run(*put, "s", board, node, "status", "okay", package=tools)
                clock = ("clock-frequency", str(_UART_CLOCK_HZ))
                _run(*put, "u", board, node, *clock, package=tools)
    return f"{package.name} {package.version}"


def _with_needs(folder: Path, modules: Iterable[str]) -> list[str]:
    """Files of modules, each after what it needs; what is built in has none."""
    needs: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[file] = others.split()
    by_name = {Path(file).name.split(".")[0].replace("-", "_"): file for file in needs}
    order: list[str] = []
    for module in modules:
        name = module.replace("-", "_")
        if name in by_name:
            # modules.dep has what is needed last first.
            found = by_name[name]
            order += [one for one in (*reversed(needs[found]), found) if one not in order]
    return order


def archive(files: dict[str, bytes], folders: Iterable[str] = ()) -> bytes:
    """An initramfs (cpio, newc). The kernel takes several, one after the other."""
    entries: list[tuple[str, int, bytes]] = [(name, 0o040755, b"") for name in folders]
    for name, content in files.items():
        runs = content[:2] == b"#!" or content[:4] == b"\x7fELF"
        entries.append((name, 0o100755 if runs else 0o100644, content))
    entries.append(("TRAILER!!!", 0, b""))
    whole = bytearray()
    for number, (name, mode, content) in enumerate(entries, 1):
        size = len(content)
        numbers = (number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0)
        whole += b"070701" + b"".join(f"{value:08x}".encode() for value in numbers)
        whole += name.encode() + b"\0"
        whole += b"\0" * (-len(whole) % 4) + content
        whole += b"\0" * (-len(whole) % 4)
    return bytes(whole)


def _run(*words: str, package: str) -> None:
    if shutil.which(words[0], path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        raise PackagingError(f"there is no {words[0]}: install {package}")
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"{' '.join(words)}: {done.stderr.strip()}")
