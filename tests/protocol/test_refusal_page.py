# SPDX-License-Identifier: MIT
"""The codes of refusals in docs/link.md are those on the wire."""

import re
from pathlib import Path

from serial_runtime.protocol.refusal import CODES

PAGE = Path(__file__).parents[2] / "docs" / "link.md"


def test_the_page_names_every_code() -> None:
    told = {
        int(code): name
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and line.count("|") == 7
        for code, name in re.findall(r"\| (\d+) \| (\w+)", line)
    }
    assert told.pop(1) == "any"
    assert told == {code: kind.__name__ for code, kind in CODES.items() if code != 1}
