# SPDX-License-Identifier: MIT
from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from serial_runtime.plc import audit
from serial_runtime.plc.audit import FILE, AuditLog, Entry

ENTRY = Entry("tcp", "192.0.2.7:40000", "", False, "StartPLC", "", "done")


def fail(text: str) -> None:
    pytest.fail(text)


def calls(folder: Path) -> list[tuple[str, int]]:
    return [(row["call"], row.get("times", 1)) for row in audit.read(str(folder))]


def test_a_line_for_each_call(tmp_path: Path) -> None:
    log = AuditLog(str(tmp_path), 1 << 16, fail)
    assert os.listdir(tmp_path) == [], "nothing is made before it is needed"
    log.note(ENTRY)
    log.note(ENTRY._replace(call="StopPLC", outcome='refused: "ü"\n'))
    log.close()
    first, second = audit.read(str(tmp_path))
    assert first.pop("time").endswith("Z")
    assert first == ENTRY._asdict()
    assert second["outcome"] == 'refused: "ü"\n'
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_later_process_goes_on(tmp_path: Path) -> None:
    for name in ("one", "two"):
        log = AuditLog(str(tmp_path), 1 << 16, fail)
        log.note(ENTRY._replace(call=name))
        log.close()
    assert [name for name, _ in calls(tmp_path)] == ["one", "two"]


@pytest.mark.parametrize("rest", [b'{"time": "2026-11', b"\0\0\0"])
def test_what_a_power_cut_left_of_a_line_spoils_no_other(tmp_path: Path, rest: bytes) -> None:
    for name in ("one", "two"):
        log = AuditLog(str(tmp_path), 1 << 16, fail)
        log.note(ENTRY._replace(call=name))
        log.close()
        with (tmp_path / FILE).open("ab") as file:
            file.write(rest)
    assert [name for name, _ in calls(tmp_path)] == ["one", "two"]


def test_both_files_are_bounded(tmp_path: Path) -> None:
    log = AuditLog(str(tmp_path), 4096, fail)
    for number in range(100):
        log._write_batch([(0.0, ENTRY._replace(call=str(number)), 1)], 0)
    assert sorted(os.listdir(tmp_path)) == [FILE, FILE + ".1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4096
    kept = [int(name) for name, _ in calls(tmp_path)]
    assert kept == list(range(100 - len(kept), 100)), "the newest, in order"
    assert len(kept) > 10


class StuckLog(AuditLog):
    """Its disk takes as long as a test wants, and fails when that says so."""

    def __init__(self, folder: Path, said: list[str]) -> None:
        super().__init__(str(folder), 1 << 16, said.append)
        self.entered, self.go = threading.Event(), threading.Event()
        self.error: OSError | None = None

    def _write(self, data: bytes) -> None:
        self.entered.set()
        assert self.go.wait(60)
        if self.error is not None:
            raise self.error
        super()._write(data)


def test_nobody_waits_for_the_disk_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    said: list[str] = []
    log = StuckLog(tmp_path, said)
    log.note(ENTRY)
    assert log.entered.wait(60)
    for number in range(1000):
        log.note(ENTRY._replace(call=str(number)))
    log.go.set()
    log.close()
    rows = list(audit.read(str(tmp_path)))
    assert rows[1]["lost"] == 1000 - audit._MOST_WAITING
    assert len(rows) == 2 + audit._MOST_WAITING
    assert said == []


def test_equal_calls_that_wait_together_are_one_line(tmp_path: Path) -> None:
    log = StuckLog(tmp_path, [])
    log.note(ENTRY)
    assert log.entered.wait(60)
    for _ in range(1000):
        log.note(ENTRY._replace(call="again"))
    log.go.set()
    log.close()
    assert calls(tmp_path) == [("StartPLC", 1), ("again", 1000)]


def test_refused_calls_are_one_line_each_and_done_ones_keep_their_order(tmp_path: Path) -> None:
    log = StuckLog(tmp_path, [])
    log.note(ENTRY)
    assert log.entered.wait(60)
    start, stop = (ENTRY._replace(call=call) for call in ("start", "stop"))
    for _ in range(500):
        for one in (start, stop):
            log.note(one._replace(outcome="refused"))
    for one in (start, stop, start, start):
        log.note(one)
    log.go.set()
    log.close()
    refused = [("start", 500), ("stop", 500)]
    assert calls(tmp_path) == [("StartPLC", 1), *refused, ("start", 1), ("stop", 1), ("start", 2)]


def test_the_disk_has_a_rest_after_each_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PAUSE_S", 1000.0)
    log = StuckLog(tmp_path, [])
    log.go.set()
    log.note(ENTRY)
    assert log.entered.wait(60)
    log.entered.clear()
    log.note(ENTRY._replace(call="later"))
    assert not log.entered.wait(0.2)
    log.close()
    assert calls(tmp_path) == [("StartPLC", 1), ("later", 1)]


def test_a_full_disk_costs_entries_and_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    log = StuckLog(tmp_path, said)
    log.error = OSError(errno.ENOSPC, "No space left on device")
    log.go.set()
    for _ in range(3):
        log._write_batch([(0.0, ENTRY, 1)], 0)
    log.error = None
    log.note(ENTRY._replace(call="later"))
    log.close()
    assert said == [f"the audit log loses entries: {tmp_path}/{FILE}: No space left on device"]
    lost, later = audit.read(str(tmp_path))
    assert lost["lost"] == 3
    assert later["call"] == "later"


def test_a_line_that_was_cut_is_passed_over(tmp_path: Path) -> None:
    log = AuditLog(str(tmp_path), 1 << 16, fail)
    log.note(ENTRY)
    log.close()
    with open(tmp_path / FILE, "a") as file:
        file.write('{"time": "20')
    assert calls(tmp_path) == [("StartPLC", 1)]
