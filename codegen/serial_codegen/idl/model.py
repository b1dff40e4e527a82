"""What an IDL file means: names resolved to types and values, ids assigned."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scalar:
    """A built-in type, by the name that its codec methods carry."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """Items after their count."""

    element: Type


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """A fixed number of items; the count is not on the wire."""

    element: Type
    count: int


@dataclass(frozen=True, slots=True)
class Const:
    """A constant or a member of an enum."""

    name: str
    value: float | str
    doc: str


# Enums and structs are equal only to themselves; a struct may reach itself through a list.
@dataclass(eq=False, slots=True)
class Enum:
    """An enum; on the wire an int32."""

    name: str
    doc: str
    members: list[Const] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Struct:
    """Fields in the order of the wire."""

    name: str
    doc: str
    fields: list[Field] = field(default_factory=list)


Type = Scalar | Enum | Struct | ListOf | ArrayOf


@dataclass(frozen=True, slots=True)
class Field:
    """A name for a type: a struct's member, an alias, or a parameter with its direction."""

    name: str
    type: Type
    doc: str
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A method; the result is None for void and oneway."""

    name: str
    id: int
    doc: str
    parameters: list[Field]
    result: Type | None
    oneway: bool

    @property
    def constant(self) -> str:
        """The name of the constant that holds the id."""
        return f"{self.name.upper()}_ID"

    @property
    def inputs(self) -> list[Field]:
        """The parameters in the request, in order."""
        return [parameter for parameter in self.parameters if parameter.direction != "out"]

    @property
    def outputs(self) -> list[Field]:
        """The parameters in the reply, in order; the result follows them."""
        return [parameter for parameter in self.parameters if parameter.direction != "in"]


@dataclass(frozen=True, slots=True)
class Interface:
    """A service."""

    name: str
    id: int
    doc: str
    methods: list[Method]


@dataclass(frozen=True, slots=True)
class Program:
    """A whole file; each kind in the order of the file."""

    file: str
    name: str
    doc: str
    constants: list[Const] = field(default_factory=list)
    enums: list[Enum] = field(default_factory=list)
    structs: list[Struct] = field(default_factory=list)
    aliases: list[Field] = field(default_factory=list)
    interfaces: list[Interface] = field(default_factory=list)
