# SPDX-License-Identifier: MIT
"""By hand: `python -m tests.fuzz TARGET --hours N`, guided by coverage (`pip install atheris`).

Inputs that reach something new are added to the corpus of the target, and the fewest that reach as
much are kept. An input that ends a target is written to a file, which `--input` runs again; in the
corpus it stays tested.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import corpus  # noqa: E402

_LONGEST = 2000  # bytes of an input
_SLOWEST_S = 10  # seconds that one may take


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="a name of targets.py")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--input", type=Path, help="run this one only")
    parser.add_argument("--engine", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["XDG_CACHE_HOME"] = tempfile.gettempdir()  # not the user's
    if options.engine is not None:
        return _engine(options.target, options.engine)
    if options.input is not None:
        from fuzz.targets import TARGETS

        TARGETS[options.target](options.input.read_bytes())
        return 0
    return _guided(options.target, options.hours)


def _guided(target: str, hours: float) -> int:
    limits = [f"-max_len={_LONGEST}", f"-timeout={_SLOWEST_S}", "-rss_limit_mb=1024"]
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target}-") as name:
        found, fewest = Path(name, "found"), Path(name, "fewest")
        for folder in (found, fewest):
            folder.mkdir()
        # The engine starts itself again by its first argument.
        engine = Path(name, "engine")
        again = shlex.join([sys.executable, "-m", "tests.fuzz", target, "--engine", str(engine)])
        engine.write_text(f'#!/bin/sh\nexec {again} "$@"\n')
        engine.chmod(0o700)
        for number, data in enumerate(corpus.load(target)):
            (found / f"kept-{number}").write_bytes(data)
        run = subprocess.run([engine, *limits, f"-max_total_time={hours * 3600:.0f}", str(found)])
        subprocess.run([engine, *limits, "-merge=1", str(fewest), str(found)], check=True)
        corpus.save(target, (path.read_bytes() for path in fewest.iterdir()))
    return run.returncode


def _engine(target: str, arguments: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["serial_runtime", "tomllib"]):
        from fuzz.targets import TARGETS
    run = TARGETS[target]
    atheris.Setup(arguments, lambda data: run(bytes(data)))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
