# SPDX-License-Identifier: MIT
"""Our named tuples, beside those of typing."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest

from serial_runtime import named_tuple


class Ours(named_tuple.NamedTuple):
    """A class."""

    a: int
    b: str = "two"
    c: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        return self.a * 2


class Theirs(typing.NamedTuple):
    """A class."""

    a: int
    b: str = "two"
    c: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        return self.a * 2


class Derived(Ours):
    """With a method more."""

    def half(self) -> int:
        return self.a // 2


def both(use: Any) -> tuple[Any, Any]:
    return use(Ours), use(Theirs)


@pytest.mark.parametrize(
    "use",
    [
        lambda kind: tuple(kind(1)),
        lambda kind: tuple(kind(1, c=(3,))),
        lambda kind: kind(b="x", a=1) == (1, "x", ()),
        lambda kind: repr(kind(1, "x")).partition("(")[2],
        lambda kind: kind(1)._replace(b="y")._asdict(),
        lambda kind: tuple(kind._make([1, 2, 3])),
        lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__doc__),
        lambda kind: [kind(4).a, kind(4).b, kind(4).double, hash(kind(4)) == hash((4, "two", ()))],
        lambda kind: hasattr(kind(1), "__dict__"),
        lambda kind: copy.deepcopy(kind(1, c=(1,))) == kind(1, c=(1,)),
        lambda kind: type(pickle.loads(pickle.dumps(kind(1)))) is kind,
        lambda kind: kind(2) > kind(1, "z"),
    ],
)
def test_it_does_what_that_of_typing_does(use: Any) -> None:
    ours, theirs = both(use)
    assert ours == theirs


@pytest.mark.parametrize(
    ("values", "named", "word"),
    [
        ((), {}, "'a'"),
        ((1, 2, 3, 4), {}, "4 were given"),
        ((1,), {"d": 1}, "d"),
        ((1,), {"a": 1}, "a, "),
    ],
)
def test_wrong_values_are_refused(values: Any, named: Any, word: str) -> None:
    with pytest.raises(TypeError):
        Theirs(*values, **named)
    with pytest.raises(TypeError, match=word):
        Ours(*values, **named)


def test_fields_cannot_be_set() -> None:
    for kind in (Ours, Theirs):
        with pytest.raises(AttributeError):
            kind(1).a = 2  # type: ignore[misc, attr-defined]


def test_a_derived_class_has_the_fields() -> None:
    derived = Derived(8, c=(1,))
    assert (derived.half(), derived.b, derived._replace(a=2).half()) == (4, "two", 1)
    assert Derived._fields == Ours._fields
    match derived:
        case Ours(a, b):
            assert (a, b) == (8, "two")


def test_typing_is_not_loaded() -> None:
    code = (
        "import sys; before = set(sys.modules); import serial_runtime.named_tuple; "
        "sys.exit('typing' in set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
