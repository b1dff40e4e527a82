# SPDX-License-Identifier: MIT
"""``python -m hil``: the images, and the scenarios on every target; `make hil` and `make hil-full`.

An image is built while the scenarios run on the simulator; one emulator runs at a time.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from hil.image.machine import MACHINES

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".hil" / "report"
BOARDS = ROOT / "hil" / "boards"
SIMULATOR = "simulator"
QUICK = (SIMULATOR, "virt-arm64")
FULL = (*QUICK, "ast2600-armhf")
# A board may take minutes to boot on a busy machine; the patience of the rig ends before that.
_TEST_S = 900


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; 0 when everything passed."""
    parser = argparse.ArgumentParser(
        prog="python -m hil",
        description="Build board images and run the scenarios of hil/scenarios on each target; "
        f"results are in {REPORTS.relative_to(ROOT)}.",
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help=f"environment files, or names of those in hil/boards (default: {', '.join(QUICK)}; "
        f"with --full {', '.join(FULL)}); files of tests (default: hil/scenarios); what else there "
        "is goes to pytest",
    )
    parser.add_argument("--full", action="store_true", help="the long scenarios too")
    options, pytest_options = parser.parse_known_args(arguments)
    tests = [word for word in options.targets if ".py" in word]
    targets = [word for word in options.targets if word not in tests]
    targets = targets or list(FULL if options.full else QUICK)
    files = {target: _environment(target) for target in targets}
    for target, file in files.items():
        if not file.exists():
            known = ", ".join(sorted(one.stem for one in BOARDS.glob("*.yaml")))
            parser.error(f"{target}: there is no {file}; there are {known}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    for file in files.values():
        (REPORTS / f"{file.stem}.xml").unlink(missing_ok=True)  # of the last time
    signal.signal(signal.SIGTERM, _end)
    images = _images([target for target in targets if target in MACHINES])
    failed = []
    for target, file in files.items():
        if target in images and images[target].wait():
            failed.append(f"the image of {target}")
            continue
        if not _scenarios(target, file, options.full, [*pytest_options, *tests]):
            failed.append(target)
    if options.full and "virt-arm64" in targets and not _run("hil.mutants"):
        failed.append("the mutants")
    _report(files.values())
    print(f"failed: {', '.join(failed)}" if failed else f"passed on {', '.join(targets)}")
    return 1 if failed else 0


def _report(files: Iterable[Path]) -> None:
    """One page of all targets that got as far as a result."""
    results = [str(REPORTS / f"{file.stem}.xml") for file in files]
    results = [result for result in results if Path(result).exists()]
    if results:
        page = ["-o", str(REPORTS / "report.html")]
        subprocess.run([sys.executable, "-m", "hil.report", *results, *page], cwd=ROOT, check=False)


def _environment(target: str) -> Path:
    named = BOARDS / f"{target}.yaml"
    return named if named.exists() else Path(target)


def _images(machines: list[str]) -> dict[str, subprocess.Popen[bytes]]:
    """Start to build them, all at once: they mostly wait for each other's cores and the network."""
    return {
        name: subprocess.Popen(
            [sys.executable, "-m", "hil.image", MACHINES[name].architecture], cwd=ROOT
        )
        for name in machines
    }


def _scenarios(target: str, file: Path, full: bool, more: list[str]) -> bool:
    """Run them; whether all passed."""
    print(f"--- scenarios on {target}", flush=True)
    name = file.stem
    began_s = time.monotonic()
    command = ["pytest", "-p", "hil.plugin", "--lg-env", str(file)]
    command += [f"--junitxml={REPORTS / name}.xml", f"--timeout={_TEST_S}", "--durations=10"]
    command += ["-o", f"junit_suite_name={name}", *(["--full"] if full else []), *more]
    if not any(".py" in one for one in more):
        command.append("hil/scenarios")
    passed = _run(*command)
    print(f"--- {target}: {time.monotonic() - began_s:.0f} s", flush=True)
    return passed


def _run(module: str, *words: str) -> bool:
    """`python -m MODULE`; it ends with us, so that it can switch its boards off."""
    process = subprocess.Popen([sys.executable, "-m", module, *words], cwd=ROOT)
    try:
        return process.wait() == 0
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _end(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
