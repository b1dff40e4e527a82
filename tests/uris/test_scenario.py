# SPDX-License-Identifier: MIT
"""One scenario over every URI: all that a user does with a board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ways import Way

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import StateError
from serial_runtime.iec import IecType, pack, unpack
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

TANK = Path(__file__).resolve().parents[2] / "serial_runtime" / "demo" / "tank.c"
WaitFor = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "tank.so"
    build([TANK], path, include_dirs=[get_include()])
    return path.read_bytes()


def real(client: Client, name: str) -> object:
    return unpack(IecType.REAL, client.read([name]).values)[0]


def test_all_that_a_user_does(way: Way, image: bytes, wait_for: WaitFor) -> None:
    with way.connect() as client:
        assert client.ours
        assert client.plc_id()
        assert client.capabilities().max_program > len(image)
        assert client.status().status == Status.Empty
        with pytest.raises(StateError):
            client.start()

        client.download(image)
        assert client.program().name == "TANK"
        assert client.status().status == Status.Stopped
        client.start()
        assert client.status().status == Status.Started
        with pytest.raises(StateError):
            client.start()

        first = client.read(["TANK.STATE"]).tick
        wait_for(lambda: client.read(["TANK.STATE"]).tick > first + 3)
        client.force({"TANK.LEVEL": pack(IecType.REAL, 1.5)})
        assert client.forced() == ["TANK.LEVEL"]
        wait_for(lambda: real(client, "TANK.LEVEL") == 1.5)
        with client.trace(["TANK.LEVEL"]) as trace:
            samples = [sample for sample, _ in zip(trace, range(20), strict=False)]
        assert [one.tick for one in samples] == sorted({one.tick for one in samples})
        assert unpack(IecType.REAL, samples[-1].values)[0] == 1.5
        client.unforce()
        assert client.forced() == []
        assert client.statistics().ticks > 0
        assert any("started" in line.text for line in client.log())

        if way.stays:
            client.link.transport.close()
            assert client.status().status == Status.Started
            assert client.link.reconnects == 1
        client.stop()
        assert client.status().status == Status.Stopped
        with pytest.raises(StateError):
            client.stop()

    with way.connect() as client:
        assert client.program().name == ("TANK" if way.stays else "")
        client.repair()
        assert client.status().status == Status.Empty
        client.reset_log()
        assert client.log(levels=[3]) == []
