# SPDX-License-Identifier: MIT
"""The little of ELF that a fresh image is checked by: machine, segments, exported names.

For results of the linker only, which have section headers; a board checks what it is sent by
itself and trusts nothing. Facts from the ELF specification (gABI) and elf.h.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
_ET_DYN, _PT_TLS, _SHT_DYNSYM = 3, 7, 11


class ElfError(Exception):
    """Not an ELF shared object."""


class Elf(NamedTuple):
    """`exported` are the names defined in the dynamic symbol table."""

    machine: str
    has_tls: bool
    exported: frozenset[str]


def read_elf(data: bytes) -> Elf:
    """Read a little-endian shared object, 32 or 64 bits. ElfError when it is none."""
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise ElfError(f"damaged ELF file ({error})") from None


def _read(data: bytes) -> Elf:
    if data[:4] != b"\x7fELF":
        raise ElfError("no ELF file")
    if data[5] != 1:
        raise ElfError("big-endian targets are not supported")
    wide = data[4] == 2
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != _ET_DYN:
        raise ElfError("an ELF file, but no shared object")
    phoff, shoff = struct.unpack_from("<QQ" if wide else "<II", data, 32 if wide else 28)
    phentsize, phnum, shentsize, shnum = struct.unpack_from("<4H", data, 54 if wide else 42)
    segments = [struct.unpack_from("<I", data, phoff + i * phentsize)[0] for i in range(phnum)]

    # Of a section header: type, offset, size, link, entry size.
    sections = []
    for i in range(shnum):
        fields = struct.unpack_from("<IIQQQQIIQQ" if wide else "<10I", data, shoff + i * shentsize)
        sections.append((fields[1], fields[4], fields[5], fields[6], fields[9]))
    exported = set()
    for section_type, offset, size, link, entry_size in sections:
        if section_type != _SHT_DYNSYM:
            continue
        strings = sections[link][1]
        for at in range(offset, offset + size, entry_size):
            name, section = (
                (struct.unpack_from("<I", data, at)[0], struct.unpack_from("<H", data, at + 6)[0])
                if wide
                else struct.unpack_from("<I10xH", data, at)
            )
            if section != 0:  # 0: undefined, imported
                start = strings + name
                exported.add(data[start : data.index(b"\0", start)].decode("utf-8", "replace"))
    return Elf(
        _MACHINES.get(machine, f"machine {machine}"), _PT_TLS in segments, frozenset(exported)
    )
