# SPDX-License-Identifier: MIT
"""One experiment: programs, boards, perhaps a broken runtime; then cuts, or all states."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from hil.boards.programs import image_of
from hil.image.machine import MACHINES
from hil.power_cuts import disk_image, mutants, random_cuts, recording, write_log
from hil.power_cuts.emulator import Emulator
from hil.power_cuts.findings import Generation

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "generation.c"
STORE = "/var/lib/serial-runtime"
_GENERATIONS = 4


class Experiment:
    """On one kind of emulated board. Sentences about what is wrong are what comes of it."""

    def __init__(
        self,
        machine: str,
        folder: Path,
        store: str = STORE,
        mutant: str = "",
        tell: Callable[[str], None] = print,
    ) -> None:
        """Disks and logs are made in `folder`. RigError, BuildError."""
        self._machine = machine
        self._folder = folder
        self._store = store
        self._mutant = mutant
        self._tell = tell
        compiler = MACHINES[machine].target
        self._generations = [
            Generation(number, image_of(PROGRAM, compiler, (f"-DGENERATION={number}",)).data)
            for number in range(1, _GENERATIONS + 1)
        ]

    def cuts(self, count: int, seed: int, *, boards: int = 2, every_step: bool = True) -> list[str]:
        """So many power cuts, of boards side by side that live on."""
        subjects = [self._board(f"board-{place}") for place in range(1, boards + 1)]
        outcome = random_cuts.cut_often(
            subjects,
            self._generations,
            self._store,
            count,
            seed,
            every_step=every_step,
            tell=self._tell,
        )
        self._tell(
            f"{outcome.cuts.total()} cuts in {outcome.duration_s:.0f} s: {dict(outcome.cuts)}; "
            f"programs after cuts in downloads and changes: {dict(outcome.left)}"
        )
        return outcome.wrong

    def states(self, seed: int) -> list[str]:
        """One recording, and every state a cut could have left of it."""
        log = self._folder / "writes.log"
        board = self._board("recorded", log)
        before = self._folder / "before.raw"
        subprocess.run(["cp", "--sparse=always", board.disk, before], check=True)
        story = recording.record(board, log, self._generations)
        entries = write_log.read(log)
        outcome = recording.replay(
            before,
            entries,
            self._store,
            story,
            {one.md5: one for one in self._generations},
            self._folder / "store",
            seed=seed,
        )
        writes = sum(not entry.flush for entry in entries)
        self._tell(
            f"seed {seed}: {writes} writes and {len(entries) - writes} flushes, "
            f"{outcome.tried.total()} states: {dict(outcome.tried)}"
        )
        return [str(one) for one in outcome.wrong]

    def _board(self, name: str, log: Path | None = None) -> Emulator:
        board = Emulator(self._machine, self._folder / name, log)
        if self._mutant:
            file = self._folder / "disk.py"
            file.write_bytes(mutants.source(self._mutant))
            disk_image.replace_module(board.disk, "serial_runtime/plc/disk.py", file)
        return board
