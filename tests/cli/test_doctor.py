# SPDX-License-Identifier: MIT
"""The doctor command on real ptys: arguments, output, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def port():
    master, slave = os.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    yield path
    os.close(master)


def test_a_port_without_problems(run, port: str) -> None:
    result = run("doctor", port)
    assert result.status == 0
    assert f"ok       device     {port} is there\n" in result.out


def test_the_port_of_the_environment(run, port: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SERIAL_RUNTIME_URI", f"ERPC://{port}:9600")
    assert f"device     {port} is there\n" in run("doctor").out
    assert "ttyS9 does not exist" in run("doctor", f"ERPC://{tmp_path}/ttyS9").out
    profile = tmp_path / "profile.toml"
    profile.write_text("")
    assert run("doctor", "--profile", str(profile)).status == 2, "the profile was asked for"


def test_a_missing_port(run, tmp_path: Path) -> None:
    result = run("doctor", f"ERPC://{tmp_path}/ttyS9:9600", "--json")
    assert result.status == 1
    (only,) = json.loads(result.out)
    assert only["level"] == "problem"
    assert only["text"] == f"{tmp_path}/ttyS9 does not exist"
    assert only["remedy"]


def test_the_port_of_a_profile(run, port: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(f'[serial]\nport = "{port}"\n')
    assert run("doctor", "--profile", str(profile)).status == 0
    profile.write_text("")
    result = run("doctor", "--profile", str(profile))
    assert result.status == 2
    assert "no serial.port to check" in result.err


def test_what_is_no_port_of_this_machine(run, monkeypatch) -> None:
    monkeypatch.delenv("SERIAL_RUNTIME_URI", raising=False)
    for words, reason in (
        ((), "which port?"),
        (("plc.local:3000",), "no serial port of this machine"),
        (("socket://plc.local:3000",), "no serial port of this machine"),
    ):
        result = run("doctor", *words)
        assert result.status == 2
        assert reason in result.err


def test_real_time(run, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text("[rt]\ncpu = 1000\n")
    result = run("doctor", "--real-time", "--profile", str(profile))
    assert result.status == 1
    assert "problem  cpu        there is no CPU 1000 (rt.cpu)" in result.out
    checks = {one["check"] for one in json.loads(run("doctor", "--real-time", "--json").out)}
    assert {"kernel", "priority", "memory", "throttling", "governor", "idle"} <= checks
    refused = run("doctor", "--real-time", "ERPC:///dev/ttyS9")
    assert refused.status == 2
    assert "leave the URI out" in refused.err
