# SPDX-License-Identifier: MIT
"""Schemes that come from elsewhere, and packages that are not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serial_runtime.errors import ConfigError, UriError
from serial_runtime.transport import connect, uri
from serial_runtime.transport.optional import need

METADATA = "Metadata-Version: 2.1\nName: pigeon\nVersion: 1\n"
ENTRY = "[serial_runtime.transports]\nPigeon = pigeon:open_pigeon\nerpc = pigeon:open_pigeon\n"
CODE = """
from serial_runtime.transport.loop import loop_pair

def open_pigeon(uri, timeout_s):
    end = loop_pair()[0]
    end.name = f"{uri} within {timeout_s:g} s"
    return end
"""


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that brings a scheme, and claims one of ours."""
    about = tmp_path / "pigeon-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(ENTRY)
    (tmp_path / "pigeon.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    uri.other_schemes.cache_clear()
    yield
    uri.other_schemes.cache_clear()
    sys.modules.pop("pigeon", None)


@pytest.mark.usefixtures("pigeon")
def test_an_installed_package_adds_a_scheme() -> None:
    assert connect("pigeon://loft", 3.0).name == "pigeon://loft within 3 s"


@pytest.mark.usefixtures("pigeon")
def test_and_replaces_none_of_ours() -> None:
    assert uri.parse("erpc://loft") == uri.TcpEndpoint("loft", 3000)


def test_without_it_the_scheme_is_unknown() -> None:
    with pytest.raises(UriError, match="unknown scheme pigeon://"):
        connect("pigeon://loft")


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(
        ConfigError, match=r"WAMP:// needs the Python package no_such_package: "
    ) as e:
        need("no_such_package.part", "wamp", "WAMP://")
    assert "pip install 'serial-runtime[wamp]'" in str(e.value)


def test_an_error_inside_a_package_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        need("half_installed", "wamp", "WAMP://")
