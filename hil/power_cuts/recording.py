# SPDX-License-Identifier: MIT
"""One life of a board, from its first start on, with every write of its disk; then every state that
a power cut could have left of it, one by one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hil.power_cuts import disk_image, findings, operations, write_log
from hil.power_cuts.disk_image import DamagedFileSystem, DiskImage
from hil.power_cuts.emulator import Emulator
from hil.power_cuts.findings import Generation
from hil.power_cuts.promises import Story
from hil.power_cuts.write_log import Cut, Entry

_SETTLE_S = 7.0  # longer than ext4 takes to commit what nobody waits for


class Wrong(NamedTuple):
    """A state that must not be."""

    cut: Cut
    step: str  # what the board was at
    why: str

    def __str__(self) -> str:
        return f"{self.step}: {self.why} ({self.cut})"


class Replay(NamedTuple):
    """What came of all the states."""

    tried: Counter[str]  # by what the board was at
    wrong: list[Wrong]


def record(board: Emulator, log: Path, generations: Sequence[Generation]) -> Story:
    """Switch a new board on, have it do everything that writes, and cut its power at the end.

    Two downloads, runs, an online change, and the erasure of the program.
    """
    first, second, third = generations[:3]
    story = Story(log)
    try:
        board.on()
        with board.client() as client:
            story.note("identity told", identity=client.identity().ID)
            operations.download(client, story, "", first)
            operations.run(client, story, 3)
            operations.stop(client, story)
            operations.start(client, story)
            operations.download(client, story, first.md5, second)
            operations.run(client, story, 3)
            operations.change(client, story, second.md5, third)
            operations.stop(client, story)
            time.sleep(_SETTLE_S)
            operations.erase(client, story, third.md5)
            time.sleep(_SETTLE_S)
            story.note("the end")
    finally:
        board.cut()
    return story


def replay(
    image: Path,
    entries: Sequence[Entry],
    store: str,
    story: Story,
    generations: Mapping[str, Generation],
    scratch: Path,
    *,
    seed: int = 1,
) -> Replay:
    """Look at each state.

    `image`: the disk before the first entry, which is used up. `store`: the store's directory in
    it. `generations` by their MD5.
    """
    disk = DiskImage(image, entries)
    done = Replay(Counter(), [])
    secret = ""
    for cut in write_log.cuts(entries, seed):
        after = entries[cut.made].end if cut.made < len(entries) else write_log.FAR
        mark = story.before(after)
        done.tried[mark.step] += 1
        try:
            with disk.after(cut) as path:
                disk_image.repair(path)
                found = findings.look(disk_image.extract(path, store, scratch), generations)
        except DamagedFileSystem as error:
            done.wrong.append(Wrong(cut, mark.step, f"the file system: {error}"))
            continue
        if mark.allowed.identity and not found.trouble:
            secret = secret or found.secret
            if found.secret != secret:
                found.trouble.append("the board has another secret than before")
        done.wrong.extend(Wrong(cut, mark.step, why) for why in findings.judge(found, mark.allowed))
    return done
