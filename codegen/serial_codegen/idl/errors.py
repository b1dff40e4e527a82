"""Source text, places in it, and the one exception of the compiler."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source file: line and column count from 1."""

    file: str
    line: int
    column: int
    source_line: str


class Source:
    """The text of one file."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = re.sub(r"\r\n?", "\n", text)
        self._starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        # Surrogates stand for bytes that were not UTF-8. Neither they nor control characters may
        # reach the generated code through a comment.
        bad = re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", self.text)
        if bad:
            message = f"the file contains the character {bad[0]!a}, which is not text"
            raise IdlError(message, self.position(bad.start()))

    def position(self, offset: int) -> Position:
        """The place of a character of the text."""
        line = bisect_right(self._starts, offset)
        start = self._starts[line - 1]
        source_line = self.text[start:].partition("\n")[0]
        return Position(self.file, line, offset - start + 1, source_line)


class IdlError(Exception):
    """The IDL is wrong, or uses what is not supported yet; ``str()`` shows where."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message, position)
        self.message = message
        self.position = position
        self.file, self.line, self.column = position.file, position.line, position.column

    def __str__(self) -> str:
        text = self.position.source_line
        # Tabs stay tabs, so that the caret stands right whatever their width.
        margin = re.sub(r"[^\t]", " ", text[: self.column - 1])
        shown = text.encode("utf-8", "replace").decode()
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: error: {self.message}\n{shown}\n{margin}^"
