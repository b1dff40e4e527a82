# SPDX-License-Identifier: MIT
"""Changes of single keys in a profile's text."""

from __future__ import annotations

import json
import tomllib
from typing import Any


def with_changes(text: str, changes: dict[str, object]) -> str:
    """The profile with other values at dotted keys ("store.autostart"); comments are lost."""
    if not changes:
        return text
    profile = tomllib.loads(text)
    for key, value in changes.items():
        *sections, name = key.split(".")
        table = profile
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = value
    return "".join(_table(profile, ()))


def _table(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of a table and those below it."""
    lines = []
    for name, value in table.items():
        if not _is_tables(value) and not isinstance(value, dict):
            lines.append(f"{json.dumps(name)} = {_value(value)}\n")
    for name, value in table.items():
        inner = (*path, json.dumps(name))
        if _is_tables(value):
            for one in value:
                lines += [f"[[{'.'.join(inner)}]]\n", *_table(one, inner)]
        elif isinstance(value, dict):
            lines += [f"[{'.'.join(inner)}]\n", *_table(value, inner)]
    return lines


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)  # strings, numbers and truth values are the same in both
