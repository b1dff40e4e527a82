"""Text to tokens. Documentation comments are attached to the tokens they describe."""

from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass

from serial_codegen.idl.errors import IdlError, Position, Source

KEYWORDS = {
    *("program", "const", "import", "enum", "struct", "union", "switch", "case", "default"),
    *("optional", "byref", "type", "interface", "version", "in", "out", "inout", "async"),
    *("oneway", "list", "ref", "true", "false", "void"),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>(?://|\#)[^\n]*|/\*.*?\*/)
  | (?P<float>(?:\d*\.\d+|\d+\.)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)
  | (?P<int>(?:0x[0-9a-fA-F]+|0b[01]+|\d+)[uU]?[lL]?[lL]?)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<string>"(?:\\[^\n]|[^"\\\n])*")
  | (?P<unclosed>/\*|")
  | (?P<symbol><<|>>|->|::|[@{}()\[\]<>=,;:+\-*/%^~&|])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# `//!` and `/**` open a documentation comment; a `<` after them makes it one about what stands
# before it. Longer runs (`////`, `/***`) are decoration.
_DOC = re.compile(r"(?://[/!](?!/)|/\*[*!](?![*/]))(<?)")


@dataclass(slots=True)
class Token:
    """One token; ``value`` is that of a number or a string."""

    kind: str  # keyword, name, int, float, string, symbol or end
    text: str
    position: Position
    value: float | str = ""
    doc: str = ""
    trailing_doc: str = ""

    def __str__(self) -> str:
        """The token as an error message names it."""
        return "the end of the file" if self.kind == "end" else f"'{self.text}'"


def tokenize(source: Source) -> list[Token]:
    """Split a file into tokens; the last one is of the kind end."""
    tokens: list[Token] = []
    doc: list[str] = []
    offset = 0
    while offset < len(source.text):
        match = _TOKEN.match(source.text, offset)
        position = source.position(offset)
        if match is None:
            raise IdlError(f"unexpected character {source.text[offset]!r}", position)
        kind, text = str(match.lastgroup), match[0]
        offset = match.end()
        if kind == "unclosed":
            what = "comment" if text == "/*" else "string"
            raise IdlError(f"this {what} is not closed", position)
        if kind == "comment":
            opening = _DOC.match(text)
            if opening and opening[1] and tokens:
                previous = tokens[-1]
                previous.trailing_doc = join_docs(previous.trailing_doc, _clean(text))
            elif opening:
                doc.append(_clean(text))
        elif kind != "space":
            if kind == "word":
                kind = "keyword" if text in KEYWORDS else "name"
            value = _value(kind, text, position)
            tokens.append(Token(kind, text, position, value, join_docs(*doc)))
            doc.clear()
    tokens.append(Token("end", "", source.position(len(source.text))))
    return tokens


def join_docs(*parts: str) -> str:
    """Put documentation comments about the same thing together."""
    return "\n".join(part for part in parts if part)


def _value(kind: str, text: str, position: Position) -> float | str:
    if kind == "int":
        try:
            return int(text.rstrip("uUlL"), 0)
        except ValueError:
            message = f"'{text}' is not a number here; a leading zero would mean octal in C"
            raise IdlError(message, position) from None
    if kind == "float":
        if math.isinf(float(text)):
            raise IdlError(f"'{text}' is too large", position)
        return float(text)
    if kind == "string":
        return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", _unescape, text[1:-1])
    return text


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 3 else _ESCAPES.get(code, code)


def _clean(comment: str) -> str:
    """Take the comment marks away, and the stars and margin before each line."""
    body = re.sub(_DOC, "", comment, count=1).removesuffix("*/")
    first, *rest = [re.sub(r"^[ \t]*\* ?", "", line).rstrip() for line in body.split("\n")]
    return "\n".join([first.strip(), textwrap.dedent("\n".join(rest))]).strip("\n")
