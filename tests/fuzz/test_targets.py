# SPDX-License-Identifier: MIT
"""Every target takes its corpus and what comes near it; by hand see ``__main__``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import corpus  # noqa: E402
from fuzz.mutations import mutated  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402

# Of inputs per target; those that make a PLC object take a thousand times as long as an URI.
_COUNT, _FEW = 1500, 200
_SLOW = {"calls", "server-line", "client-session", "bridge"}


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_and_mutations(name: str) -> None:
    kept = corpus.load(name)
    count = _FEW if name in _SLOW else _COUNT
    for data in (*kept, *mutated(kept, count, seed=1)):
        try:
            TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"target {name}, input {data.hex()}")
            raise


def test_there_is_a_corpus_of_each_target_and_no_other() -> None:
    assert {path.stem for path in corpus.FOLDER.glob("*.hex")} == set(TARGETS)


def test_a_target_that_fails_is_noticed() -> None:
    """The invariants are those of the code as it is: without one part of it they do not hold."""
    from serial_runtime.protocol import session

    kept, session.MAX_SESSIONS = session.MAX_SESSIONS, 100
    try:
        with pytest.raises(AssertionError):
            TARGETS["server-sessions"](b"".join(bytes([8, 0, n, 0, 0, 0]) for n in range(40)))
    finally:
        session.MAX_SESSIONS = kept
