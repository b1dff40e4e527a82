# SPDX-License-Identifier: MIT
"""Names of an object's variables, and files that are not of its build."""

from __future__ import annotations

from pathlib import Path

import beremiz_object
import pytest

from serial_runtime.board import Image, Variable
from serial_runtime.errors import ImageError
from serial_runtime.iec import IecType
from serial_runtime.plc.variable_names import named

CSV = beremiz_object.variables_csv()


def image(types: list[str]) -> Image:
    rows = (Variable(i, f"VAR.{i}", IecType[t], 0, "", 0, 0) for i, t in enumerate(types))
    return Image("Beremiz", "", (), tuple(rows), beremiz=True)


def paths(tmp_path: Path, csv: bytes, types: list[str] = beremiz_object.TYPES) -> list[str]:
    file = tmp_path / "VARIABLES.csv"
    file.write_bytes(csv)
    return [row.path for row in named(image(types), str(file)).variables]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_index_is_the_ordinal_of_what_has_a_value(tmp_path: Path, end: bytes) -> None:
    assert paths(tmp_path, CSV.replace(b"\n", end)) == beremiz_object.NAMES


@pytest.mark.parametrize(
    ("csv", "types"),
    [
        (b"", beremiz_object.TYPES),
        (b"\xff\xfe;;;;;;\n// Variables\n\n;\n", beremiz_object.TYPES),
        (CSV, beremiz_object.TYPES[:-1]),
        (CSV, ["DINT", *beremiz_object.TYPES[1:]]),
        (CSV.replace(b"AN_INT", b"A_SINT"), beremiz_object.TYPES),
    ],
)
def test_a_file_of_another_build(tmp_path: Path, csv: bytes, types: list[str]) -> None:
    with pytest.raises(ImageError, match=r"VARIABLES.csv is not of this build"):
        paths(tmp_path, csv, types)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        named(image([]), str(tmp_path / "none"))
