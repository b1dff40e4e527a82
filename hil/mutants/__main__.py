# SPDX-License-Identifier: MIT
"""``python -m hil.mutants [NAME...]``: break the runtime, and see the scenarios fail.

First the scenarios run in a copy that is not broken, where all of them must pass.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from hil.mutants.table import MUTANTS
from hil.mutants.tree import Outcome, Tree
from serial_runtime.errors import PackagingError

_TAIL = 3000


def main() -> int:
    """0: all were caught. 1: one was not. 2: scenarios fail without a mutant, or cannot run."""
    parser = argparse.ArgumentParser(prog="python -m hil.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MUTANTS)}")
    parser.add_argument(
        "--target", default="virt-arm64", help="of hil/boards (default: virt-arm64), or simulator"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(MUTANTS):
        parser.error(f"no mutant {', '.join(unknown)}; there are {', '.join(MUTANTS)}")
    mutants = {name: MUTANTS[name] for name in options.names or MUTANTS}
    try:
        tests = list(dict.fromkeys(mutant.caught_by for mutant in mutants.values()))
        control = _run(options.target, "", tests)
        if control.failed or len(control.passed) != len(tests):
            print(f"{control.output[-_TAIL:]}\nthe scenarios do not pass without a mutant")
            return 2
        missed = 0
        for name, mutant in mutants.items():
            began_s = time.monotonic()
            outcome = _run(options.target, name, [mutant.caught_by])
            caught = bool(outcome.failed)
            if not caught:
                print(outcome.output[-_TAIL:])
                missed += 1
            took_s = time.monotonic() - began_s
            verdict = "caught" if caught else "MISSED"
            print(f"{verdict}  {name}  {mutant.caught_by}  ({took_s:.0f} s)", flush=True)
    except (PackagingError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(mutants) - missed} of {len(mutants)} caught on {options.target}")
    return 1 if missed else 0


def _run(target: str, name: str, tests: list[str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="hil-mutant-") as folder:
        tree = Tree(Path(folder), target)
        if name:
            tree.break_it(MUTANTS[name])
        return tree.run(tests)


if __name__ == "__main__":
    sys.exit(main())
