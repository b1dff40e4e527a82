# SPDX-License-Identifier: MIT
"""IEC addresses such as %IX0.0, %QW3, %MD7, and the bytes behind them: the twin of
board/location.h, which has the rules, for profiles and plants. One list of examples,
tests/data/locations.tsv, holds for both.
"""

from __future__ import annotations

from serial_runtime.errors import VariableError
from serial_runtime.named_tuple import NamedTuple

AREA_BYTES = 1024  # of each of %I, %Q and %M: IO_AREA_BYTES of board/io/io.h
_WIDTHS = {"X": 1, "B": 8, "W": 16, "D": 32, "L": 64}
_SIZES = {width: letter for letter, width in _WIDTHS.items()}
_NUMBER_MAX = 0xFFFFFF
_DIGITS = "0123456789"


class Location(NamedTuple):
    """A place in one area of the process image."""

    area: str  # "I", "Q" or "M"
    width: int  # bits: 1, 8, 16, 32 or 64
    byte: int
    bit: int = 0  # 0 unless width is 1

    def __str__(self) -> str:
        if self.width == 1:
            return f"%{self.area}X{self.byte}.{self.bit}"
        return f"%{self.area}{_SIZES[self.width]}{self.byte * 8 // self.width}"

    def following(self, steps: int) -> Location:
        """The place so many of its own width further on."""
        if self.width > 1:
            return self._replace(byte=self.byte + steps * self.width // 8)
        at = self.byte * 8 + self.bit + steps
        return self._replace(byte=at // 8, bit=at % 8)

    @property
    def mask(self) -> int:
        """Of the bits it has in each of its bytes."""
        return 1 << self.bit if self.width == 1 else 0xFF

    @property
    def size(self) -> int:
        """Bytes."""
        return (self.width + 7) // 8

    def load(self, area: bytes | bytearray) -> int:
        """The value there, unsigned."""
        value = int.from_bytes(area[self.byte : self.byte + self.size], "little")
        return value >> self.bit & 1 if self.width == 1 else value

    def store(self, area: bytearray, value: int) -> None:
        """Put a value there; what does not fit its width is cut off."""
        if self.width == 1:
            kept = area[self.byte] & ~self.mask
            area[self.byte] = kept | (self.mask if value else 0)
        else:
            cut = value & (1 << self.width) - 1
            area[self.byte : self.byte + self.size] = cut.to_bytes(self.size, "little")


def parse_location(text: str) -> Location:
    """The place an address names. VariableError with the address and what is wrong with it."""
    found = _parse(text)
    if isinstance(found, str):
        raise VariableError(f"{text!r} is no address: {found}")
    if found.byte + found.size > AREA_BYTES:
        last = Location(found.area, found.width, AREA_BYTES - found.size, 7 * (found.width == 1))
        raise VariableError(f"{text!r} lies beyond the process image, which ends with {last}")
    return found


def _parse(text: str) -> Location | str:
    """The location, or what is wrong."""
    if text[:1] != "%" or text[1:2].upper() not in ("I", "Q", "M"):
        return "an address begins with %I, %Q or %M"
    area, size, at = text[1].upper(), text[2:3].upper(), 3
    if size == "*":
        return "an incomplete address (*) has no place"
    if size and size in _DIGITS:
        size, at = "X", 2
    if size not in _WIDTHS:
        return "behind the area comes the size, X, B, W, D or L, or a bit as in 0.0"
    width = _WIDTHS[size]
    value, at = _number(text, at)
    bit = 0
    if isinstance(value, str):
        return value
    if width == 1:
        if text[at : at + 1] != ".":
            return _NO_END if text[at:] else "a bit needs its byte, as in %IX0.5"
        bits, at = _number(text, at + 1)
        if isinstance(bits, str):
            return bits
        if bits > 7:
            return "bits are 0 to 7"
        bit = bits
    if text[at:]:
        return _HIERARCHICAL if text[at] == "." else _NO_END
    return Location(area, width, value if width == 1 else value * width // 8, bit)


_NO_END = "something stands behind the number"
_HIERARCHICAL = "hierarchical addresses have no meaning here: write one number"


def _number(text: str, at: int) -> tuple[int | str, int]:
    """Decimal digits from `at` on, or what is wrong; and where they end."""
    end = at
    while text[end : end + 1] and text[end] in _DIGITS:
        end += 1
    if end == at:
        return "a decimal number is missing", end
    digits = text[at:end].lstrip("0")
    value = int(digits) if 0 < len(digits) <= 8 else 0 if not digits else _NUMBER_MAX + 1
    return (value if value <= _NUMBER_MAX else "the number is too large"), end
