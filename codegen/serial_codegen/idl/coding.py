"""How values of each type are annotated, read and written in the generated Python."""

from __future__ import annotations

from collections.abc import Iterator

from serial_codegen.idl import model
from serial_codegen.idl.docs import WIDTH, Lines, wrap

_PYTHON = {"bool": "bool", "float": "float", "double": "float", "string": "str", "binary": "bytes"}
_DEFAULTS = {"bool": "False", "float": "0.0", "int": "0", "str": '""', "bytes": 'b""'}


def annotation(type_: model.Type, prefix: str) -> str:
    """The Python type. Enums are plain ints: a newer peer may send members unknown here."""
    if isinstance(type_, model.Scalar):
        return _PYTHON.get(type_.name, "int")
    if isinstance(type_, model.Enum):
        return "int"
    if isinstance(type_, model.Struct):
        return f"{prefix}{type_.name}"
    return f"list[{annotation(type_.element, prefix)}]"


def default_parameter(name: str, type_: model.Type) -> str:
    """A parameter of a struct's ``__init__``, with its default."""
    if isinstance(type_, (model.Scalar, model.Enum)):
        return f"{name}: {annotation(type_, '')} = {_default(type_)}"
    return f"{name}: {annotation(type_, '')} | None = None"


def assignment(name: str, type_: model.Type, indent: str) -> Lines:
    """The statement that makes this parameter a field."""
    if isinstance(type_, (model.Scalar, model.Enum)):
        return [f"{indent}self.{name} = {name}"]
    # What can be changed is made anew for each object.
    parts = [_default(type_), f"if {name} is None", f"else {name}"]
    line = f"{indent}self.{name} = {' '.join(parts)}"
    if len(line) <= WIDTH:
        return [line]
    inner = f"{indent}    "
    joined = f"{inner}{' '.join(parts)}"
    body = [joined] if len(joined) <= WIDTH else [f"{inner}{part}" for part in parts]
    return [f"{indent}self.{name} = (", *body, f"{indent})"]


def _default(type_: model.Type) -> str:
    if isinstance(type_, model.Scalar):
        return _DEFAULTS[annotation(type_, "")]
    if isinstance(type_, model.Enum):
        return f"{type_.name}.{type_.members[0].name}"
    if isinstance(type_, model.Struct):
        return f"{type_.name}()"
    if isinstance(type_, model.ListOf):
        return "[]"
    if isinstance(type_.element, (model.Scalar, model.Enum)):
        return f"[{_default(type_.element)}] * {type_.count}"
    return f"[{_default(type_.element)} for _ in range({type_.count})]"


def read(head: str, type_: model.Type, codec: str, prefix: str, indent: str) -> Lines:
    """Statement ``head`` completed by an expression that reads a value."""
    line = f"{indent}{head}{_read(type_, codec, prefix)}"
    if len(line) <= WIDTH or not isinstance(type_, (model.ListOf, model.ArrayOf)):
        return [line]
    inner = f"{indent}    "
    element, loop = _read(type_.element, codec, prefix), _loop(type_, codec)
    body = [f"{inner}{element} {loop}"]
    if len(body[0]) > WIDTH:
        body = [*read("", type_.element, codec, prefix, inner), f"{inner}{loop}"]
    return [f"{indent}{head}[", *body, f"{indent}]"]


def _read(type_: model.Type, codec: str, prefix: str) -> str:
    if isinstance(type_, model.Scalar):
        value = f"{codec}.read_{type_.name}()"
        # The stock codec returns a bytearray, which is mutable and cannot be hashed.
        return f"bytes({value})" if type_.name == "binary" else value
    if isinstance(type_, model.Enum):
        return f"{codec}.read_int32()"
    if isinstance(type_, model.Struct):
        return f"{prefix}{type_.name}()._read({codec})"
    return f"[{_read(type_.element, codec, prefix)} {_loop(type_, codec)}]"


def _loop(type_: model.ListOf | model.ArrayOf, codec: str) -> str:
    count = type_.count if isinstance(type_, model.ArrayOf) else f"{codec}.start_read_list()"
    return f"for _ in range({count})"


def write(
    value: str, type_: model.Type, codec: str, indent: str, numbers: Iterator[int], label: str = ""
) -> Lines:
    """Statements that write a value; ``numbers`` makes the loop variables of a function differ,
    for type checkers bind a name to one type.
    """
    label = label or value.removeprefix("self.").removesuffix(".value")
    if isinstance(type_, model.Struct):
        return [f"{indent}{value}._write({codec})"]
    if isinstance(type_, (model.Scalar, model.Enum)):
        suffix = "int32" if isinstance(type_, model.Enum) else type_.name
        return wrap(f"{codec}.write_{suffix}(", [value], ")", indent)
    if isinstance(type_, model.ListOf):
        lines = wrap(f"{codec}.start_write_list(", [f"len({value})"], ")", indent)
    else:
        # There is no count on the wire: a wrong length would shift all that follows.
        message = f'f"{label} must have {type_.count} items, not {{len({value})}}"'
        lines = [f"{indent}if len({value}) != {type_.count}:"]
        lines += wrap("raise ValueError(", [message], ")", f"{indent}    ")
    item, inner = f"_item{next(numbers)}", f"{indent}    "
    lines.append(f"{indent}for {item} in {value}:")
    return lines + write(item, type_.element, codec, inner, numbers, f"{label}[...]")
