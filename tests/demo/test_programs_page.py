# SPDX-License-Identifier: MIT
"""The example of docs/programs.md builds without a warning and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import serial_runtime
from serial_codegen.build import build

PAGE = Path(__file__).parents[2] / "docs" / "programs.md"


def test_the_example_builds_as_it_stands(tmp_path: Path) -> None:
    (example,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(), re.DOTALL)
    source = tmp_path / "motor.c"
    source.write_text(example)
    result = build(
        [source],
        tmp_path / "motor.so",
        include_dirs=[serial_runtime.get_include()],
        flags=["-Wconversion"],
    )
    assert result.messages == ""
