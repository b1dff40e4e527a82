# SPDX-License-Identifier: MIT
"""PLC source -> image: what comes out, what is refused and how it is said."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import serial_runtime
from serial_codegen.build import BuildError, build, check_image
from serial_codegen.elf import ElfError, read_elf

INCLUDE = [serial_runtime.get_include()]
PROGRAM = """\
#include "plc_abi.h"
static sr_dint n;
static void run(const sr_cycle *cycle) { (void)cycle; SR_SET(n, n.value + 1); }
static const sr_task tasks[] = {{.name = "T", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("N", DINT, n)};
SR_PLC_IMAGE("COUNT", tasks, variables, NULL, NULL);
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "count.c"
    path.write_text(PROGRAM)
    return path


def test_the_image_exports_the_table_only_and_knows_its_build_id(source: Path) -> None:
    result = build([source], source.with_suffix(".so"), include_dirs=INCLUDE)
    assert result.messages == ""
    assert read_elf(result.image.read_bytes()).exported == {"sr_plc_image"}
    assert len(result.build_id) == 32
    assert result.build_id.encode() in result.image.read_bytes()
    assert result.size == result.image.stat().st_size


@pytest.mark.parametrize(
    ("target", "machine"),
    [
        ("x86_64-linux-gnu", "x86_64"),
        ("aarch64-linux-gnu", "aarch64"),
        ("arm-linux-gnueabihf", "arm"),
    ],
)
def test_cross_compilers(source: Path, target: str, machine: str) -> None:
    if shutil.which(f"{target}-gcc") is None:
        pytest.skip(f"no {target}-gcc here")
    result = build([source], source.with_suffix(".so"), include_dirs=INCLUDE, target=target)
    assert result.machine == machine
    assert result.size < 32_000, "padding crosses a slow line too"


def test_another_compiler(source: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("no clang here")
    result = build([source], source.with_suffix(".so"), include_dirs=INCLUDE, cc="clang -g0")
    assert result.messages == ""


def test_equal_sources_give_equal_images_wherever_they_are(source: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a folder" / "count.c"
    elsewhere.parent.mkdir()
    shutil.copy(source, elsewhere)
    first = build([source], tmp_path / "first.so", include_dirs=INCLUDE)
    second = build([elsewhere], tmp_path / "second.so", include_dirs=INCLUDE)
    assert first.build_id == second.build_id
    assert first.image.read_bytes() == second.image.read_bytes()
    assert str(tmp_path).encode() not in first.image.read_bytes()


def test_the_build_id_follows_sources_headers_and_flags(source: Path) -> None:
    image = source.with_suffix(".so")
    header = source.with_name("limit.h")
    header.write_text("#define LIMIT 1\n")
    source.write_text('#include "limit.h"\n' + PROGRAM.replace("+ 1", "+ LIMIT"))
    ids = [build([source], image, include_dirs=INCLUDE).build_id]
    header.write_text("#define LIMIT 2\n")
    ids.append(build([source], image, include_dirs=INCLUDE).build_id)
    source.write_text(source.read_text() + "/* changed */\n")
    ids.append(build([source], image, include_dirs=INCLUDE).build_id)
    ids.append(build([source], image, include_dirs=INCLUDE, flags=["-DX"]).build_id)
    assert len(set(ids)) == 4
    assert build([source], image, include_dirs=INCLUDE, flags=["-DX"]).build_id == ids[3]


def test_several_sources(source: Path) -> None:
    helper = source.with_name("helper.c")
    helper.write_text("int helper(void); int helper(void) { return 5; }\n")
    source.write_text(
        PROGRAM.replace("n.value + 1", "helper()").replace(
            "static sr_dint", "int helper(void);\nstatic sr_dint"
        )
    )
    result = build([source, helper], source.with_suffix(".so"), include_dirs=INCLUDE)
    assert read_elf(result.image.read_bytes()).exported == {"sr_plc_image"}


def test_the_compilers_words_are_passed_on(source: Path) -> None:
    source.write_text(PROGRAM + "static void broken(void) { int x = ; }\n")
    with pytest.raises(BuildError, match=r"gcc failed:\n(.|\n)*count\.c:7:\d+: error: expected"):
        build([source], source.with_suffix(".so"), include_dirs=INCLUDE)


def test_warnings_are_messages(source: Path) -> None:
    source.write_text(PROGRAM + "static int unused;\n")
    result = build([source], source.with_suffix(".so"), include_dirs=INCLUDE)
    assert "unused" in result.messages


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            PROGRAM
            + "_Thread_local int counter; int *p(void); int *p(void) { return &counter; }\n",
            "thread-local",
        ),
        ("int x;\n", "exports no table sr_plc_image.*SR_PLC_IMAGE"),
        (PROGRAM.replace("n.value + 1", "missing()"), "undefined reference|implicit|undeclared"),
        (
            PROGRAM + "void missing(void); void f(void); void f(void) { missing(); }\n",
            "undefined reference",
        ),
        ('#include "nowhere.h"\n', "nowhere.h: No such file"),
    ],
)
def test_refused_programs_leave_the_old_image(source: Path, text: str, says: str) -> None:
    image = source.with_suffix(".so")
    image.write_bytes(b"the old one")
    source.write_text(text)
    with pytest.raises(BuildError, match=f"(?s){says}"):
        build([source], image, include_dirs=INCLUDE)
    assert image.read_bytes() == b"the old one"
    assert sorted(path.name for path in source.parent.iterdir()) == ["count.c", "count.so"]


@pytest.mark.parametrize("name", ["a$b.c", "a b:#c.c", "it's.c", "-o.c", "@x.c"])
def test_odd_names_of_sources_and_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f'#include "{name}.h"\n' + PROGRAM)
    ids = []
    for number in range(2):
        Path(name + ".h").write_text(f"#define NUMBER {number}\nenum {{ E = NUMBER }};\n")
        ids.append(build([name], "image.so", include_dirs=INCLUDE).build_id)
    assert ids[0] != ids[1]


def test_warnings_of_the_preprocessor_hold_no_path_into_the_build_id(
    source: Path, tmp_path: Path
) -> None:
    source.write_text("#warning careful\n" + PROGRAM)
    elsewhere = tmp_path / "count_again.c"
    shutil.copy(source, elsewhere)
    first = build([source], tmp_path / "first.so", include_dirs=INCLUDE)
    second = build([elsewhere], tmp_path / "second.so", include_dirs=INCLUDE)
    assert first.build_id == second.build_id
    assert "careful" in first.messages


def test_an_image_is_no_source_and_overwrites_none(source: Path) -> None:
    image = source.with_suffix(".so")
    build([source], image, include_dirs=INCLUDE)
    with pytest.raises(BuildError, match=r"count\.so is no C source"):
        build([image], source.with_name("other.so"), include_dirs=INCLUDE)
    link = source.with_name("link.so")
    link.symlink_to(source)
    for target, says in (
        (source, "overwrite its source"),
        (link, "overwrite its source"),
        (source.with_name("new.c"), "call the image new.so"),
        (source.with_name("new.h"), "call the image new.so"),
        (source.parent, "is a directory"),
    ):
        with pytest.raises(BuildError, match=says):
            build([source], target, include_dirs=INCLUDE)
    assert source.read_text() == PROGRAM


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"target": "riscv128-linux-gnu"},
            "no compiler riscv128-linux-gnu-gcc.*apt install gcc-riscv128-linux-gnu",
        ),
        ({"cc": "no-such-cc"}, "no compiler no-such-cc"),
        ({"cc": " "}, "no compiler"),
    ],
)
def test_a_missing_compiler(source: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(BuildError, match=says):
        build([source], source.with_suffix(".so"), include_dirs=INCLUDE, **options)


def test_missing_files(source: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no file .*nothing\.c"):
        build([tmp_path / "nothing.c"], tmp_path / "x.so", include_dirs=INCLUDE)
    with pytest.raises(BuildError, match="no directory"):
        build([source], tmp_path / "nowhere" / "x.so", include_dirs=INCLUDE)


def test_damaged_elf_files(source: Path) -> None:
    data = build([source], source.with_suffix(".so"), include_dirs=INCLUDE).image.read_bytes()
    for size in (0, 3, 4, 20, 60, 64, len(data) // 2, len(data) - 1):
        with pytest.raises(ElfError):
            read_elf(data[:size])
    with pytest.raises(ElfError, match="no ELF file"):
        read_elf(b"#!/bin/sh\n" * 20)
    with pytest.raises(ElfError, match="no shared object"):
        read_elf(data[:16] + b"\1" + data[17:])
    (source.with_suffix(".o")).write_bytes(b"text")
    with pytest.raises(BuildError, match="no shared object"):
        check_image(source.with_suffix(".o"))


def test_the_command_line(source: Path) -> None:
    image = source.with_suffix(".so")
    command = [sys.executable, "-m", "serial_codegen", "build", "-I", *INCLUDE, "-o", str(image)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{image}: {image.stat().st_size} bytes, {platform.machine()}, build " in done.stdout
    source.write_text("int x;\n")
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("serial_codegen: error: the program exports no table")
