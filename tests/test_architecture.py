# SPDX-License-Identifier: MIT
"""The direction of dependencies, read from the imports (ARCHITECTURE.md, "Layers")."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Any part may import these; they import nothing of ours.
FOR_ALL = {"named_tuple"}
# What each part of serial_runtime may import from serial_runtime. A part is a module or package
# directly below it; importing within one's own part is always allowed.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "named_tuple": set(),
    "errors": set(),
    "iec": {"errors"},
    "profile_values": {"errors"},
    "config": {"errors", "process_io", "profile_values"},
    "profile_file": {"errors", "config", "profile_values"},
    "process_io": {"errors", "board_io", "board_types", "iec", "profile_values"},
    "worker": {"errors"},
    "damage": {"errors"},
    "line": {"errors", "damage"},
    "board": {"errors", "board_native", "board_figures", "board_types", "board_io"},
    "board_native": {"errors", "_board", "board_types"},
    "board_figures": {"board_native", "board_types"},
    "board_plant": {"errors", "board_native"},
    "board_io": {"errors", "board_native", "board_types", "iec"},
    "board_latency": {"errors", "board_native", "board_figures", "board_types"},
    "board_types": set(),
    "board_change": {"errors", "board_native", "board_types"},
    "protocol": {"errors"},
    "psk": {"errors"},
    "identities": {"errors", "psk"},
    "transport": {"errors", "damage", "identities", "psk"},
    "connectors": {"errors", "identities", "protocol", "transport", "rpc"},
    "latency": {"errors", "board_types", "doctor"},
    "doctor": {"config", "process_io", "transport"},
    "plc": {
        "errors",
        "board",
        "board_native",
        "board_types",
        "board_change",
        "worker",
        "iec",
        "psk",
    },
    "extensions": {"errors", "board", "board_types", "iec", "plc"},
    "rpc": {"errors", "board", "worker", "protocol", "transport", "plc", "process_io"},
    "bridge": {
        "__init__",
        "errors",
        "board_types",
        "iec",
        "protocol",
        "transport",
        "plc",
        "rpc",
        "process_io",
    },
    "announce": {"errors", "transport"},
    "service_manager": set(),
    "listeners": {"announce", "errors", "config", "plc", "transport", "rpc", "connectors"},
    "daemon": {
        "__init__",
        "listeners",
        "errors",
        "config",
        "board",
        "service_manager",
        "worker",
        "protocol",
        "transport",
        "plc",
        "process_io",
        "extensions",
        "rpc",
    },
    "plant": {"errors", "board_plant", "iec"},
    "demo": {"errors", "plant"},
    "cli": {
        "__init__",
        "board_latency",
        "board_types",
        "latency",
        "errors",
        "config",
        "process_io",
        "profile_file",
        "iec",
        "psk",
        "identities",
        "plc",
        "rpc",
        "transport",
        "daemon",
        "doctor",
        "line",
        "bridge",
        "connectors",
    },
}
# The hand-made interfaces of PLC source building and IDL live in serial_codegen, a leaf.
MAY_IMPORT_CODEGEN = {"cli"}


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"no sources below {package}"
    return found


def imported(path: Path, package_of: list[str]) -> set[str]:
    """Absolute dotted names that a file imports, relative ones resolved."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                prefix = package_of[: len(package_of) - node.level + 1]
                base = ".".join([*prefix, base] if base else prefix)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


@cache
def part_edges() -> set[tuple[str, str, str]]:
    """(part, imported part or foreign top-level name, file) of every import in serial_runtime."""
    parts = set(ALLOWED) | {"_board"}
    edges = set()
    for path in sources("serial_runtime"):
        inner = path.relative_to(ROOT / "serial_runtime").with_suffix("").parts
        package_of = ["serial_runtime", *inner[:-1]]
        for name in imported(path, package_of):
            words = name.split(".")
            if words[0] == "serial_runtime":
                target = words[1] if len(words) > 1 and words[1] in parts else "__init__"
            else:
                target = words[0] + ":"
            edges.add((inner[0], target, str(path.relative_to(ROOT))))
    return edges


def test_every_part_is_listed() -> None:
    present = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "serial_runtime").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert present == set(ALLOWED)


def test_dependencies_point_one_way() -> None:
    wrong = sorted(
        f"{file}: {part} must not import {target}"
        for part, target, file in part_edges()
        if not target.endswith(":") and target != part and target not in ALLOWED[part] | FOR_ALL
    )
    assert not wrong, "\n".join(wrong)


def test_the_table_allows_nothing_that_is_not_used() -> None:
    used = {(part, target) for part, target, _ in part_edges()}
    allowed = {(part, target) for part, targets in ALLOWED.items() for target in targets}
    assert not allowed - used


def test_serial_codegen_is_for_the_command_line_only() -> None:
    users = {part for part, target, _ in part_edges() if target == "serial_codegen:"}
    assert users <= MAY_IMPORT_CODEGEN


def test_serial_codegen_imports_nothing_of_ours() -> None:
    for path in sources("codegen"):
        assert not {n for n in imported(path, []) if n.startswith("serial_runtime")}, path


@pytest.mark.parametrize("name", ["socket", "serial", "time", "select"])
def test_the_protocol_has_no_clock_and_no_socket(name: str) -> None:
    users = {
        file for part, target, file in part_edges() if part == "protocol" and target == name + ":"
    }
    assert not users
