"""Documentation comments and long lines, laid out as ``ruff format`` leaves them."""

from __future__ import annotations

import re
import textwrap

WIDTH = 100

Lines = list[str]


def docstring(text: str, indent: str = "") -> Lines:
    """A docstring."""
    # Neither three quotes in a row nor one at the end may close the docstring.
    escaped = re.sub(r'"(?=""|$)', r'\\"', text.strip().replace("\\", r"\\"))
    if escaped.startswith('"'):
        escaped = f" {escaped}"
    first, *rest = _wrapped(escaped, WIDTH - len(indent) - 6)
    if not rest:
        return [f'{indent}"""{first}"""']
    rest = textwrap.indent(textwrap.dedent("\n".join(rest)), indent).split("\n")
    return [f'{indent}"""{first}', *rest, f'{indent}"""']


def comment(text: str, indent: str = "") -> Lines:
    """A comment about the line below it, in the form documentation tools know; none if empty."""
    lines = _wrapped(text, WIDTH - len(indent) - 3) if text else []
    return [f"{indent}#: {line}".rstrip() for line in lines]


def wrap(head: str, items: list[str], tail: str, indent: str) -> Lines:
    """``head item, item tail`` on one line if it fits, else the items below it."""
    joined = ", ".join(items)
    if not items or len(indent) + len(head) + len(joined) + len(tail) <= WIDTH:
        return [f"{indent}{head}{joined}{tail}"]
    inner = f"{indent}    "
    if len(inner) + len(joined) <= WIDTH:
        return [f"{indent}{head}", f"{inner}{joined}", f"{indent}{tail}"]
    return [f"{indent}{head}", *(f"{inner}{item}," for item in items), f"{indent}{tail}"]


def _wrapped(text: str, width: int) -> Lines:
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return [part for line in text.split("\n") for part in wrapper.wrap(line) or [""]]
