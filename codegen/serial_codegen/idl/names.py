"""Names of Python that the generated code uses, which IDL names must therefore not be."""

from __future__ import annotations

import ast
import enum
import keyword

# What generated modules may import, in the order of import sorting; a group is set off by a line.
_IMPORTS = (
    (
        ("abc", ("ABC", "abstractmethod")),
        ("collections.abc", ("Callable",)),
        ("dataclasses", ("dataclass", "field")),
        ("enum", ("IntEnum",)),
        ("typing", ("Self", "TypeAlias")),
    ),
    (
        ("erpc", ("Reference",)),
        ("erpc.client", ("ClientManager", "RequestContext")),
        ("erpc.codec", ("Codec", "MessageInfo", "MessageType")),
        ("erpc.server", ("Service",)),
    ),
    ((".", ("common", "interface")),),
)
_RESERVED = {
    *(name for group in _IMPORTS for _, names in group for name in names),
    *("self", "bool", "float", "int", "str", "bytes", "list", "dict", "len", "range"),
    *("super", "ValueError", "KeyError", "UnknownMethod", "annotations"),
}


def imports(code: list[str]) -> list[str]:
    """The import statements that generated code needs."""
    used = {node.id for node in ast.walk(ast.parse("\n".join(code))) if isinstance(node, ast.Name)}
    lines = []
    for group in _IMPORTS:
        chosen = [(module, ", ".join(filter(used.__contains__, names))) for module, names in group]
        statements = [f"from {module} import {names}" for module, names in chosen if names]
        lines += ["", *statements] if statements else []
    return lines


def refusal(name: str) -> str:
    """Why an IDL name cannot be used in the generated code; empty if it can."""
    if name.startswith("_"):
        return "names that start with '_' are kept for the generated code"
    if keyword.iskeyword(name) or name in _RESERVED:
        return "this name is reserved in the generated Python"
    return ""


def member_refusal(name: str) -> str:
    """Why a name cannot be that of an enum member; empty if it can."""
    taken = hasattr(int, name) or name in dir(enum.Enum) or name == "mro"
    return "every Python enum has an attribute of this name" if taken else ""
