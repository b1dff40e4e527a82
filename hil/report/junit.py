# SPDX-License-Identifier: MIT
"""What the JUnit files of sessions say, with the records they name."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple


class ReportError(Exception):
    """A file cannot be read as what it should be."""


class Case(NamedTuple):
    """One test."""

    name: str
    module: str
    result: str  # passed, failed, skipped
    seconds: float
    message: str
    requirements: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[dict[str, Any], ...]


class Session(NamedTuple):
    """One run of pytest, against one board."""

    board: str
    environment: str  # simulator, emulated, real; "" when no board was used
    began: str
    seconds: float
    cases: tuple[Case, ...]
    versions: dict[str, str]

    def count(self, result: str) -> int:
        """Cases with this result."""
        return sum(case.result == result for case in self.cases)


def read(path: Path) -> Session:
    """A JUnit file of a session with `hil.plugin`. ReportError."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ReportError(f"{path}: no JUnit file: {error}") from error
    suite = root if root.tag == "testsuite" else root.find("testsuite")
    if suite is None:
        raise ReportError(f"{path}: no JUnit file: it has no testsuite")
    properties = dict(_properties(suite))
    versions = {
        name.removeprefix("version:"): value
        for name, value in properties.items()
        if name.startswith("version:")
    }
    return Session(
        properties.get("board", path.stem),
        properties.get("environment", ""),
        suite.get("timestamp", "")[:19].replace("T", " "),
        float(suite.get("time", "0")),
        tuple(_case(element, path) for element in suite.iter("testcase")),
        versions,
    )


def _properties(element: ElementTree.Element) -> list[tuple[str, str]]:
    return [
        (one.get("name", ""), one.get("value", ""))
        for one in element.findall("properties/property")
    ]


def _case(element: ElementTree.Element, path: Path) -> Case:
    result, message = "passed", ""
    for tag, meaning in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = element.find(tag)
        if found is not None:
            text = found.text or "" if meaning == "failed" else ""
            result, message = meaning, f"{found.get('message', '')}\n{text}".strip()
            break
    properties = _properties(element)
    return Case(
        element.get("name", "?"),
        element.get("classname", "").rpartition(".")[2],
        result,
        float(element.get("time", "0")),
        message,
        tuple(sorted({value for name, value in properties if name == "requirement"})),
        tuple(value for name, value in properties if name == "note"),
        tuple(_record(path.parent / value) for name, value in properties if name == "record"),
    )


def _record(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: no record: {error}") from error
    return found
