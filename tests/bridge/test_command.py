# SPDX-License-Identifier: MIT
"""`serial-runtime bridge`: its options, and what it says."""

from __future__ import annotations

import pytest

from serial_runtime.bridge.server import warn_of_address
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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_computer_only(host: str) -> None:
    said: list[str] = []
    warn_of_address(host, said.append)
    assert said == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "plc.example", ""])
def test_an_address_that_others_reach(host: str) -> None:
    said: list[str] = []
    warn_of_address(host, said.append)
    (text,) = said
    assert "can stop, force and reprogram this PLC" in text
