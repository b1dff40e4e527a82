# SPDX-License-Identifier: MIT
"""IDs and secrets: what is made is what is accepted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serial_runtime import psk


@given(st.text(max_size=100))
def test_every_host_name_gives_an_id(name: str) -> None:
    psk.check_id(psk.new_id(name))


def test_a_new_secret_is_one_that_every_peer_takes() -> None:
    for _ in range(100):
        psk.check_secret(psk.new_secret())
