# SPDX-License-Identifier: MIT
"""Power cuts. On emulated boards at every instant that matters; on any board now and then.

On the simulator the daemon is killed, which is no power cut: what it wrote is in the kernel's
memory, and stays. So only the death of the process is tried there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hil.boards.board import Board, Power
from hil.power_cuts import operations
from hil.power_cuts.experiment import PROGRAM, Experiment
from hil.power_cuts.mutants import MUTANTS
from hil.power_cuts.operations import number, wait_for
from hil.power_cuts.promises import Promises
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

SEED = 1


@pytest.fixture
def bench(board: Board, tmp_path: Path) -> Callable[..., Experiment]:
    """Emulated boards of its own; the session's rests meanwhile."""
    if board.kind != "emulated":
        pytest.skip("the disk is looked at after each cut: emulated boards only")
    board.go("off")

    def make(mutant: str = "") -> Experiment:
        return Experiment(board.name, tmp_path, board.store, mutant)

    return make


@pytest.mark.requirement("REQ-POWER-1")
def test_the_board_goes_on_when_its_power_comes_back(
    board: Board, plc: Client, power: Power, program: Callable[..., bytes]
) -> None:
    image = program(PROGRAM, "-DGENERATION=1")
    promises = Promises()
    plc.download(image)
    operations.run(plc, promises, 3)
    before = plc.program().md5
    plc.close()  # the line is for one client
    power.cycle()
    with board.connected() as client:
        wait_for(lambda: client.status().status == Status.Started)
        wait_for(lambda: number(client, "COUNT") > 0)
        assert client.program().md5 == before
        assert number(client, "UNEVEN") == 0
        assert number(client, "COUNT") >= promises.allowed.least_count > 0
        # Who only kills the process lets it count a crash.
        assert client.supervision().crashes == (board.kind == "simulator")
        assert not client.supervision().safe_mode


@pytest.mark.requirement("REQ-POWER-2")
@pytest.mark.timeout(900)
def test_every_state_a_cut_could_leave(bench: Callable[..., Experiment]) -> None:
    assert bench().states(SEED) == []


@pytest.mark.requirement("REQ-POWER-3")
@pytest.mark.timeout(1200)
def test_some_cuts_of_a_board_that_lives_on(bench: Callable[..., Experiment]) -> None:
    assert bench().cuts(6, SEED, boards=2, every_step=False) == []


@pytest.mark.full
@pytest.mark.requirement("REQ-POWER-3")
@pytest.mark.timeout(7200)
def test_two_hundred_cuts_at_each_message_and_at_random_instants(
    bench: Callable[..., Experiment],
) -> None:
    assert bench().cuts(200, SEED, boards=2) == []


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_runtime_that_does_not_wait_for_the_disk_is_caught(
    bench: Callable[..., Experiment], mutant: str
) -> None:
    assert bench(mutant).states(SEED)
