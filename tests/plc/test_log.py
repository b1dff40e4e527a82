# SPDX-License-Identifier: MIT
"""The log's history: counts, numbering, bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.board import LogRecord
from serial_runtime.errors import StateError
from serial_runtime.plc.log import CRITICAL, DEBUG, INFO, Log


def test_messages_are_numbered_from_zero_per_level() -> None:
    log = Log()
    log.extend([LogRecord(INFO, 7, 1, 2, "a"), LogRecord(DEBUG, 8, 3, 4, "b")])
    log.add(INFO, "ours")
    assert log.counts() == (0, 0, 2, 1)
    assert log.message(INFO, 0) == (INFO, 7, 1, 2, "a")
    assert log.message(INFO, 1).text == "ours"
    assert log.message(INFO, 1).sec > 1_600_000_000
    assert log.message(DEBUG, 0).tick == 8


@pytest.mark.parametrize(("level", "number"), [(2, 1), (2, -1), (0, 0), (4, 0), (-1, 0)])
def test_what_is_not_there_is_refused(level: int, number: int) -> None:
    log = Log()
    log.add(INFO, "only")
    with pytest.raises(StateError):
        log.message(level, number)


def test_a_reset_begins_again() -> None:
    log = Log()
    log.add(CRITICAL, "old")
    log.reset()
    assert log.counts() == (0, 0, 0, 0)
    log.add(CRITICAL, "new")
    assert log.message(CRITICAL, 0).text == "new"


@given(st.lists(st.text(max_size=400), max_size=60))
def test_the_newest_are_kept_whole_within_the_memory(texts: list[str]) -> None:
    log = Log(level_bytes=1024)
    for text in texts:
        log.add(INFO, text)
    assert log.counts()[INFO] == len(texts)
    used, number = 0, len(texts)
    while number > 0:
        size = min(len(texts[number - 1].encode("utf-8", "replace")) + 16, 1024)
        if used + size > 1024:
            break
        kept = log.message(INFO, number - 1).text
        assert kept == texts[number - 1] or kept.endswith(" [cut]")
        used += 16 + len(kept.encode("utf-8", "replace"))
        number -= 1
    for gone in range(number - 1):
        # At most one that would still fit was dropped: by a longer one that came after it.
        try:
            log.message(INFO, gone)
        except StateError:
            continue
        assert used + 16 + len(texts[gone].encode("utf-8", "replace")) <= 1024


def test_an_endless_message_is_cut() -> None:
    log = Log(level_bytes=1024)
    log.add(INFO, "x" * 100_000)
    assert log.message(INFO, 0).text.endswith(" [cut]")
    assert len(log.message(INFO, 0).text) < 1024


def test_a_level_that_does_not_exist_is_kept_as_the_nearest() -> None:
    log = Log()
    log.extend([LogRecord(9, 0, 0, 0, "loud")])
    assert log.message(DEBUG, 0).text == "loud"


def test_a_log_goes_on_in_the_next_process() -> None:
    before, after = Log(level_bytes=200), Log(level_bytes=200)
    for number in range(30):
        before.add(INFO, f"message {number}")
    before.add(DEBUG, "one")
    after.restore(*before.save())
    after.add(INFO, "the next")
    assert after.counts() == (0, 0, 31, 1)
    assert after.message(INFO, 29).text == "message 29"
    assert after.message(INFO, 30).text == "the next"
    with pytest.raises(StateError):
        after.message(INFO, 0)


def test_what_cannot_be_sent_is_replaced() -> None:
    log = Log()
    log.add(INFO, "a name: \udcff")
    assert log.message(INFO, 0).text == "a name: ?"
