"""Tokens to the syntax tree, by recursive descent with one token of lookahead."""

from __future__ import annotations

from typing import NoReturn

from serial_codegen.idl import tree
from serial_codegen.idl.errors import IdlError, Position, Source
from serial_codegen.idl.lexer import Token, join_docs, tokenize

_MAX_NESTING = 50  # of types; far below what Python's stack bears

_Notes = tuple[tree.Annotation, ...]


def parse(source: Source) -> tree.File:
    """Parse one file."""
    return _Parser(tokenize(source)).file()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0

    # The token stream.

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _next(self) -> Token:
        token = self._token
        self._index += 1
        return token

    def _accept(self, *texts: str) -> bool:
        """Step over one of these keywords or symbols if it comes next."""
        found = self._token.text in texts
        self._index += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(f"'{text}'")

    def _name(self, what: str) -> tree.Name:
        if self._token.kind != "name":
            self._fail(what)
        token = self._next()
        return tree.Name(token.text, token.position)

    def _fail(self, expected: str) -> NoReturn:
        kind = "the reserved word " if self._token.kind == "keyword" else ""
        message = f"expected {expected}, found {kind}{self._token}"
        raise IdlError(message, self._token.position)

    def _refuse(self, what: str) -> NoReturn:
        raise IdlError(f"{what} is not supported yet", self._token.position)

    def _end(self, doc: str, *separators: str) -> str:
        """Step over an optional separator; return the documentation with any trailing part."""
        self._accept(*separators)
        return join_docs(doc, self._tokens[self._index - 1].trailing_doc)

    # Definitions.

    def file(self) -> tree.File:
        doc, notes = self._token.doc, self._annotations()
        if not self._accept("program"):
            self._fail("the statement 'program NAME'")
        program = tree.Declaration(self._name("the program's name"), doc, notes)
        self._accept(";")
        definitions = []
        while self._token.kind != "end":
            definitions.append(self._definition())
        return tree.File(program, tuple(definitions))

    def _definition(self) -> tree.Definition:
        doc, notes = self._token.doc, self._annotations()
        keyword = self._token.text
        if keyword in ("import", "union"):
            self._refuse(f"'{keyword}'")
        if keyword == "program":
            raise IdlError("'program' stands once, at the start", self._token.position)
        if not self._accept("const", "enum", "struct", "type", "interface"):
            self._fail("a definition")
        if keyword == "const":
            type_, name = self._type(), self._name("the constant's name")
            self._expect("=")
            value = self._value()
            return tree.Const(name, self._end(doc, ";"), notes, type_, value)
        if keyword == "enum" and self._token.text == "{":
            self._refuse("an enum without a name")
        name = self._name("a name")
        if keyword == "type":
            self._expect("=")
            if self._token.text in ("struct", "enum"):
                self._refuse(f"'{self._token.text}' inside a 'type' definition")
            type_ = self._type()
            return tree.Alias(name, self._end(doc, ";"), notes, type_)
        if keyword == "struct" and self._token.text != "{":
            self._refuse("announcing a struct before its definition")
        self._expect("{")
        if keyword == "enum":
            members = []
            while not self._accept("}"):
                members.append(self._enum_member())
            return tree.Enum(name, self._end(doc, ";"), notes, tuple(members))
        if keyword == "struct":
            fields = []
            while not self._accept("}"):
                fields.append(self._struct_member())
            return tree.Struct(name, self._end(doc, ";"), notes, tuple(fields))
        methods = []
        while not self._accept("}"):
            methods.append(self._method())
        return tree.Interface(name, self._end(doc, ";"), notes, tuple(methods))

    def _enum_member(self) -> tree.EnumMember:
        doc, name = self._token.doc, self._name("an enum member or '}'")
        value = self._value() if self._accept("=") else None
        notes = self._annotations()
        return tree.EnumMember(name, self._end(doc, ","), notes, value)

    def _struct_member(self) -> tree.Field:
        if self._token.text in ("optional", "byref", "union"):
            self._refuse(f"'{self._token.text}'")
        doc, type_ = self._token.doc, self._type("a type or '}'")
        name, notes = self._name("the member's name"), self._annotations()
        return tree.Field(name, self._end(doc, ";"), notes, type_)

    def _method(self) -> tree.Method:
        doc, notes = self._token.doc, self._annotations()
        if self._token.text == "type":
            self._refuse("a function type")
        oneway = self._accept("oneway")
        name = self._name("a method or '}'")
        if self._token.kind == "name":
            self._refuse("a callback")
        self._expect("(")
        parameters = []
        if not self._accept("void") and self._token.text != ")":
            parameters.append(self._parameter(oneway))
            while self._accept(","):
                parameters.append(self._parameter(oneway))
        self._expect(")")
        if not oneway:
            self._expect("->")
        result_notes = () if oneway else self._annotations()
        result = None if oneway or self._accept("void") else self._type()
        doc = self._end(doc, ";", ",")
        return tree.Method(name, doc, notes, tuple(parameters), result, result_notes, oneway)

    def _parameter(self, oneway: bool) -> tree.Field:
        first = self._token
        direction = first.text if self._accept("in", "out", "inout") else "in"
        if oneway and direction != "in":
            message = f"a oneway method cannot have an '{direction}' parameter"
            raise IdlError(message, first.position)
        type_ = self._type()
        if self._token.text == "::":
            self._refuse("a function type")
        name, notes = self._name("the parameter's name"), self._annotations()
        return tree.Field(name, self._end(first.doc), notes, type_, direction)

    # Annotations, types and values.

    def _annotations(self) -> _Notes:
        annotations = []
        while self._accept("@"):
            language, name = "", self._name("the annotation's name")
            if self._accept(":"):
                language, name = name.text, self._name("the annotation's name")
            value = None
            if self._accept("(") and not self._accept(")"):
                value = self._value()
                self._expect(")")
            annotations.append(tree.Annotation(language, name, value))
        return tuple(annotations)

    def _type(self, expected: str = "a type", depth: int = 0) -> tree.Type:
        if depth > _MAX_NESTING:
            raise IdlError("this type is nested too deeply", self._token.position)
        type_: tree.Type
        if self._accept("list"):
            self._expect("<")
            type_ = tree.ListType(self._type(depth=depth + 1))
            self._close_list()
        else:
            type_ = self._name(expected)
        counts: list[tree.Expression] = []
        while len(counts) < _MAX_NESTING and self._accept("["):
            counts.append(self._value())
            self._expect("]")
        # As in C: T[2][3] is two times three T.
        for count in reversed(counts):
            type_ = tree.ArrayType(type_, count)
        return type_

    def _close_list(self) -> None:
        if self._token.text == ">>":
            # The end of two lists, not a shift: leave the second half.
            where = self._token.position
            second = Position(where.file, where.line, where.column + 1, where.source_line)
            self._tokens[self._index] = Token("symbol", ">", second)
        else:
            self._expect(">")

    def _value(self) -> tree.Expression:
        first = self._token
        minus = self._accept("-")
        token = self._token
        value: tree.Expression
        if isinstance(token.value, (int, float)):
            value = tree.Literal(-token.value if minus else token.value, first.position)
            self._index += 1
        elif minus or token.text in ("(", "~", "+"):
            self._refuse("an expression")
        elif self._accept("true", "false"):
            value = tree.Literal(token.text == "true", token.position)
        elif token.kind == "string":
            text = ""
            while self._token.kind == "string":  # strings side by side are one
                text += str(self._next().value)
            value = tree.Literal(text, token.position)
        else:
            value = self._name("a value")
        if self._token.text in ("+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"):
            self._refuse("an expression")
        return value
