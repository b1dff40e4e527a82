# SPDX-License-Identifier: MIT
"""The programs of the manual build as they stand, without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import serial_runtime
from serial_codegen.build import build

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = [
    pytest.param(program, id=f"{page.name}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, program in enumerate(re.findall(r"```c\n(.*?)```", page.read_text(), re.DOTALL))
    if "SR_PLC_IMAGE" in program
]


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 3, "this test does not find the programs any more"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_builds_as_it_stands(program: str, tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text(program)
    result = build(
        [source],
        tmp_path / "program.so",
        include_dirs=[serial_runtime.get_include()],
        flags=["-Wconversion"],
    )
    assert result.messages == ""
