# SPDX-License-Identifier: MIT
"""Named tuples that cost a start next to nothing.

``typing.NamedTuple`` compiles a constructor for every class, one and a half milliseconds each on a
small board, and the daemon defines some sixty of them. Here all classes share one. To type checkers
the two are the same, and so is what they do, but for wrong arguments: the words of the TypeError.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import _tuplegetter

    class _Type(type):
        """Makes the fields of a class from its annotations."""

        def __new__(cls, name, bases, names):
            fields = tuple(names.get("__annotations__", ()))
            names["__slots__"] = ()
            if fields:  # else it is a class derived from one that has them
                names["_fields"] = names["__match_args__"] = fields
                names["_field_defaults"] = {
                    field: names[field] for field in fields if field in names
                }
                for index, field in enumerate(fields):
                    names[field] = _tuplegetter(index, "")
            return super().__new__(cls, name, bases, names)

    class NamedTuple(tuple, metaclass=_Type):
        """The base of classes whose annotations are their fields, as in ``typing``."""

        _fields = ()
        _field_defaults = {}

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = cls._complete(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values, named):
            """All values, of those given by position and by name and the defaults."""
            whole = [*values]
            if len(values) > len(cls._fields):
                raise TypeError(
                    f"{cls.__name__}() takes {len(cls._fields)} values, {len(values)} were given"
                )
            for field in cls._fields[len(values) :]:
                if field in named:
                    whole.append(named.pop(field))
                elif field in cls._field_defaults:
                    whole.append(cls._field_defaults[field])
                else:
                    raise TypeError(f"{cls.__name__}() needs a value for {field!r}")
            if named:
                raise TypeError(
                    f"{cls.__name__}() got {', '.join(named)}, unknown or a second time"
                )
            return whole

        @classmethod
        def _make(cls, values):
            """From one iterable."""
            return cls(*values)

        def _replace(self, **named):
            """A copy with other values in these fields."""
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self):
            """The values by name."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self):
            return tuple(self)
