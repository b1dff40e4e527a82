# SPDX-License-Identifier: MIT
"""Profiles as files: named by a path, or by the name of one that is installed; read and checked.

All that is wrong with a file is told at once, each with its line where the file shows one.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from serial_runtime.config import KEYS, Profile, check_io, override
from serial_runtime.errors import ConfigError
from serial_runtime.profile_values import choice

_SUFFIX = ".toml"
_MOST_LINES = 1000  # of a file whose lines are looked for: each is parsed up to every line
_STEP = re.compile(r'\.?"([^"]*)"|\.?([A-Za-z0-9_-]+)|\[([0-9]+)\]')


def folder() -> str:
    """Where the profiles are that come with the runtime: of a checkout its own, else installed."""
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    own = os.path.join(checkout, "board", "profiles")
    return own if os.path.isdir(own) else f"{sys.prefix}/share/serial-runtime/profiles"


def installed() -> list[str]:
    """Their names, sorted."""
    try:
        found = os.listdir(folder())
    except OSError:
        return []
    return sorted(one.removesuffix(_SUFFIX) for one in found if one.endswith(_SUFFIX))


def find_profile(name: str) -> str:
    """The file that is meant by a path, or by the name of an installed profile. ConfigError."""
    if "/" in name or name.endswith(_SUFFIX) or os.path.exists(name):
        return name
    known = installed()
    if name in known:
        return os.path.join(folder(), name + _SUFFIX)
    there = choice("installed profiles are", known) if known else f"none is in {folder()}"
    raise ConfigError(f"there is no profile {name!r}: {there}; a file is named by its path, ./FILE")


def load_profile(name: str) -> Profile:
    """Read and check a profile, see `find_profile`. ConfigError names the file, the keys and the
    remedies."""
    return parse_profile(read_profile(name), name)


def read_profile(name: str) -> str:
    """The text of a profile. ConfigError."""
    try:
        with open(find_profile(name), "rb") as file:
            return file.read().decode()
    except (OSError, ValueError) as error:  # of a name with a NUL
        if isinstance(error, UnicodeDecodeError):
            raise ConfigError(f"{name}: not UTF-8 text (byte {error.start})") from error
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name}: cannot be read: {why}") from error


def parse_profile(text: str, name: str = "profile") -> Profile:
    """Check the text of a profile; `name` leads every line of the ConfigError."""
    import tomllib

    try:
        sections = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long, arrays too deep
        raise ConfigError(f"{name}: not a TOML file: {error}") from error
    profile = Profile()
    refusals: list[tuple[str, list[str | int]]] = []
    for section, content in sections.items():
        if section not in KEYS:
            kind = "section" if isinstance(content, dict) else "key"
            sentence = f"unknown {kind} {section!r}: {choice('sections are', KEYS)}"
            refusals.append((sentence, [section]))
        elif not isinstance(content, dict):
            sentence = f"{section} is a section: write [{section}] above its keys"
            refusals.append((sentence, [section]))
        else:
            for key, value in content.items():
                try:
                    profile = override(profile, f"{section}.{key}", value)
                except ConfigError as error:
                    refusals.append((str(error), _path(str(error), section, key)))
                except ValueError as error:  # an integer of more digits than Python writes
                    refusals.append((f"{section}.{key}: {error}", [section, key]))
    if not refusals:
        try:
            check_io(profile)
        except ConfigError as error:
            refusals.append((str(error), []))
    if refusals:
        lines = _lines(text, sections, [path for _, path in refusals])
        raise ConfigError(
            "\n".join(
                f"{name}{f':{line}' * bool(line)}: {sentence}"
                for (sentence, _), line in zip(refusals, lines, strict=True)
            )
        )
    return profile


def _path(sentence: str, section: str, key: str) -> list[str | int]:
    """The key that a refusal names, as far as it goes: io.gpio[1].inputs."%IX0.0"."""
    path: list[str | int] = [section, key]
    place = sentence.find(f"{section}.{key}")
    at = place + len(f"{section}.{key}")
    while place >= 0 and (step := _STEP.match(sentence, at)):
        quoted, plain, number = step.groups()
        path.append(int(number) - 1 if number else plain if quoted is None else quoted)
        at = step.end()
    return path


def _lines(text: str, whole: dict[str, Any], paths: list[list[str | int]]) -> list[int]:
    """The line where each of these keys is first there, 0: not found.

    The TOML parser tells no lines, but the lines up to that one are a TOML file that has the key.
    """
    import tomllib

    wanted = [_existing(whole, path) for path in paths]
    found = [0] * len(paths)
    lines = text.splitlines(keepends=True)
    if not any(wanted) or len(lines) > _MOST_LINES:
        return found
    for number in range(1, len(lines) + 1):
        try:
            part = tomllib.loads("".join(lines[:number]))
        except (ValueError, RecursionError):  # the middle of a value of several lines
            continue
        for index, path in enumerate(wanted):
            if not found[index] and path and _existing(part, path) == path:
                found[index] = number
    return found


def _existing(table: Any, path: list[str | int]) -> list[str | int]:
    """As much of the path as is there."""
    for depth, step in enumerate(path):
        try:
            table = table[step]
        except (LookupError, TypeError):
            return path[:depth]
    return path
