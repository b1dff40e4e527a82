"""The syntax tree to the model: names, types, values and ids resolved and checked.

As in erpcgen a name is defined before it is used, so one pass in the order of the file is enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from serial_codegen.idl import model, tree
from serial_codegen.idl.errors import IdlError
from serial_codegen.idl.names import member_refusal, refusal

_INTEGERS = {
    **{f"int{bits}": (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
_SCALARS = (*_INTEGERS, "bool", "float", "double", "string", "binary")
_MAX_ID = 255  # ids are one byte on the wire
_MAX_COUNT = 65535  # a message cannot hold more items

# Annotations that erpcgen uses for its C and C++ output only.
HARMLESS = {
    *("error_return", "namespace", "no_alloc_errors", "no_const_param", "no_infra_errors"),
    *("retain", "scope_name"),
}
_UNSUPPORTED = {
    *("crc", "discriminator", "external", "group", "include", "length", "max_length", "name"),
    *("no_shared", "nullable", "output_dir", "py_types_name_strip_suffix", "shared"),
    *("shared_memory_begin", "shared_memory_end"),
}


def analyse(file: tree.File) -> model.Program:
    """Resolve and check a whole file."""
    analyser = _Analyser(file.program)
    for definition in file.definitions:
        analyser.define(definition)
    interfaces = [item for item in file.definitions if isinstance(item, tree.Interface)]
    for item, number in zip(interfaces, analyser.ids(interfaces, "interface"), strict=True):
        analyser.program.interfaces.append(analyser.interface(item, number))
    return analyser.program


class _Scope:
    """Names that must differ from each other."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def add(self, name: tree.Name) -> str:
        why = refusal(name.text)
        if why:
            raise IdlError(f"'{name.text}' cannot be used: {why}", name.position)
        if name.text in self._lines:
            line = self._lines[name.text]
            raise IdlError(f"'{name.text}' is already defined in line {line}", name.position)
        self._lines[name.text] = name.position.line
        return name.text


class _Analyser:
    def __init__(self, program: tree.Declaration) -> None:
        self._annotations(program.annotations)
        name = _Scope().add(program.name)
        self.program = model.Program(program.name.position.file, name, program.doc)
        self._scope = _Scope()
        self._values: dict[str, float | str] = {}
        self._types: dict[str, model.Type] = {name: model.Scalar(name) for name in _SCALARS}

    # Definitions.

    def define(self, item: tree.Definition) -> None:
        name = item.name.text
        self._annotations(item.annotations, "id" if isinstance(item, tree.Interface) else "")
        if name in _SCALARS:
            raise IdlError(f"'{name}' is a built-in type", item.name.position)
        if isinstance(item, tree.Const):
            value = self._constant(self._type(item.type), item.value)
            self._values[self._scope.add(item.name)] = value
            self.program.constants.append(model.Const(name, value, item.doc))
        elif isinstance(item, tree.Alias):
            alias = model.Field(name, self._type(item.type), item.doc)
            self._types[self._scope.add(item.name)] = alias.type
            self.program.aliases.append(alias)
        elif isinstance(item, tree.Enum):
            enum = model.Enum(self._scope.add(item.name), item.doc)
            self._types[name] = enum
            self._enum_members(item, enum)
            self.program.enums.append(enum)
        elif isinstance(item, tree.Struct):
            struct = model.Struct(self._scope.add(item.name), item.doc)
            self._types[name] = struct
            self._struct_fields(item, struct)
            self.program.structs.append(struct)
        else:
            self._scope.add(item.name)

    def _constant(self, type_: model.Type, written: tree.Expression) -> float | str:
        value = self._value(written)
        name = type_.name if isinstance(type_, (model.Scalar, model.Enum)) else ""
        if isinstance(type_, model.Enum):
            fits = value in [member.value for member in type_.members]
        elif name in _INTEGERS:
            least, most = _INTEGERS[name]
            fits = type(value) is int and least <= value <= most
        elif name in ("float", "double"):
            value = float(value) if type(value) is int else value
            fits = isinstance(value, float)
        elif name in ("bool", "string"):
            fits = type(value) is (bool if name == "bool" else str)
        else:
            raise IdlError("a constant cannot have this type", written.position)
        if not fits:
            raise IdlError(f"{value!r} is not a value of the type '{name}'", written.position)
        return value

    def _enum_members(self, item: tree.Enum, enum: model.Enum) -> None:
        if not item.members:
            raise IdlError(f"the enum '{enum.name}' has no members", item.name.position)
        value = -1
        for member in item.members:
            self._annotations(member.annotations)
            position = member.name.position if member.value is None else member.value.position
            value = value + 1 if member.value is None else self._integer(member.value)
            least, most = _INTEGERS["int32"]
            if not least <= value <= most:
                raise IdlError(f"{value} does not fit an int32, the wire's enum", position)
            name = self._scope.add(member.name)  # a name of the whole file, as in C
            why = member_refusal(name)
            if why:
                raise IdlError(f"'{name}' cannot be used: {why}", member.name.position)
            self._values[name] = value
            enum.members.append(model.Const(name, value, member.doc))

    def _struct_fields(self, item: tree.Struct, struct: model.Struct) -> None:
        if not item.fields:
            raise IdlError(f"the struct '{struct.name}' has no members", item.name.position)
        scope = _Scope()
        for member in item.fields:
            self._annotations(member.annotations)
            type_ = self._type(member.type)
            inner, written = type_, member.type
            while isinstance(inner, model.ArrayOf):
                inner = inner.element
            while isinstance(written, tree.ArrayType):
                written = written.element
            if inner is struct and isinstance(written, tree.Name):
                raise IdlError(f"struct '{struct.name}' would contain itself", written.position)
            struct.fields.append(model.Field(scope.add(member.name), type_, member.doc))
        # In a Python class a field hides a type of the same name from the fields after it.
        used = {_element(field.type) for field in struct.fields}
        for member in item.fields:
            if self._types.get(member.name.text) in used:
                message = f"'{member.name.text}' is also the type of a member of this struct"
                raise IdlError(message, member.name.position)

    def interface(self, item: tree.Interface, number: int) -> model.Interface:
        scope = _Scope()
        methods = []
        # The methods share their class with the constants of the ids.
        scope.add(tree.Name("SERVICE_ID", item.name.position))
        for method, method_id in zip(item.methods, self.ids(item.methods, "method"), strict=True):
            self._annotations(method.annotations, "id")
            scope.add(method.name)
            methods.append(self._method(method, method_id))
            scope.add(tree.Name(methods[-1].constant, method.name.position))
        return model.Interface(item.name.text, number, item.doc, methods)

    def _method(self, item: tree.Method, number: int) -> model.Method:
        self._annotations(item.result_annotations)
        scope = _Scope()
        parameters = []
        for written in item.parameters:
            self._annotations(written.annotations)
            name, type_ = scope.add(written.name), self._type(written.type)
            parameters.append(model.Field(name, type_, written.doc, written.direction))
        result = None if item.result is None else self._type(item.result)
        return model.Method(item.name.text, number, item.doc, parameters, result, item.oneway)

    def ids(self, items: Iterable[tree.Declaration], what: str) -> list[int]:
        """The ids of interfaces or methods: that of @id, else the place in the file."""
        owners: dict[int, str] = {}
        for place, item in enumerate(items, 1):
            number, position = place, item.name.position
            for annotation in item.annotations:
                if annotation.name.text == "id" and annotation.language in ("", "py"):
                    position = annotation.name.position
                    if annotation.value is None:
                        raise IdlError("@id needs a value", position)
                    number = self._integer(annotation.value)
            if not 1 <= number <= _MAX_ID:
                raise IdlError(f"the {what} id {number} is not in 1 to {_MAX_ID}", position)
            if number in owners:
                message = f"the {what} id {number} is already that of '{owners[number]}'"
                raise IdlError(message, position)
            owners[number] = item.name.text
        return list(owners)

    # Types, values and annotations.

    def _type(self, written: tree.Type) -> model.Type:
        if isinstance(written, tree.ListType):
            return model.ListOf(self._type(written.element))
        if isinstance(written, tree.ArrayType):
            count = self._integer(written.count)
            if not 1 <= count <= _MAX_COUNT:
                message = f"the array's length {count} is not in 1 to {_MAX_COUNT}"
                raise IdlError(message, written.count.position)
            return model.ArrayOf(self._type(written.element), count)
        if written.text == "ustring":
            raise IdlError("the type 'ustring' is not supported yet", written.position)
        if written.text not in self._types:
            raise IdlError(f"unknown type '{written.text}'", written.position)
        return self._types[written.text]

    def _value(self, written: tree.Expression) -> float | str:
        if isinstance(written, tree.Literal):
            return written.value
        if written.text not in self._values:
            raise IdlError(f"unknown constant '{written.text}'", written.position)
        return self._values[written.text]

    def _integer(self, written: tree.Expression) -> int:
        value = self._value(written)
        if not isinstance(value, int) or isinstance(value, bool):
            raise IdlError(f"expected an integer, found {value!r}", written.position)
        return value

    def _annotations(self, annotations: Iterable[tree.Annotation], allowed: str = "") -> None:
        for annotation in annotations:
            name, position = annotation.name.text, annotation.name.position
            if annotation.language not in ("", "py", "c", "java"):
                raise IdlError(f"unknown language '{annotation.language}'", position)
            if annotation.language in ("c", "java") or name in HARMLESS or name == allowed:
                continue
            if name in _UNSUPPORTED:
                raise IdlError(f"@{name} is not supported yet", position)
            why = "is for interfaces and methods" if name == "id" else "is not known"
            raise IdlError(f"@{name} {why}", position)


def _element(type_: model.Type) -> model.Type:
    """What lists and arrays hold in the end."""
    while isinstance(type_, (model.ListOf, model.ArrayOf)):
        type_ = type_.element
    return type_
