# SPDX-License-Identifier: MIT
"""Checks of single values of the profile: each takes the key and the value, and returns the value
or raises a ConfigError that names both and what would be accepted.
"""

from __future__ import annotations

from serial_runtime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def choice(lead: str, names: object) -> str:
    """What there is, to end a refusal with."""
    return f"the {lead} {', '.join(names)}"  # type: ignore[arg-type]


def integer(low: int, high: int, unit: str = "") -> Callable[[str, object], int]:
    """A whole number of this range; `unit` stands behind it in the refusal."""

    def check(key: str, value: object) -> int:
        # bool is an int in Python, but not in TOML
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{key} = {value!r}: expected an integer from {low} to {high}{unit}")
        return value

    return check


def power_of_two(low: int, high: int, unit: str) -> Callable[[str, object], int]:
    """The same, of which powers of two alone are accepted."""
    in_range = integer(low, high, f"{unit}, a power of two")

    def check(key: str, value: object) -> int:
        number = in_range(key, value)
        if number & (number - 1):
            below = 1 << number.bit_length() - 1
            raise ConfigError(
                f"{key} = {number}: expected a power of two, such as {below} or {2 * below}"
            )
        return number

    return check


def boolean(key: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{key} = {value!r}: expected true or false")
    return value


def text(key: str, value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ConfigError(f"{key} = {value!r}: expected a text that is not empty")
    return value


def one_of(*words: str) -> Callable[[str, object], str]:
    """One of these words."""

    quoted = [f'"{word}"' for word in words]
    accepted = f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    def check(key: str, value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ConfigError(f"{key} = {value!r}: expected {accepted}")
        return value

    return check
