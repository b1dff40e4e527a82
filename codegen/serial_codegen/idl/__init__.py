"""Compiler from eRPC IDL to Python stubs for the PyPI package ``erpc``.

The phases, one module each: ``lexer`` (text to tokens), ``parser`` (tokens to the syntax tree of
``tree``), ``semantics`` (names, types and ids resolved into the ``model``), ``emit_python``.
The language is that of erpcgen. What of it is not supported is refused by name, never ignored;
only annotations that concern the C output alone are accepted without effect
(``semantics.HARMLESS``, and every ``@c:`` and ``@java:`` annotation).
"""

from __future__ import annotations

from pathlib import Path

from serial_codegen.idl.emit_python import emit
from serial_codegen.idl.errors import IdlError, Source
from serial_codegen.idl.parser import parse
from serial_codegen.idl.semantics import analyse

__all__ = ["IdlError", "compile_file", "compile_text"]


def compile_text(text: str, file: str, runtime: str = "erpc") -> dict[str, str]:
    """Compile IDL text; return the generated files as relative path to content.

    `runtime`: the module that has what stubs call, with the names and the API of ``erpc``.
    """
    return emit(analyse(parse(Source(file, text))), runtime)


def compile_file(path: Path, runtime: str = "erpc") -> dict[str, str]:
    """Compile an ``.erpc`` file; raises `IdlError` or OSError."""
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    return compile_text(text, str(path), runtime)
