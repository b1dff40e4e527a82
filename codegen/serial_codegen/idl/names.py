"""Names of Python that the generated code uses, which IDL names must therefore not be."""

from __future__ import annotations

import ast
import enum
import keyword

_Group = tuple[tuple[str, tuple[str, ...]], ...]  # modules, and what is imported from them

# What generated modules may import, in the order of import sorting; a group is set off by a line.
_STANDARD = (
    ("abc", ("ABC", "abstractmethod")),
    ("collections.abc", ("Callable",)),
    ("enum", ("IntEnum",)),
    ("typing", ("Any", "Self", "TypeAlias")),
)
_ERPC = (
    ("erpc", ("Reference",)),
    ("erpc.client", ("ClientManager", "RequestContext")),
    ("erpc.codec", ("Codec", "MessageInfo", "MessageType")),
    ("erpc.server", ("Service",)),
)
_OWN = ((".", ("common", "interface")),)
_RESERVED = {
    *(name for group in (_STANDARD, _ERPC, _OWN) for _, names in group for name in names),
    *("self", "bool", "float", "int", "str", "bytes", "list", "dict", "len", "range"),
    *("super", "ValueError", "KeyError", "UnknownMethod", "annotations", "TYPE_CHECKING"),
    *("object", "type", "tuple", "isinstance", "getattr", "all", "NotImplemented"),
}


def imports(code: list[str], runtime: str) -> list[str]:
    """The import statements that generated code needs.

    What annotations alone name is imported for type checkers only: a start costs less.
    """
    erpc: _Group = _ERPC
    if runtime != "erpc":
        erpc = ((runtime, tuple(sorted(name for _, names in _ERPC for name in names))),)
    tree = ast.parse("\n".join(code))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    needed = _needed(tree)
    lines = _statements((_STANDARD, erpc, _OWN), needed)
    checked = _statements((_STANDARD, erpc, _OWN), used - needed)
    if checked:
        lines += ["", "TYPE_CHECKING = False", "if TYPE_CHECKING:"]
        lines += [f"    {line}".rstrip() for line in checked[1:]]
    return lines


def _statements(groups: tuple[_Group, ...], names: set[str]) -> list[str]:
    lines = []
    for group in groups:
        chosen = [(module, ", ".join(filter(names.__contains__, known))) for module, known in group]
        statements = [f"from {module} import {text}" for module, text in chosen if text]
        lines += ["", *statements] if statements else []
    return lines


def _needed(tree: ast.AST) -> set[str]:
    """The names outside annotations."""
    found = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                inside = value if isinstance(value, list) else [value]
                waiting += [item for item in inside if isinstance(item, ast.AST)]
    return found


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
