"""The syntax tree: what was written and where, nothing resolved."""

from __future__ import annotations

from dataclasses import dataclass

from serial_codegen.idl.errors import Position


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier."""

    text: str
    position: Position


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a truth value or a string."""

    value: float | str
    position: Position


@dataclass(frozen=True, slots=True)
class ListType:
    """``list<element>``."""

    element: Type


@dataclass(frozen=True, slots=True)
class ArrayType:
    """``element[count]``."""

    element: Type
    count: Expression


Expression = Name | Literal
Type = Name | ListType | ArrayType


@dataclass(frozen=True, slots=True)
class Annotation:
    """``@name(value)`` or ``@language:name(value)``; value is None if none is written."""

    language: str
    name: Name
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Declaration:
    """What every declaration has."""

    name: Name
    doc: str
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Const(Declaration):
    """``const type name = value``."""

    type: Type
    value: Expression


@dataclass(frozen=True, slots=True)
class EnumMember(Declaration):
    """``name = value``; value is None if none is written."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class Enum(Declaration):
    """``enum name { members }``."""

    members: tuple[EnumMember, ...]


@dataclass(frozen=True, slots=True)
class Field(Declaration):
    """A struct's member, or a parameter with direction in, out or inout."""

    type: Type
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Alias(Field):
    """``type name = type``."""


@dataclass(frozen=True, slots=True)
class Struct(Declaration):
    """``struct name { fields }``."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Method(Declaration):
    """``name(parameters) -> result``; result is None for void and oneway."""

    parameters: tuple[Field, ...]
    result: Type | None
    result_annotations: tuple[Annotation, ...]
    oneway: bool


@dataclass(frozen=True, slots=True)
class Interface(Declaration):
    """``interface name { methods }``."""

    methods: tuple[Method, ...]


Definition = Const | Alias | Enum | Struct | Interface


@dataclass(frozen=True, slots=True)
class File:
    """A whole file."""

    program: Declaration
    definitions: tuple[Definition, ...]
