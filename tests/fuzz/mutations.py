# SPDX-License-Identifier: MIT
"""Inputs that come near those of a corpus: the same ones every time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(corpus: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` inputs, each one of the corpus changed in one to four places."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            kind = chance.randrange(7)
            if kind == 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            elif kind == 1 and data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            elif kind == 2:
                del data[at : at + chance.randint(1, 8)]
            elif kind == 3:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            elif kind == 4:
                size = chance.choice((1, 2, 4))
                number = chance.choice(_NUMBERS) & (1 << 8 * size) - 1
                data[at : at + size] = number.to_bytes(size, "little")
            elif kind == 5:
                other = chance.choice(corpus)
                begin = chance.randint(0, len(other))
                data[at:at] = other[begin : begin + chance.randint(1, 32)]
            else:
                data = data[:at]
        yield bytes(data)
