# SPDX-License-Identifier: MIT
"""Power cuts by hand: ``python -m hil.power_cuts cuts|states`` (docs/hil.md)."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hil.power_cuts import experiment
from hil.power_cuts.mutants import MUTANTS


def main() -> int:
    """Exit code 1: something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m hil.power_cuts", description=__doc__)
    parser.add_argument("what", choices=("cuts", "states"))
    parser.add_argument("--machine", default="virt-arm64")
    parser.add_argument("--store", default=experiment.STORE, help="store.dir of the board")
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--boards", type=int, default=2, help="side by side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the runtime before")
    parser.add_argument("--folder", type=Path, help="keep disks and logs there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cuts-") as scratch:
        bench = experiment.Experiment(
            options.machine, options.folder or Path(scratch), options.store, options.mutant or ""
        )
        if options.what == "cuts":
            wrong = bench.cuts(options.cuts, options.seed, boards=options.boards)
        else:
            wrong = bench.states(options.seed)
    for sentence in wrong:
        print(sentence)
    print(f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
