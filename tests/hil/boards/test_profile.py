# SPDX-License-Identifier: MIT
"""Changes of single keys of a profile."""

from __future__ import annotations

import tomllib

from hil.boards.profile import with_changes

PROFILE = """\
# Of a board.
[serial]
port = "/dev/ttyS0"

[[io.gpio]]
chip = "/dev/gpiochip0"
[io.gpio.inputs]
"%IX0.0" = { line = 4, active_low = true }
[io.gpio.outputs]
"%QX0.0" = 17

[[io.gpio]]
chip = "/dev/gpiochip1"
"""


def test_nothing_changes_nothing() -> None:
    assert with_changes(PROFILE, {}) == PROFILE


def test_a_key_a_section_and_nothing_else() -> None:
    before = tomllib.loads(PROFILE)
    after = tomllib.loads(
        with_changes(PROFILE, {"serial.port": 'a "b"', "store.autostart": True, "rt.cpu": -1})
    )
    assert after["serial"]["port"] == 'a "b"'
    assert after["store"] == {"autostart": True}
    assert after["rt"] == {"cpu": -1}
    assert after["io"] == before["io"]


def test_a_list_of_tables_replaced() -> None:
    tables = [{"name": "one", "coils": {"%QX1.0": {"address": 0, "count": 8}}}]
    after = tomllib.loads(with_changes(PROFILE, {"io.modbus": tables}))
    assert after["io"]["modbus"] == tables
