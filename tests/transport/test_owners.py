# SPDX-License-Identifier: MIT
"""Who has a port open, and where a bridge can be reached, read from a /proc of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from serial_runtime.transport.owners import Owner, bridge_place, owners


def process(proc: Path, pid: int, port: Path, *words: str) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "fd" / "3").symlink_to(port)
    (proc / str(pid) / "comm").write_text(f"{words[0][-8:]}\n")
    (proc / str(pid) / "cmdline").write_text("".join(f"{word}\0" for word in words))


def test_owners_of_a_port(tmp_path: Path) -> None:
    port, other = tmp_path / "ttyX", tmp_path / "ttyY"
    port.touch()
    other.touch()
    process(tmp_path / "proc", 7, port, "picocom", str(port))
    process(tmp_path / "proc", 8, other, "picocom", str(other))
    assert owners(str(port), str(tmp_path / "proc")) == [Owner(7, "picocom")]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("serial-runtime", "bridge", "/dev/ttyX"), "127.0.0.1:3000"),
        (("python", "/bin/serial-runtime", "bridge", "X", "--listen", "[::1]:9"), "[::1]:9"),
        (("python", "-m", "serial_runtime", "bridge", "X", "--listen=h:1"), "h:1"),
        (("serial-runtime", "status", "bridge"), ""),
        (("brctl", "bridge", "--listen", "h:1"), ""),
    ],
)
def test_where_a_bridge_listens(words: tuple[str, ...], place: str, tmp_path: Path) -> None:
    process(tmp_path, 7, tmp_path / "ttyX", *words)
    assert bridge_place(7, str(tmp_path)) == place
    assert bridge_place(8, str(tmp_path)) == "", "it has ended meanwhile"
