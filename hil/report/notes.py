# SPDX-License-Identifier: MIT
"""What a session of the rig leaves for its report: properties in the JUnit file, records beside it.

Of a test case: `requirement` (one each), `record` (path of a run's JSON, relative to the JUnit
file), `note` (seconds since the test began, and a line of text: faults of the line, power cuts).
Of the suite: `environment` (simulator, emulated, real), `board`, and `version:NAME`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hil.plants.run import Run

_DEFAULT = Path(".hil/report")


def folder_of(config: pytest.Config) -> Path:
    """Where the JUnit file is written, or where it would be."""
    junit = config.getoption("xmlpath", None)
    return Path(junit).parent if junit else _DEFAULT


def note(node: pytest.Item, key: str, value: str) -> None:
    """A property of a test; one that is there already is not repeated."""
    if (key, value) not in node.user_properties:
        node.user_properties.append((key, value))


def keep_run(request: pytest.FixtureRequest, run: Run) -> None:
    """The record of a plant, and the requirements its limits are about."""
    folder = folder_of(request.config)
    environment = Path(str(request.config.getoption("lg_env", "") or "board")).stem
    name = re.sub(r"^.*/", "", request.node.nodeid)
    earlier = sum(key == "record" for key, _ in request.node.user_properties)
    name = f"{environment}-{name}" + f"-{earlier + 1}" * bool(earlier)
    path = run.write(folder / "records", name)
    note(request.node, "record", os.path.relpath(path, folder))
    for verdict in run.verdicts:
        note(request.node, "requirement", verdict.limit.requirement)
