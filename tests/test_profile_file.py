# SPDX-License-Identifier: MIT
"""Profiles as files: names, lines of what is wrong, and that those which come along are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial_runtime import profile_file
from serial_runtime.config import Profile
from serial_runtime.errors import ConfigError
from serial_runtime.profile_file import installed, load_profile, parse_profile, read_profile

HERE = Path(__file__).parents[1] / "board" / "profiles"
EMULATED = ("ast2600-armhf", "virt-arm64")
# Keys that every board's profile settles, and does not leave to a default that may change.
SETTLED = ("port = ", "baud = ", "priority = ", "dir = ", "autostart = ", "serial = ", "tcp = ")
BAD = """\
[serial]
port = "/dev/ttyS1"
buad = 9600

[rt]
priority = 100
cpu = [
    1,
]
[[io.gpio]]
chip = "/dev/gpiochip0"
[io.gpio.inputs]
"%IX0.0" = 1
[[io.gpio]]
chip = "/dev/gpiochip1"
[io.gpio.inputs]
"%IX0.1" = { line = 2, bias = "up" }
[sotre]
dir = "x"
"""


def refusal(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_profile(text, "board.toml")
    return str(refused.value).splitlines()


def test_all_that_is_wrong_is_told_at_once_and_where() -> None:
    found = refusal(BAD)
    assert [line.partition(": ")[0] for line in found] == [
        "board.toml:3",
        "board.toml:6",
        "board.toml:9",  # a value of several lines: where it ends
        "board.toml:17",
        "board.toml:18",
    ]
    for line, words in zip(
        found,
        (
            ("serial.buad", "port, baud"),
            ("rt.priority = 100", "0 to 98"),
            ("rt.cpu = [1]", "-1 to 1023"),
            ('io.gpio[2].inputs."%IX0.1".bias', '"as-is", "pull-up"'),
            ("section 'sotre'", "store"),
        ),
        strict=True,
    ):
        for word in words:
            assert word in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# a comment\n\nserial.baud = 1\n", 3),
        ("[rt]\nnote = '''\n[serial]\nbaud = 1\n'''", 5),  # not line 4, which is text
        ("[[io.gpio]]\nname = 'panel'\n", 1),  # lacks its chip
        ("io.gpio = [\n{ chip = 'c', inputs = {} } ]", 2),
        ("[io]\ndriver = 'x'\r\n", 2),
    ],
)
def test_the_line_of_a_refusal(text: str, line: int) -> None:
    assert [found.partition(": ")[0] for found in refusal(text)] == [f"board.toml:{line}"]


def test_what_two_tables_have_in_common_has_no_line() -> None:
    table = "[[io.gpio]]\nchip = '/dev/c'\n[io.gpio.inputs]\n'%IX0.{}' = {}\n"
    (found,) = refusal(table.format(0, 1) + table.format(1, 2))
    assert found == "board.toml: /dev/c has two tables [[io.gpio]]: a chip has one"


def test_a_long_file_is_refused_soon_without_lines() -> None:
    (found,) = refusal("#\n" * 5000 + "[rt]\ncpu = -2\n")
    assert found.startswith("board.toml: rt.cpu = -2")


def test_an_installed_profile_is_named_without_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_profile("pc") == load_profile(str(HERE / "pc.toml"))
    with pytest.raises(ConfigError, match=r"no profile 'cp'.*raspberry-pi-5.*\./FILE"):
        load_profile("cp")
    for path in ("./pc", "pc.toml"):  # a path stays a path
        with pytest.raises(ConfigError, match="cannot be read"):
            load_profile(path)
    (tmp_path / "pc").write_text("[rt]\ncpu = 2")  # a file that is there counts
    assert load_profile("pc").rt.cpu == 2


def test_without_installed_profiles_a_name_is_refused_by_their_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(profile_file, "folder", lambda: str(tmp_path / "none"))
    assert installed() == []
    with pytest.raises(ConfigError, match="none is in .*none"):
        load_profile("pc")


def test_there_is_a_profile_for_each_board() -> None:
    boards = {"beaglebone-black", "beaglebone-black-xenomai", "pc", "raspberry-pi-4"}
    assert set(installed()) == {*boards, "raspberry-pi-5", *EMULATED}


@pytest.mark.parametrize("name", installed())
def test_a_profile_that_comes_along_is_right(name: str) -> None:
    text = read_profile(name)
    profile = load_profile(name)
    for key in SETTLED:
        assert any(line.startswith(key) for line in text.splitlines()), key
    assert profile.store.dir == "/var/lib/serial-runtime"  # of the Debian package
    assert "Not run on hardware" in text or name in EMULATED
    assert max(map(len, text.splitlines())) <= 110
    # The parts that are left to the reader are right, too.
    lines = (line.removeprefix("#") if is_key(line) else line for line in text.splitlines())
    opened = parse_profile("\n".join(lines), name)
    assert opened.io.gpio or opened.io.modbus
    assert any(
        point.place.area == "Q"
        for table in (*opened.io.gpio, *opened.io.modbus)
        for point in table.points
    )


def is_key(line: str) -> bool:
    """A line of TOML in a comment: written without a blank behind its mark."""
    return line.startswith("#") and not line.startswith("# ") and line != "#"


@pytest.mark.parametrize("name", [one for one in installed() if one not in EMULATED])
def test_no_profile_of_a_real_board_drives_outputs_by_itself(name: str) -> None:
    profile = load_profile(name)
    assert not [p for table in profile.io.gpio for p in table.points if p.place.area == "Q"]


@pytest.mark.parametrize("name", EMULATED)
def test_the_emulated_boards_have_the_pins_that_the_rig_names(name: str) -> None:
    profile = load_profile(name)
    mapped = {str(point.place) for point in profile.io.gpio[0].points}
    assert {f"%{area}X0.{bit}" for area in "IQ" for bit in range(4)} <= mapped
    assert profile != Profile()
