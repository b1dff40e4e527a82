# SPDX-License-Identifier: MIT
"""Names for the variables of an object of the Beremiz IDE.

The object knows types and order of its variables, no names; those are in the VARIABLES.csv of its
build. When that file came along as an extra file of the program, its paths are the names:
otherwise a variable is "VAR." and its index, which is also the IDE's trace index.

Fact (the file as matiec and the IDE agree on it): after a line "// Variables" each line holds
number;kind;IEC path;C path;type;...; the index is the ordinal among those that are no function
block and of an elementary type.
"""

from __future__ import annotations

from serial_runtime.errors import ImageError
from serial_runtime.iec import IecType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.board import Image

FILE = "VARIABLES.csv"
_MOST_BYTES = 16 << 20


def named(image: Image, path: str) -> Image:
    """The image with the paths of a VARIABLES.csv. ImageError: the file is not of this object."""
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise ImageError(f"{FILE} cannot be read: {error.strerror}") from error
    rows = _rows(text)
    types = [IecType(variable.type).name for variable in image.variables]
    distinct = {path for path, _ in rows}
    if [kind for _, kind in rows] != types or len(distinct) != len(rows):
        raise ImageError(
            f"{FILE} is not of this build: it names {len(rows)} variables, the program has "
            f"{len(image.variables)}, or their types differ"
        )
    variables = zip(image.variables, rows, strict=True)
    return image._replace(
        variables=tuple(variable._replace(path=path) for variable, (path, _) in variables)
    )


def _rows(text: str) -> list[tuple[str, str]]:
    """Path and type of every variable that has an index."""
    rows = []
    listed = False
    for line in text.splitlines():
        if line.startswith("//"):
            listed = line[2:].strip() == "Variables"
            continue
        fields = line.split(";")
        if listed and len(fields) >= 5 and fields[1] != "FB" and fields[4] in IecType.__members__:
            rows.append((fields[2], fields[4]))
    return rows
