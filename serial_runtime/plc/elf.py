# SPDX-License-Identifier: MIT
"""Checks a program file before anything of it is executed: is it an image for this machine?

Only what must not reach the dynamic loader, or what deserves a better sentence than its own, is
looked at: kind, machine, thread-local storage, the exported table and its ABI version; of an object
of the Beremiz IDE, which has no table, that it is one. The file
comes from the network: every offset and count is checked, every loop is bounded.

The table's symbol is looked up as the loader does it, through PT_DYNAMIC and its hash table, so
a file without section headers is fine and one whose headers lie gains nothing.
"""

from __future__ import annotations

from struct import Struct

from serial_runtime.errors import ImageError
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SYMBOL = b"sr_plc_image"  # SR_IMAGE_SYMBOL of plc_abi.h
BEREMIZ_SYMBOL = b"startPLC"  # of an object that the Beremiz IDE builds
ABI_MAGIC = 0x434C5053  # SR_ABI_MAGIC
ABI_VERSION = 1  # SR_ABI_VERSION

_ET_DYN = 3
_PT_LOAD, _PT_DYNAMIC, _PT_TLS = 1, 2, 7
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_GNU_HASH = 4, 5, 6, 10, 0x6FFFFEF5
_MAX_CHAIN = 1 << 16  # entries of one hash chain; a real one has a handful

# e_machine: (name, `serial-runtime build --target` for it)
_MACHINES = {
    3: ("x86, 32 bit (i686)", "i686-linux-gnu"),
    8: ("MIPS", "mips-linux-gnu"),
    20: ("PowerPC, 32 bit", "powerpc-linux-gnu"),
    21: ("PowerPC, 64 bit", "powerpc64le-linux-gnu"),
    40: ("ARM, 32 bit (armv7)", "arm-linux-gnueabihf"),
    62: ("x86_64", "x86_64-linux-gnu"),
    183: ("ARM, 64 bit (aarch64)", "aarch64-linux-gnu"),
    243: ("RISC-V", "riscv64-linux-gnu"),
    258: ("LoongArch", "loongarch64-linux-gnu"),
}


class Machine(NamedTuple):
    """What an ELF header says of the machine it is for."""

    bits: int  # 32 or 64
    little: bool
    code: int  # e_machine

    def __str__(self) -> str:
        name = _MACHINES.get(self.code, (f"machine number {self.code}", ""))[0]
        usual = 32 if self.code in (3, 40) else 64
        text = name if self.bits == usual else f"{name}, {self.bits} bit"
        return text if self.little else f"{text}, big-endian"

    @property
    def remedy(self) -> str:
        """How to build for this machine."""
        target = _MACHINES.get(self.code, ("", "the board's gcc prefix"))[1]
        return f"build it with --target {target}"


_this_machine: list[Machine] = []  # read once


def this_machine() -> Machine:
    """The machine of the running interpreter, from its own executable. ImageError."""
    if not _this_machine:
        try:
            with open("/proc/self/exe", "rb") as file:
                _this_machine.append(_machine(file.read(20)))
        except OSError as error:
            raise ImageError(f"cannot tell the machine of this board: {error}") from error
    return _this_machine[0]


def check_file(path: str) -> None:
    """Check a program file. ImageError with a sentence that says what is wrong and the remedy."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = file.seek(0, 2)

            def read(offset: int, length: int) -> bytes:
                file.seek(offset)
                return file.read(length)

            _check(read, size)
    except OSError as error:
        raise ImageError(f"the program file cannot be read: {error.strerror}") from error


def check_bytes(data: bytes) -> None:
    """Like `check_file`, for a program in memory."""
    _check(lambda offset, length: data[offset : offset + length], len(data))


def _machine(head: bytes) -> Machine:
    if len(head) < 20 or head[:4] != b"\x7fELF":
        raise ImageError(
            "not an ELF shared object: a program is the file that `serial-runtime build` writes"
        )
    if head[4] not in (1, 2) or head[5] not in (1, 2):
        raise ImageError("the ELF header is damaged (class or byte order)")
    little = head[5] == 1
    code = int.from_bytes(head[18:20], "little" if little else "big")
    return Machine(32 if head[4] == 1 else 64, little, code)


class _File:
    """Bounds-checked reads by file offset and, once the segments are known, by address."""

    def __init__(self, read: Callable[[int, int], bytes], size: int, machine: Machine) -> None:
        self._read = read
        self._size = size
        self._mark = "<" if machine.little else ">"
        self._structs: dict[str, Struct] = {}
        self._loads: list[tuple[int, int, int]] = []  # (address, size in the file, offset)
        self.wide = machine.bits == 64

    def add_load(self, address: int, size: int, offset: int) -> None:
        if offset + size > self._size:  # touching what is not there is a SIGBUS later
            raise ImageError("the file is cut: a segment goes on behind its end")
        self._loads.append((address, size, offset))

    def bytes_at(self, offset: int, length: int, what: str) -> bytes:
        if offset < 0 or offset + length > self._size:
            raise ImageError(f"the file is cut or damaged: {what} lies outside of it")
        data = self._read(offset, length)
        if len(data) != length:
            raise ImageError(f"the file is cut: {what} cannot be read")
        return data

    def unpack(self, form: str, offset: int, what: str) -> tuple[int, ...]:
        struct = self._structs.get(form)
        if struct is None:
            struct = self._structs[form] = Struct(self._mark + form)
        return struct.unpack(self.bytes_at(offset, struct.size, what))

    def offset_of(self, address: int, what: str) -> int:
        for start, size, offset in self._loads:
            if start <= address < start + size:
                return offset + address - start
        raise ImageError(f"the file is damaged: {what} lies in no segment")


def _check(read: Callable[[int, int], bytes], size: int) -> None:
    machine = _machine(read(0, 20))
    board = this_machine()
    if machine != board:
        raise ImageError(
            f"the program was built for {machine}, this board is {board}: {board.remedy}"
        )
    file = _File(read, size, machine)
    (kind,) = file.unpack("H", 16, "the header")
    if kind != _ET_DYN:
        raise ImageError(
            "an executable or object file, not a shared object: link it with -shared -fPIC, "
            "or use `serial-runtime build`"
        )
    dynamic = _segments(file)
    table = _find_symbol(file, dynamic, SYMBOL)
    if table is None and _find_symbol(file, dynamic, BEREMIZ_SYMBOL) is not None:
        return
    if table is None:
        raise ImageError(
            "the file exports neither sr_plc_image nor startPLC: it is no PLC program (is "
            "SR_PLC_IMAGE in one of its sources?)"
        )
    magic, version = file.unpack("II", file.offset_of(table, "the program table"), "the table")
    if magic != ABI_MAGIC:
        raise ImageError("sr_plc_image is not a program table: export it with SR_PLC_IMAGE")
    if version != ABI_VERSION:
        raise ImageError(
            f"the program was built against ABI version {version}, this runtime has version "
            f"{ABI_VERSION}: build it again with this runtime's plc_abi.h"
        )


def _segments(file: _File) -> dict[int, int]:
    """Note the loadable segments and return the dynamic section's first value of each tag."""
    if file.wide:
        (table,) = file.unpack("Q", 32, "the header")
        entry, count = file.unpack("HH", 54, "the header")
    else:
        (table,) = file.unpack("I", 28, "the header")
        entry, count = file.unpack("HH", 42, "the header")
    if entry < (56 if file.wide else 32):
        raise ImageError("the ELF header is damaged (program header size)")
    where: tuple[int, int] | None = None
    for index in range(count):  # at most 65535
        at = table + index * entry
        if file.wide:
            kind, _, offset, address, _, in_file = file.unpack("IIQQQQ", at, "a program header")
        else:
            kind, offset, address, _, in_file = file.unpack("IIIII", at, "a program header")
        if kind == _PT_TLS:
            raise ImageError(
                "the program has thread-local variables, whose first use may allocate memory in "
                "the cycle: remove __thread / _Thread_local"
            )
        if kind == _PT_LOAD:
            file.add_load(address, in_file, offset)
        elif kind == _PT_DYNAMIC and where is None:
            where = (offset, in_file)
    if where is None:
        raise ImageError("not a dynamic object: link it with -shared, not -static")
    tags: dict[int, int] = {}
    form, step = ("QQ", 16) if file.wide else ("II", 8)
    for position in range(where[0], where[0] + min(where[1], 1 << 16) - step + 1, step):
        tag, value = file.unpack(form, position, "the dynamic section")
        if tag == 0:
            break
        tags.setdefault(tag, value)
    return tags


def _find_symbol(file: _File, dynamic: dict[int, int], symbol: bytes) -> int | None:
    """The address of an exported symbol; None: there is none."""
    if not {_DT_SYMTAB, _DT_STRTAB, _DT_STRSZ} <= dynamic.keys():
        return None
    symbols = file.offset_of(dynamic[_DT_SYMTAB], "the symbol table")
    names = file.offset_of(dynamic[_DT_STRTAB], "the string table")
    if _DT_GNU_HASH in dynamic:
        at = file.offset_of(dynamic[_DT_GNU_HASH], "the hash table")
        candidates = _gnu_chain(file, at, symbol)
    elif _DT_HASH in dynamic:
        at = file.offset_of(dynamic[_DT_HASH], "the hash table")
        candidates = _sysv_chain(file, at, symbol)
    else:
        return None
    wanted = symbol + b"\0"
    for index in candidates:
        if file.wide:
            at = symbols + index * 24
            name, info, _, section, address, _ = file.unpack("IBBHQQ", at, "a symbol")
        else:
            at = symbols + index * 16
            name, address, _, info, _, section = file.unpack("IIIBBH", at, "a symbol")
        if name + len(wanted) > dynamic[_DT_STRSZ]:
            continue
        if file.bytes_at(names + name, len(wanted), "a symbol's name") != wanted:
            continue
        if section != 0 and info >> 4 in (1, 2, 10):  # defined; global, weak or unique
            return address
    return None


def _gnu_chain(file: _File, at: int, symbol: bytes) -> list[int]:
    """Indices of the symbols in the bucket of the wanted name, DT_GNU_HASH."""
    value = 5381
    for byte in symbol:
        value = (value * 33 + byte) & 0xFFFFFFFF
    buckets, first, bloom, _ = file.unpack("IIII", at, "the hash table")
    if buckets == 0:
        return []
    at += 16 + bloom * (8 if file.wide else 4)
    (index,) = file.unpack("I", at + 4 * (value % buckets), "the hash table")
    if index < first or index == 0:
        return []
    chain = at + 4 * buckets - 4 * first
    found = []
    for position in range(index, index + _MAX_CHAIN):
        (entry,) = file.unpack("I", chain + 4 * position, "the hash table")
        if entry | 1 == value | 1:
            found.append(position)
        if entry & 1:
            break
    return found


def _sysv_chain(file: _File, at: int, symbol: bytes) -> list[int]:
    """The same for DT_HASH."""
    value = 0
    for byte in symbol:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    buckets, chains = file.unpack("II", at, "the hash table")
    if buckets == 0:
        return []
    (index,) = file.unpack("I", at + 8 + 4 * (value % buckets), "the hash table")
    found: list[int] = []
    while index != 0 and len(found) < min(chains, _MAX_CHAIN):
        found.append(index)
        (index,) = file.unpack("I", at + 8 + 4 * (buckets + index), "the hash table")
    return found
