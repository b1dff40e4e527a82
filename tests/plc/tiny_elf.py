# SPDX-License-Identifier: MIT
"""Writes the smallest ELF shared objects, for this machine or another, right or wrong by intent."""

from __future__ import annotations

import struct
from typing import NamedTuple

from serial_runtime.plc.elf import ABI_MAGIC, ABI_VERSION, Machine, this_machine


class Wrong(NamedTuple):
    """What to do differently from a good image."""

    machine: Machine | None = None
    kind: int = 3  # ET_DYN
    tls: bool = False
    symbol: bytes = b"sr_plc_image"
    magic: int = ABI_MAGIC
    version: int = ABI_VERSION
    gnu_hash: bool = True
    defined: bool = True


def gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def tiny_image(tail: bytes = b"", wrong: Wrong | None = None) -> bytes:
    """An ELF file with one exported symbol, followed by `tail`, which no segment covers."""
    wrong = wrong or Wrong()
    machine = wrong.machine or this_machine()
    mark = "<" if machine.little else ">"
    wide = machine.bits == 64
    word = "Q" if wide else "I"

    def pack(form: str, *values: int) -> bytes:
        return struct.pack(mark + form, *values)

    header_size, segment_size, symbol_size = (64, 56, 24) if wide else (52, 32, 16)
    segments = 3 if wrong.tls else 2
    symtab = header_size + segments * segment_size
    strings = b"\0" + wrong.symbol + b"\0"
    strtab = symtab + 2 * symbol_size
    hash_at = strtab + len(strings) + (-(strtab + len(strings)) % 8)
    if wrong.gnu_hash:
        table = pack("IIII", 1, 1, 1, 0) + pack(word, (1 << (8 * (8 if wide else 4))) - 1)
        table += pack("I", 1) + pack("I", gnu_hash(wrong.symbol) | 1)
    else:
        table = pack("II", 1, 2) + pack("I", 1) + pack("II", 0, 0)
    dynamic_at = hash_at + len(table) + (-(hash_at + len(table)) % 8)
    tags = [
        (0x6FFFFEF5 if wrong.gnu_hash else 4, hash_at),
        (5, strtab),
        (6, symtab),
        (10, len(strings)),
        (11, symbol_size),
        (0, 0),
    ]
    dynamic = b"".join(pack(word + word, tag, value) for tag, value in tags)
    table_at = dynamic_at + len(dynamic)
    image_table = pack("IIII", wrong.magic, wrong.version, 0, 0)
    end = table_at + len(image_table)

    def segment(kind: int, offset: int, size: int) -> bytes:
        if wide:
            return pack("IIQQQQQQ", kind, 6, offset, offset, offset, size, size, 4096)
        return pack("IIIIIIII", kind, offset, offset, offset, size, size, 6, 4096)

    def symbol(name: int, info: int, section: int, address: int) -> bytes:
        if wide:
            return pack("IBBHQQ", name, info, 0, section, address, 16)
        return pack("IIIBBH", name, address, 16, info, 0, section)

    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if machine.little else 2, 1, 0]) + bytes(8)
    head = ident + pack("HHI", wrong.kind, machine.code, 1)
    head += pack(word * 3, 0, header_size, 0)
    head += pack("IHHHHHH", 0, header_size, segment_size, segments, 0, 0, 0)
    body = segment(1, 0, end) + segment(2, dynamic_at, len(dynamic))
    if wrong.tls:
        body += segment(7, 0, 4)
    body += symbol(0, 0, 0, 0) + symbol(1, 0x11, 1 if wrong.defined else 0, table_at)
    body += strings
    for offset, part in ((hash_at, table), (dynamic_at, dynamic), (table_at, image_table)):
        body += bytes(offset - header_size - len(body)) + part
    assert len(head) == header_size
    return head + body + tail
