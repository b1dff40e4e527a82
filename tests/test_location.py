# SPDX-License-Identifier: MIT
"""IEC addresses in Python: the same examples as for the C side, and values at them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import VariableError
from serial_runtime.iec.location import AREA_BYTES, Location, _parse, parse_location

LINES = (Path(__file__).parent / "data" / "locations.tsv").read_text("utf-8").splitlines()
EXAMPLES = [line.split("\t") for line in LINES]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_it_agrees_with_the_examples(text: str, expected: str) -> None:
    found = _parse(text)
    if isinstance(found, Location):
        assert f"{found.area} {found.width} {found.byte} {found.bit}" == expected
    else:
        assert found == expected
        with pytest.raises(VariableError) as caught:
            parse_location(text)
        assert expected in str(caught.value)
        assert repr(text) in str(caught.value)


@given(st.text("%IQMXBWDL0123456789.*ixw ", max_size=12))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    found = _parse(text)
    if isinstance(found, Location):
        assert _parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "last"),
    [("%IX1024.0", "%IX1023.7"), ("%QW512", "%QW511"), ("%MD256", "%MD255"), ("%IL128", "%IL127")],
)
def test_the_end_of_the_image_is_named(text: str, last: str) -> None:
    with pytest.raises(VariableError, match=f"{last}$"):
        parse_location(text)
    assert str(parse_location(last)) == last


@given(st.sampled_from(["%IX3.5", "%QB7", "%QW2", "%MD4", "%IL1"]), st.integers(0, (1 << 64) - 1))
def test_what_is_stored_loads_again_and_nothing_else_changes(text: str, value: int) -> None:
    location = parse_location(text)
    for background in (0, 0xFF):
        area = bytearray([background]) * 24
        location.store(area, value)
        kept = bool(value) if location.width == 1 else value & (1 << location.width) - 1
        assert location.load(area) == kept
        for at, byte in enumerate(area):
            inside = location.byte <= at < location.byte + location.size
            assert (byte ^ background) & (~location.mask if inside else 0xFF) == 0


def test_places_follow_each_other() -> None:
    assert str(parse_location("%IX0.6").following(3)) == "%IX1.1"
    assert str(parse_location("%QW3").following(2)) == "%QW5"
    assert parse_location("%ID1").following(-1).byte == 0


def test_the_area_is_that_of_the_c_side() -> None:
    text = (Path(__file__).parents[1] / "board" / "io" / "io.h").read_text()
    assert f"#define IO_AREA_BYTES {AREA_BYTES}u" in text
