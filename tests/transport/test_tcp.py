# SPDX-License-Identifier: MIT
"""What is TCP's own; that it is a transport, ``test_conformance`` shows."""

from __future__ import annotations

import pytest

from serial_runtime.transport.tcp import exposure


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_that_only_this_computer_reaches(host: str) -> None:
    assert exposure(host, "it", "do anything") == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "plc.example", ""])
def test_an_address_that_others_reach(host: str) -> None:
    text = exposure(host, "it", "do anything")
    assert text.startswith("warning: everybody who reaches it over the network can do anything, ")
