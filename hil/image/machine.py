# SPDX-License-Identifier: MIT
"""The emulated machines: what QEMU is told, and how the board's ends are called on both sides.

Nothing here knows labgrid, or how an image is built; whoever runs a board passes a folder of its
own, in which QEMU makes its sockets:

    console.sock   the console, where root is logged in; console.log has all it ever said
    line.sock      the UART that the runtime serves
    modbus.sock    a second UART, for a Modbus RTU line to a plant
    qmp.sock       QEMU's monitor
    qtest.sock     QEMU's test protocol (the GPIO lines of ``virt-arm64``)
    disk.qcow2     the board's disk, an overlay of the image: what outlives a power cut
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serial_runtime.errors import PackagingError

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / ".hil"
# The file system must not hide what a power cut does to a rename without an fsync.
ROOT_FLAGS = "noatime,noauto_da_alloc"


@dataclass(frozen=True)
class Machine:
    """One machine that QEMU has."""

    name: str
    architecture: str
    target: str
    """The compiler's triple of programs for it."""
    qemu: str
    board: tuple[str, ...]
    """What makes QEMU this machine."""
    console: str
    console_options: str
    line: str
    modbus: str
    disk: str
    """The board's name of its disk."""
    gpiochip: str
    disk_options: tuple[str, ...]
    uart_options: tuple[str, ...]
    """The two UARTs beside the console; their character devices are ``line`` and ``modbus``."""
    modules: tuple[str, ...]
    """To find the disk."""
    kernel_package: str
    device_tree: bool = False

    @property
    def images(self) -> Path:
        """Where the image is built."""
        return IMAGES / self.architecture

    def arguments(
        self,
        run: Path,
        append: str = "",
        images: Path | None = None,
        disk: Path | None = None,
        extra: Sequence[str] = (),
    ) -> list[str]:
        """QEMU's whole command line, for a board whose sockets and disk are in ``run``.

        ``append`` goes to the kernel, ``extra`` to QEMU. ``disk`` is a raw image to write to
        instead of the overlay that ``make_disk`` makes.
        """
        images = images or self.images
        drive = f"file={run / 'disk.qcow2'},format=qcow2"
        if disk is not None:
            drive = f"file={disk},format=raw"
        words = [self.qemu, *self.board]
        words += ["-display", "none", "-nodefaults", "-no-reboot"]
        words += ["-kernel", str(images / "vmlinuz"), "-initrd", str(images / "initrd.cpio")]
        if self.device_tree:
            words += ["-dtb", str(images / "board.dtb")]
        words += ["-append", f"{self.command_line()} {append}".strip()]
        words += [option.format(drive=drive) for option in self.disk_options]
        console = f"socket,id=console,path={run / 'console.sock'},server=on,wait=off"
        words += ["-chardev", f"{console},logfile={run / 'console.log'},logappend=on"]
        words += ["-serial", "chardev:console"]
        for name in ("line", "modbus"):
            words += ["-chardev", f"socket,id={name},path={run / name}.sock,server=on,wait=off"]
        words += self.uart_options
        words += ["-qmp", f"unix:{run / 'qmp.sock'},server=on,wait=off"]
        words += ["-qtest", f"unix:{run / 'qtest.sock'},server=on,wait=off"]
        return [*words, *extra]

    def command_line(self) -> str:
        """The kernel's."""
        return (
            f"console={self.console}{self.console_options} root={self.disk}"
            f" rootflags={ROOT_FLAGS} quiet loglevel=4 panic=-1 systemd.show_status=0"
        )

    def make_disk(self, run: Path, images: Path | None = None, image: str = "root.img") -> Path:
        """The board's disk as it leaves the factory: ``disk.qcow2``, which replaces any other."""
        base = (images or self.images) / image
        if not base.exists():
            raise PackagingError(
                f"there is no {base}: build it with python -m hil.image {self.architecture}"
            )
        if shutil.which("qemu-img") is None:
            raise PackagingError("there is no qemu-img: install qemu-utils")
        disk = run / "disk.qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.resolve(), disk],
            check=True,
        )
        return disk


VIRT_ARM64 = Machine(
    name="virt-arm64",
    architecture="arm64",
    target="aarch64-linux-gnu",
    qemu="qemu-system-aarch64",
    board=("-M", "virt", "-cpu", "cortex-a53", "-smp", "1", "-m", "512"),
    console="ttyAMA0",
    console_options="",
    line="/dev/ttyS0",
    modbus="/dev/ttyS1",
    disk="/dev/vda",
    gpiochip="/dev/gpiochip0",
    disk_options=("-drive", "{drive},if=none,id=disk", "-device", "virtio-blk-pci,drive=disk"),
    uart_options=(
        *("-device", "pci-serial,chardev=line"),
        *("-device", "pci-serial,chardev=modbus"),
    ),
    modules=("crc32c_generic", "virtio_pci", "virtio_blk", "ext4"),
    kernel_package="linux-image-rt-arm64",
)
AST2600_ARMHF = Machine(
    name="ast2600-armhf",
    architecture="armhf",
    target="arm-linux-gnueabihf",
    qemu="qemu-system-arm",
    board=("-M", "ast2600-evb", "-m", "1G"),
    console="ttyS4",
    console_options=",115200",
    line="/dev/ttyS0",
    modbus="/dev/ttyS1",
    disk="/dev/mmcblk0",
    gpiochip="/dev/gpiochip0",
    disk_options=("-drive", "{drive},if=sd,index=2"),
    uart_options=("-serial", "chardev:line", "-serial", "chardev:modbus"),
    modules=("crc32c_generic", "sdhci-of-aspeed", "mmc_block", "ext4", "gpio-aspeed"),
    kernel_package="linux-image-rt-armmp",
    device_tree=True,
)
MACHINES = {machine.name: machine for machine in (VIRT_ARM64, AST2600_ARMHF)}


def of_architecture(architecture: str) -> Machine:
    """The machine that an image of this architecture is for. PackagingError."""
    for machine in MACHINES.values():
        if machine.architecture == architecture:
            return machine
    known = ", ".join(machine.architecture for machine in MACHINES.values())
    raise PackagingError(f"there are no board images for {architecture}: accepted are {known}")
