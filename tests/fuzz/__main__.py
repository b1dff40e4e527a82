# SPDX-License-Identifier: MIT
"""By hand: `python -m tests.fuzz TARGET --hours N`, guided by coverage (`pip install atheris`).

Inputs that reach something new are added to the corpus of the target, and the fewest that reach as
much are kept. An input that ends a target is written to a file, which `--input` runs again; in the
corpus it stays tested. The targets in C (image_file, image_check, image_object) go from seed to
seed instead.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import corpus, image  # noqa: E402

_LONGEST = 2000  # bytes of an input
_SLOWEST_S = 10  # seconds that one may take
_C_INPUTS = 100_000  # of one seed


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="a name of targets.py, or of image.py")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--input", type=Path, help="run this one only")
    parser.add_argument("--engine", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine is not None:
        return _engine(options.target, options.engine)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{options.target}-") as name:
        os.environ["XDG_CACHE_HOME"] = name  # not the user's
        if options.target in image.FUZZERS:
            return _in_c(options.target, options.hours, Path(name))
        if options.input is None:
            return _guided(options.target, options.hours, Path(name))
        from fuzz.targets import TARGETS

        TARGETS[options.target](options.input.read_bytes())
    return 0


def _guided(target: str, hours: float, folder: Path) -> int:
    limits = [f"-max_len={_LONGEST}", f"-timeout={_SLOWEST_S}", "-rss_limit_mb=1024"]
    found, fewest, engine = (folder / name for name in ("found", "fewest", "engine"))
    found.mkdir()
    fewest.mkdir()
    # The engine starts itself again by its first argument.
    again = shlex.join([sys.executable, "-m", "tests.fuzz", target, "--engine", str(engine)])
    engine.write_text(f'#!/bin/sh\nexec {again} "$@"\n')
    engine.chmod(0o700)
    for number, data in enumerate(corpus.load(target)):
        (found / f"kept-{number}").write_bytes(data)
    run = subprocess.run([engine, *limits, f"-max_total_time={hours * 3600:.0f}", found])
    subprocess.run([engine, *limits, "-merge=1", fewest, found], check=True)
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


def _in_c(target: str, hours: float, folder: Path) -> int:
    image.build(folder)
    end_s = time.monotonic() + hours * 3600
    for seed in itertools.count(1):
        print(f"seed {seed}: {image.run(target, folder, _C_INPUTS, seed)}", end="", flush=True)
        if time.monotonic() > end_s:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
