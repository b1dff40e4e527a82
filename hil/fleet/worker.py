# SPDX-License-Identifier: MIT
"""One user of the farm: reserve a board, acquire it, run tests on it, release it.

    python -m hil.fleet.worker COORDINATOR KIND ENVIRONMENT PYTEST-ARGUMENTS...

Prints a line of JSON: which place it got, when what happened, and whether the tests passed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

from hil.fleet.farm import client

_RESERVED_S = 1800.0  # others have all boards meanwhile


def main(arguments: list[str]) -> int:
    """See above; the exit code is that of the tests."""
    coordinator, kind, environment, *tests = arguments
    user = f"worker-{os.getpid()}"
    times = {"began": time.time()}
    words = ("reserve", "--wait", "--shell", f"board={kind}")
    said = client(coordinator, *words, user=user, timeout_s=_RESERVED_S)
    token = re.findall(r"LG_TOKEN=(\S+)", said)[0]
    times["reserved"] = time.time()
    client(coordinator, "-p", "+", "acquire", user=user, token=token)
    try:
        place = re.findall(r"Place '([^']+)'", client_show(coordinator, user, token))[0]
        times["acquired"] = time.time()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "hil.plugin", "--lg-env", environment, *tests],
            env={
                **os.environ,
                "LG_COORDINATOR": coordinator,
                "LG_USERNAME": user,
                "LG_TOKEN": token,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        times["tested"] = time.time()
    finally:
        client(coordinator, "-p", "+", "release", user=user, token=token)
        # The reservation outlives a release for a minute, and keeps others waiting.
        client(coordinator, "cancel-reservation", token, user=user)
    times["released"] = time.time()
    print(json.dumps({"place": place, "times": times, "passed": done.returncode == 0}))
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode


def client_show(coordinator: str, user: str, token: str) -> str:
    """What labgrid says of the place."""
    return client(coordinator, "-p", "+", "show", user=user, token=token)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
