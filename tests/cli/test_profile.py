# SPDX-License-Identifier: MIT
"""profile list, show, check."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial_runtime.cli import profile as command
from serial_runtime.doctor import ok, problem
from serial_runtime.profile_file import installed, parse_profile, read_profile


@pytest.mark.parametrize("words", [(), ("list",)])
def test_list_names_each_with_its_title(run, words: tuple[str, ...]) -> None:
    result = run("profile", *words)
    assert result.status == 0
    rows = result.out.splitlines()
    assert [row.split()[0] for row in rows] == installed()
    assert any(row.endswith("Raspberry Pi 5 (Raspberry Pi OS)") for row in rows)


def test_list_says_that_none_is_installed(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "installed", lambda: [])
    assert run("profile", "list").err == "none is installed\n"


def test_show_is_the_file_to_begin_with(run, tmp_path: Path) -> None:
    result = run("profile", "show", "virt-arm64")
    assert result.out == read_profile("virt-arm64")
    own = tmp_path / "board.toml"
    own.write_text(result.out)
    assert run("profile", "check", str(own)).status == 0


def test_show_all_has_every_key_and_is_a_profile(run) -> None:
    result = run("profile", "show", "--all", "virt-arm64")
    lines = result.out.splitlines()
    assert "retain.interval_s" not in result.out
    assert "interval_s = 1" in lines
    assert "cpu = -1  # default" in lines
    assert "# [[io.gpio]] pl061: 9 points" in lines
    again, first = parse_profile(result.out), parse_profile(read_profile("virt-arm64"))
    assert again == first._replace(io=first.io._replace(gpio=()))


def test_check_tells_how_it_was_understood(run) -> None:
    result = run("profile", "check", "virt-arm64", "pc")
    assert result.status == 0
    assert result.out.splitlines()[0] == (
        "virt-arm64: /dev/ttyS0 at 115200 baud; TCP at 127.0.0.1:3000; priority 80; "
        "I/O pl061 (9 points); starts its program in /var/lib/serial-runtime"
    )


def test_check_goes_on_after_a_wrong_one(run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[rt]\npriority = 99\ncpu = -2\n")
    result = run("profile", "check", str(bad), "nobody", "pc")
    assert result.status == 2
    assert f"{bad}:2: rt.priority = 99: expected an integer from 0 to 98" in result.err
    assert f"{bad}:3: rt.cpu = -2" in result.err
    assert "no profile 'nobody'" in result.err
    assert result.out.startswith("pc: ")


def test_check_here_looks_at_this_machine(run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def check(machine: object, profile: object) -> list[object]:
        asked.append(profile)
        return [ok("cpu", "fine"), problem("gpio", "no chip", "plug it in")][: len(asked)]

    monkeypatch.setattr("serial_runtime.doctor.board_profile.check_profile", check)
    result = run("profile", "check", "pc", "--here")
    assert (result.status, result.out.splitlines()[1]) == (0, "ok       cpu        fine")
    result = run("profile", "check", "pc", "--here")
    assert result.status == 1
    assert "do: plug it in" in result.out
    assert asked == [parse_profile(read_profile("pc"))] * 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("chek", "pc"), "one of list, show, check"),
        (("list", "pc"), "one word too many"),
        (("show",), "NAME of one profile"),
        (("show", "pc", "virt-arm64"), "NAME of one profile"),
        (("check",), "NAME of a profile"),
        (("show", "nobody"), "installed profiles are"),
    ],
)
def test_wrong_usage(run, words: tuple[str, ...], named: str) -> None:
    result = run("profile", *words)
    assert result.status == 2
    assert named in result.err
