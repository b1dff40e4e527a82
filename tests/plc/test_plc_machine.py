# SPDX-License-Identifier: MIT
"""The state machine of the PLC object on a fake board: long and many runs."""

from __future__ import annotations

from hypothesis import settings
from plc_machine import PlcMachine
from plc_scene import Scene, image
from tiny_elf import Wrong

FILES = {
    "good": image("good"),
    "other": image("other"),
    "fail-init": image("x", "fail-init"),
    "fail-load": image("x", "fail-load"),
    "bad": image("x", wrong=Wrong(tls=True)),
}


class OnAFake(PlcMachine):
    """With crashes, which cost a real board its process."""

    @staticmethod
    def file_of(name: str) -> bytes:
        return FILES[name]

    def make_scene(self, directory: str) -> Scene:
        return Scene(directory)

    def crash(self) -> None:
        self.scene.board.crash()


OnAFake.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestOnAFake = OnAFake.TestCase
