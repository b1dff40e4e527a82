# SPDX-License-Identifier: MIT
"""IEC 61131-3 literals: text to Python value and back. Types go by their IEC names here.

Accepted beside the plain form: the type as a prefix (``INT#5``, ``WORD#16#FF``), bases ``2#``,
``8#`` and ``16#``, single underscores between digits, any case. Durations: ``T#1d2h3m4s5ms6us7ns``
(``TIME#``, or none), units in that order, a fraction on the last. ``D#2026-01-31``,
``TOD#12:30:00.5``, ``DT#2026-01-31-12:30:00`` (``DATE#``, ``TIME_OF_DAY#``, ``DATE_AND_TIME#``,
or none). STRING: ``'text'`` or ``STRING#'text'`` with the escapes ``$$ $' $L $N $P $R $T $xx``, or
bare text as it is.
Beyond IEC: NaN and INF, which a program can compute and a watcher must be able to show.

`from_text` raises ValueError; its text says more than "not a number" or is empty.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct

Value = bool | int | float | str

EXAMPLES = {
    "BOOL": "TRUE",
    "REAL": "1.5 or -2.5E3",
    "LREAL": "1.5 or -2.5E3",
    "TIME": "T#1s500ms",
    "DATE": "D#2026-01-31",
    "TOD": "TOD#12:30:00",
    "DT": "DT#2026-01-31-12:30:00",
    "STRING": "'text'",
}
_PREFIXES = {
    "TIME": ("T", "TIME"),
    "DATE": ("D", "DATE"),
    "TOD": ("TOD", "TIME_OF_DAY"),
    "DT": ("DT", "DATE_AND_TIME"),
}
_UNITS = {
    "D": 86_400_000_000_000,
    "H": 3_600_000_000_000,
    "M": 60_000_000_000,
    "S": 1_000_000_000,
    "MS": 1_000_000,
    "US": 1_000,
    "NS": 1,
}
_SECOND = _UNITS["S"]
_DAY = _UNITS["D"]
_HEX_DIGITS = {"BYTE": 2, "WORD": 4, "DWORD": 8, "LWORD": 16}
_DIGITS = {2: "[01]", 8: "[0-7]", 10: "[0-9]", 16: "[0-9A-F]"}
_REAL = re.compile(r"[+-]?[0-9]+(_[0-9]+)*(\.[0-9]+(_[0-9]+)*)?(E[+-]?[0-9]+)?")
_DURATION = re.compile(r"([0-9]+)(?:\.([0-9]+))?(D|H|MS|US|NS|M|S)_?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,9}))?)?")
_ESCAPES = {"L": "\n", "N": "\n", "P": "\f", "R": "\r", "T": "\t", "$": "$", "'": "'"}
_ESCAPED = {"\n": "$N", "\f": "$P", "\r": "$R", "\t": "$T", "$": "$$", "'": "$'"}


def from_text(name: str, text: str) -> Value:
    """The value of a literal of the type `name`. Ranges are left to `iec.pack`."""
    if name == "STRING":
        return _string(text)
    text = text.strip().upper()
    for prefix in _PREFIXES.get(name, (name,)):
        if text.startswith(prefix + "#"):
            text = text[len(prefix) + 1 :]
            break
    if name == "BOOL":
        if text in ("TRUE", "1", "FALSE", "0"):
            return text in ("TRUE", "1")
        raise ValueError
    if name in ("REAL", "LREAL"):
        return _real(text)
    if name == "TIME":
        return _duration(text)
    if name == "DATE":
        return _date(text)
    if name == "TOD":
        return _clock(text)
    if name == "DT":
        day, separator, clock = text[:10], text[10:11], text[11:]
        if not separator and _DATE.fullmatch(day):
            raise ValueError("the time of day is missing")
        if separator not in ("-", "T", " "):
            raise ValueError
        return _date(day) + _clock(clock)
    return _integer(text)


def to_text(name: str, value: Value) -> str:
    """The literal of a value of the type `name`."""
    if isinstance(value, str):
        return "'" + "".join(_escape(character) for character in value) + "'"
    if name == "BOOL":
        return "TRUE" if value else "FALSE"
    if name in ("REAL", "LREAL"):
        return _real_text(float(value), name == "REAL")
    value = int(value)
    if name in _HEX_DIGITS:
        return f"16#{value:0{_HEX_DIGITS[name]}X}"
    if name == "TIME":
        return "T#" + _duration_text(value)
    if name == "DATE":
        return "D#" + _date_text(value)
    if name == "TOD":
        return "TOD#" + _clock_text(value)
    if name == "DT":
        return f"DT#{_date_text(value)}-{_clock_text(value % _DAY)}"
    return str(value)


def _integer(text: str) -> int:
    sign, digits = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    base = 10
    for candidate in (2, 8, 16):
        if digits.startswith(f"{candidate}#"):
            base, digits = candidate, digits.split("#", 1)[1]
    if not re.fullmatch(f"{_DIGITS[base]}+(_{_DIGITS[base]}+)*", digits):
        raise ValueError
    return int(sign + digits.replace("_", ""), base)


def _real(text: str) -> float:
    if text in ("NAN", "INF", "+INF", "-INF"):
        return float(text)
    if not _REAL.fullmatch(text):
        raise ValueError
    value = float(text.replace("_", ""))
    if math.isinf(value):
        raise ValueError("it is too large")
    return value


def _real_text(value: float, single: bool) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return repr(shortest(value) if single else value).upper()


def shortest(value: float) -> float:
    """Of the numbers that are this REAL in 32 bits the one with the shortest text."""
    packed = struct.pack("<f", value)
    for digits in range(1, 10):
        near = float(f"{value:.{digits}g}")
        # Rounded up, the largest REAL is beyond what 32 bits hold.
        with contextlib.suppress(OverflowError):
            if struct.pack("<f", near) == packed:
                return near
    return value


def _duration(text: str) -> int:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    total, below = 0, _DAY + 1
    while rest:
        match = _DURATION.match(rest)
        if match is None:
            raise ValueError("a number and a unit (d, h, m, s, ms, us, ns) are expected")
        whole, fraction, unit = match[1], match[2] or "", _UNITS[match[3]]
        rest = rest[match.end() :]
        if unit >= below:
            raise ValueError("units go from large to small, each once")
        below = unit
        if fraction and rest:
            raise ValueError("only the last unit may have a fraction")
        scaled = int(whole + fraction) * unit
        if scaled % 10 ** len(fraction):
            raise ValueError("it is finer than 1 ns")
        total += scaled // 10 ** len(fraction)
    if below > _DAY or text.endswith("_"):
        raise ValueError("a number and a unit (d, h, m, s, ms, us, ns) are expected")
    return sign * total


def _duration_text(value: int) -> str:
    if value == 0:
        return "0s"
    text, rest = "-" if value < 0 else "", abs(value)
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit.lower()}"
    return text


def _date(text: str) -> int:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError
    from datetime import date

    day = date(int(match[1]), int(match[2]), int(match[3]))  # ValueError: "month must be in 1..12"
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY


def _date_text(value: int) -> str:
    from datetime import date

    return date.fromordinal(value // _DAY + date(1970, 1, 1).toordinal()).isoformat()


def _clock(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("hours go to 23, minutes and seconds to 59")
    return (hours * 3600 + minutes * 60 + seconds) * _SECOND + int((match[4] or "").ljust(9, "0"))


def _clock_text(value: int) -> str:
    sign, value = ("-", -value) if value < 0 else ("", value)  # only a faulty program has it so
    seconds, fraction = divmod(value, _SECOND)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + (f".{fraction:09}".rstrip("0") if fraction else "")


def _string(text: str) -> str:
    if text[:7].upper() == "STRING#":
        text = text[7:]
        if not text.startswith("'"):
            raise ValueError("behind STRING# goes a text in quotes")
    if not text.startswith("'"):
        return text
    if len(text) < 2 or not text.endswith("'"):
        raise ValueError("the closing quote is missing")
    out, at, end = "", 1, len(text) - 1
    while at < end:
        if text[at] == "'":
            raise ValueError("a quote inside is written $'")
        if text[at] != "$":
            out, at = out + text[at], at + 1
        elif text[at + 1 : end][:1].upper() in _ESCAPES and at + 1 < end:
            out, at = out + _ESCAPES[text[at + 1].upper()], at + 2
        elif re.fullmatch("[0-9A-Fa-f]{2}", text[at + 1 : min(at + 3, end)]):
            out, at = out + chr(int(text[at + 1 : at + 3], 16)), at + 3
        else:
            raise ValueError("behind $ goes one of $ ' L N P R T or two hex digits")
    return out


def _escape(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    return character if character.isprintable() else f"${ord(character):02X}"
