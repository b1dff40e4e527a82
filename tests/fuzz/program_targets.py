# SPDX-License-Identifier: MIT
"""What a client uploads: the stream of a file, and the file itself."""

from __future__ import annotations

import atexit
import hashlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import zstandard
from fuzz.script import Script

from serial_runtime.board_types import Image, Variable
from serial_runtime.errors import BlobError, ImageError, StoreError
from serial_runtime.iec import IecType
from serial_runtime.plc.coding import PATCH, PLAIN, RECORD, ZSTD, Decoding, UploadPlan
from serial_runtime.plc.elf import check_bytes, check_file
from serial_runtime.plc.variable_names import named

KINDS = list(IecType)
BASE = bytes(itertools.islice(itertools.cycle(range(251)), 1000))
MOST = 4096  # bytes announced
SCRATCH = tempfile.mkdtemp(
    prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None
)
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
_STREAM, _BASE, _TARGET = (str(Path(SCRATCH, name)) for name in ("stream", "base", "target"))
Path(_BASE).write_bytes(BASE)


def elf(data: bytes) -> None:
    """The check of a program file, in memory and on the disk."""
    verdicts = []
    Path(_STREAM).write_bytes(data)
    for check in (lambda: check_bytes(data), lambda: check_file(_STREAM)):
        try:
            check()
            verdicts.append("")
        except ImageError as error:
            verdicts.append(str(error))
    assert verdicts[0] == verdicts[1]


def upload(data: bytes) -> None:
    """The stream of an upload: never more than was announced, and only what was announced."""
    script = Script(data)
    how = script.number()
    coding = (PLAIN, ZSTD, PATCH)[how % 3]
    wrong = script.number(2)  # in the size
    content = script.rest()
    compressed = bool(how & 0x40) and coding != PLAIN
    stream = zstandard.ZstdCompressor(level=1).compress(content) if compressed else content
    expected = content
    if coding == PATCH:
        expected = patched(content) if compressed else b""
    size = min(len(expected) + wrong % 3, MOST)
    plan = UploadPlan(
        hashlib.md5(expected).hexdigest(), size, coding, "", hashlib.sha256(stream).digest(),
        len(stream),
    )  # fmt: skip
    Path(_STREAM).write_bytes(stream)
    decoding = Decoding(plan, _STREAM, _BASE if coding == PATCH else "", _TARGET)
    decoding.run()
    try:
        decoding.result()
        made = Path(_TARGET).read_bytes()
        assert len(made) == size
        assert hashlib.md5(made).hexdigest() == plan.md5
    except (BlobError, StoreError):
        assert Path(_TARGET).stat().st_size <= size
        if compressed or coding == PLAIN:
            assert size != len(expected) or coding == PATCH
    finally:
        decoding.discard()


def patched(records: bytes) -> bytes:
    """What these records make of the base, up to what is wrong with them; byte by byte."""
    made, place, at = bytearray(), 0, 0
    while at + RECORD.size <= len(records):
        seek, summed, added = RECORD.unpack_from(records, at)
        at += RECORD.size
        place += seek
        if at + summed + added > len(records) or summed and not 0 <= place <= len(BASE) - summed:
            break
        made += bytes((records[at + index] + BASE[place + index]) & 0xFF for index in range(summed))
        made += records[at + summed : at + summed + added]
        place += summed
        at += summed + added
    return bytes(made)


def variable_names(data: bytes) -> None:
    """The VARIABLES.csv that comes with an object of the IDE."""
    script = Script(data)
    kinds = [KINDS[number % len(KINDS)] for number in script.piece()]
    rows = tuple(Variable(index, "", kind, 0, "", 0, 0) for index, kind in enumerate(kinds))
    unnamed = Image("object", "1", (), rows)
    Path(_STREAM).write_bytes(script.rest())
    try:
        image = named(unnamed, _STREAM)
    except ImageError:
        return
    assert len({row.path for row in image.variables}) == len(rows)
    assert [row.type for row in image.variables] == kinds
