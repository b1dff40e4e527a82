# SPDX-License-Identifier: MIT
"""What all tests share. None leaves anything in the user's own cache, nor finds anything there."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wamp_router import WampRouter

sys.path.insert(0, str(Path(__file__).parent))

# A shell ignores it in what it runs in the background; our children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _cache_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def the_router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WampRouter]:
    """One for all tests, which start it again when they have stopped it."""
    from wamp_router import CROSSBAR, WampRouter

    if not CROSSBAR.exists():
        pytest.skip("no router here: make .router/ready installs it")
    router = WampRouter(tmp_path_factory.mktemp("router"))
    router.start()
    yield router
    router.stop()


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    import waiting

    return waiting.wait_for
