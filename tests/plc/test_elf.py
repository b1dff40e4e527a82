# SPDX-License-Identifier: MIT
"""The check of a program file: good ones pass, every wrong one is told what is wrong with it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import beremiz_object
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_elf import Wrong, tiny_image

import serial_runtime
from serial_runtime.errors import ImageError
from serial_runtime.plc import elf

PROGRAM = """
#include "plc_abi.h"
static sr_dint count;
static void run(const sr_cycle *cycle) { (void)cycle; SR_SET(count, count.value + 1); }
static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("COUNT", DINT, count)};
SR_PLC_IMAGE("test", tasks, variables, NULL, NULL);
"""


def compiled(folder: Path, source: str = PROGRAM, *options: str) -> str:
    (folder / "program.c").write_text(source)
    output = str(folder / "program.so")
    command = ["gcc", "-shared", "-fPIC", "-I", serial_runtime.get_include(), *options]
    subprocess.run([*command, "-o", output, str(folder / "program.c")], check=True)
    return output


NO_PROGRAM = "exports neither sr_plc_image nor startPLC"
OTHER = elf.Machine(32, True, 40) if elf.this_machine().code != 40 else elf.Machine(64, True, 183)


@pytest.mark.parametrize("options", [(), ("-Wl,--hash-style=sysv",), ("-s",), ("-g", "-O2")])
def test_a_compiled_program_is_accepted(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = compiled(tmp_path, PROGRAM, *options)
    elf.check_file(path)
    elf.check_bytes(Path(path).read_bytes())


@pytest.mark.parametrize("options", [(), ("-Wl,--hash-style=sysv",)])
def test_an_object_of_the_beremiz_ide_is_accepted(options: tuple[str, ...]) -> None:
    elf.check_bytes(beremiz_object.content(*options))


@pytest.mark.parametrize("gnu_hash", [True, False])
def test_the_smallest_image_is_accepted(gnu_hash: bool) -> None:
    elf.check_bytes(tiny_image(b"tail", Wrong(gnu_hash=gnu_hash)))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Wrong(kind=2), "not a shared object: link it with -shared"),
        (Wrong(tls=True), "thread-local variables"),
        (Wrong(symbol=b"sr_plc_imagf"), NO_PROGRAM),
        (Wrong(symbol=b"sr_plc_imagf", gnu_hash=False), NO_PROGRAM),
        (Wrong(defined=False), NO_PROGRAM),
        (Wrong(magic=1), "not a program table"),
        (Wrong(version=2), "ABI version 2, this runtime has version 1"),
        (Wrong(machine=OTHER), f"built for {OTHER}, this board is {elf.this_machine()}"),
        (Wrong(machine=OTHER), elf.this_machine().remedy),
        (Wrong(machine=elf.this_machine()._replace(little=False)), "big-endian"),
        (Wrong(machine=elf.Machine(64, True, 9999)), "machine number 9999"),
    ],
)
def test_a_wrong_image_is_told_what_is_wrong(wrong: Wrong, sentence: str) -> None:
    with pytest.raises(ImageError) as refusal:
        elf.check_bytes(tiny_image(b"", wrong))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("machine", "name", "target"),
    [
        (elf.Machine(32, True, 40), "ARM, 32 bit (armv7)", "--target arm-linux-gnueabihf"),
        (elf.Machine(64, True, 183), "ARM, 64 bit (aarch64)", "--target aarch64-linux-gnu"),
        (elf.Machine(64, True, 62), "x86_64", "--target x86_64-linux-gnu"),
        (elf.Machine(32, True, 62), "x86_64, 32 bit", "--target x86_64-linux-gnu"),
    ],
)
def test_machines_have_names_and_remedies(machine: elf.Machine, name: str, target: str) -> None:
    assert str(machine) == name
    assert target in machine.remedy


def test_thread_local_storage_of_a_compiled_program_is_refused(tmp_path: Path) -> None:
    path = compiled(tmp_path, PROGRAM + "\n__thread int mine; int *leak(void) { return &mine; }\n")
    with pytest.raises(ImageError, match="thread-local"):
        elf.check_file(path)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ" + bytes(100), b"#!/bin/sh\n" * 10])
def test_what_is_no_elf_file_at_all(data: bytes) -> None:
    with pytest.raises(ImageError, match="not an ELF shared object"):
        elf.check_bytes(data)


def test_a_missing_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        elf.check_file(str(tmp_path / "none"))


def refused_or_accepted(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        elf.check_bytes(data)


@given(st.integers(0, 10_000))
def test_a_cut_file_is_refused(length: int) -> None:
    whole = tiny_image()
    cut = whole[: length % len(whole)]
    with pytest.raises(ImageError):
        elf.check_bytes(cut)


positions = st.integers(0, len(tiny_image()) - 1)
extremes = st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255)


@settings(max_examples=500)  # `tests/fuzz` has more
@given(st.lists(st.tuples(positions, extremes), max_size=12), st.booleans())
@example([(56, 0xFF), (57, 0xFF)], True)  # 65535 program headers
def test_no_damage_crashes_the_check(damage: list[tuple[int, int]], gnu_hash: bool) -> None:
    data = bytearray(tiny_image(b"", Wrong(gnu_hash=gnu_hash)))
    for position, value in damage:
        data[position % len(data)] = value
    refused_or_accepted(bytes(data))


@settings(max_examples=500)
@given(st.integers(0, len(tiny_image()) // 4 - 1), st.integers(0, 0xFFFFFFFF), st.booleans())
def test_no_wrong_word_crashes_the_check(word: int, value: int, gnu_hash: bool) -> None:
    data = bytearray(tiny_image(b"", Wrong(gnu_hash=gnu_hash)))
    data[4 * word : 4 * word + 4] = value.to_bytes(4, "little")
    refused_or_accepted(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_magic_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        elf.check_bytes(tiny_image()[:20] + data)
