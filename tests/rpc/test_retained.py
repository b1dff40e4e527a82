# SPDX-License-Identifier: MIT
"""Retained values over a link: as many as fit a reply at a time; a cold start; forgetting."""

from __future__ import annotations

from typing import Any

import pytest

from serial_runtime.errors import StateError
from serial_runtime.rpc.ide.common import Status


@pytest.mark.parametrize("rate_Bps", [None, 30.0])  # the slowest line has the shortest replies
def test_all_are_fetched(bench: Any, plc: Any, rate_Bps: float | None) -> None:
    bench.rate_Bps = rate_Bps
    plc.keep(count=100, orphans=3, trouble="x" * 300)
    with bench.client() as client:
        status, values = client.retained()
        assert (status.kept, status.orphans, status.writes) == (100, 3, 4)
        assert status.trouble == "x" * 120
        assert [one.path for one in values] == [f"CONFIG.KEPT{n}" for n in range(100)]
        assert [one.orphan for one in values] == [True] * 3 + [False] * 97
        assert values[7].value == (7).to_bytes(8, "little")
        assert client.retain_status() == status
    assert (plc.calls.count("retained") > 10) == bool(rate_Bps)


def test_what_is_kept_may_become_less_meanwhile(client: Any, plc: Any) -> None:
    plc.keep(count=0, orphans=0, trouble="", told=5)
    assert client.retained()[1] == []


def test_a_cold_start_and_forgetting(client: Any, plc: Any) -> None:
    plc.state = Status.Stopped
    client.start(cold=True)
    client.clear_retained()
    assert plc.calls[-2:] == ["start cold", "clear"]
    with pytest.raises(StateError, match="not stopped"):
        client.start(cold=True)
