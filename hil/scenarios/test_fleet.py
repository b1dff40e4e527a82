# SPDX-License-Identifier: MIT
"""Eight boards on one host, reserved through labgrid's coordinator and driven at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.boards.board import Board, RigError
from hil.boards.folders import HIL, ROOT
from hil.fleet.farm import Farm, client

BOARDS = 8
WORKERS = 9  # one more than there are boards: it has to wait
_ALL_S = 1500.0

pytestmark = [pytest.mark.requirement("REQ-FLEET-1"), pytest.mark.full]


@pytest.fixture(params=["simulator", "virt-arm64"], scope="module")
def kind(request: pytest.FixtureRequest, board: Board) -> str:
    """What the farm has; it is a farm of its own, so it runs beside one target only."""
    if board.name != request.param:
        pytest.skip(f"the fleet of {request.param} runs with that target")
    board.go("off")  # its memory and time are for the fleet
    return str(request.param)


@pytest.fixture(scope="module")
def farm(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    resources: list[dict[str, dict[str, Any]]] = []
    for number in range(BOARDS):
        folder = f"fleet-{number}"
        if kind == "simulator":
            resources.append({"SimulatedBoard": {"folder": folder}})
        else:
            resources.append({"EmulatedBoard": {"machine": kind, "folder": folder}})
    with Farm(tmp_path_factory.mktemp("farm"), kind, resources) as farm:
        yield farm


def test_eight_boards_and_nine_workers(
    farm: Farm, kind: str, tmp_path: Path, record_property: Any
) -> None:
    began_s = time.monotonic()
    environment = str(ROOT / "hil" / "fleet" / f"{kind}-place.yaml")
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "hil.fleet.worker", farm.coordinator, kind, environment]
            + [str(ROOT / "hil" / "fleet" / "member.py"), "--timeout=1200"]
            + [f"--junitxml={tmp_path}/worker-{number}.xml", "-q"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    results = []
    for worker in workers:
        said, errors = worker.communicate(timeout=_ALL_S)
        assert worker.returncode == 0, errors
        results.append(json.loads(said))
    assert all(one["passed"] for one in results)
    assert {one["place"] for one in results} == {f"place-{n}" for n in range(BOARDS)}
    for one in results:  # nobody had a board that another one had
        for other in results:
            if other is not one and other["place"] == one["place"]:
                first, second = sorted((one["times"], other["times"]), key=lambda t: t["acquired"])
                assert first["tested"] <= second["acquired"]
    record_property("boards", BOARDS)
    record_property("seconds", f"{time.monotonic() - began_s:.0f}")
    print(f"{WORKERS} workers, {BOARDS} boards: {time.monotonic() - began_s:.0f} s")
    (HIL / "report").mkdir(parents=True, exist_ok=True)
    (HIL / "report" / f"fleet-{kind}.json").write_text(json.dumps(results, indent=1))


def test_two_contenders_for_one_place(farm: Farm) -> None:
    client(farm.coordinator, "-p", "place-3", "acquire", user="first")
    with pytest.raises(RigError, match="acquired by"):
        client(farm.coordinator, "-p", "place-3", "acquire", user="second")
    with pytest.raises(RigError, match="not acquired by your user|acquired by first|place"):
        client(farm.coordinator, "-p", "place-3", "release", user="second")
    client(farm.coordinator, "-p", "place-3", "release", user="first")
    client(farm.coordinator, "-p", "place-3", "acquire", user="second")
    client(farm.coordinator, "-p", "place-3", "release", user="second")
