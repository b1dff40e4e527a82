# SPDX-License-Identifier: MIT
"""io: two tables, and JSON."""

from __future__ import annotations

import json


def test_drivers_and_points_are_two_tables(board, run) -> None:
    assert run("io").out.splitlines() == [
        "driver    serves                     state",
        "none      the whole process image    well",
        "modbus 1  unit 3 at tcp://drive:502  no reply, for 12 s",
        "",
        "address  value  quality  source",
        "%IX0.0   1      good     modbus 1, coil 7",
        "%QW20    65535  BAD      modbus 1, holding register 100",
    ]


def test_json_has_all_of_it(board, run) -> None:
    answer = json.loads(run("io", "--json").out)
    assert [driver["state"] for driver in answer["drivers"]] == ["", "no reply"]
    assert [point["good"] for point in answer["points"]] == [True, False]


def test_a_board_without_points_has_one_table(board, run) -> None:
    board.io_points = list
    assert "address" not in run("io").out
