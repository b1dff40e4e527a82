# SPDX-License-Identifier: MIT
"""Commands are taken from a manual; that they are right the rig finds out."""

from __future__ import annotations

from pathlib import Path

from hil.manual import Step, steps

ROOT = Path(__file__).resolve().parents[2]


def test_blocks_that_name_a_place_are_steps(tmp_path: Path) -> None:
    manual = tmp_path / "manual.md"
    manual.write_text(
        "# Title\n\n## First\n\n```sh host\nmake a\nmake b\n```\n\ntext\n\n```sh board\nreboot\n"
        "```\n\n```sh\nnobody's\n```\n\n    indented\n\n## Second\n\n```sh host\nmake c\n```\n"
    )
    assert steps(manual) == [
        Step("First", "host", "make a"),
        Step("First", "host", "make b"),
        Step("First", "board", "reboot"),
        Step("Second", "host", "make c"),
    ]


def test_no_command_of_the_installation_is_kept_from_the_rig() -> None:
    text = (ROOT / "docs" / "install.md").read_text()
    found = steps(ROOT / "docs" / "install.md")
    assert {step.where for step in found} == {"host", "board"}
    blocks = text.split("```")[1::2]
    assert len(found) == sum(len(block.splitlines()) - 1 for block in blocks)
    assert not [line for line in text.splitlines() if line.startswith("    ")]
