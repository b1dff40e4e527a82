# SPDX-License-Identifier: MIT
"""`serial-runtime bridge`: its options, and what it says."""

from __future__ import annotations

import pytest

from serial_runtime.cli import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["127.0.0.1:3000"], "is reached over TCP already, and needs no bridge"),
        (["/dev/ttyX", "--listen", "host:port"], "give HOST:PORT, such as 127.0.0.1:3000"),
        (["/dev/ttyX", "--listen", ":0"], "give HOST:PORT"),
        (["/dev/ttyX:1"], "unknown baud rate 1"),
    ],
)
def test_wrong_usage(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bridge", *words]) == 2
    assert says in capsys.readouterr().err
