# SPDX-License-Identifier: MIT
"""Calls that are under way while something happens to the line."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from hil.scenarios.patience import eventually


def in_background(call: Callable[[], object]) -> Callable[[], object]:
    """Begin a call; what is returned waits for its result, or raises its exception."""
    result: list[object] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> object:
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    return wait


@contextlib.contextmanager
def replies_lost(line: Any, call: Callable[[], object]) -> Iterator[None]:
    """The call is made and its reply is lost; behind the body the line is whole, and it ends."""
    before = line.counters()["to-host"]["dropped"]
    line.order("set to-host drop=1")
    result = in_background(call)
    try:
        eventually(lambda: line.counters()["to-host"]["dropped"] > before, "a reply is lost")
        yield
    finally:
        line.order("clear")
    result()
