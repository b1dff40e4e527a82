# SPDX-License-Identifier: MIT
"""The boards of a realm, as the router's own procedures tell them (WAMP meta API)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from serial_runtime.connectors.wamp_client import PREFIX, leave
from serial_runtime.connectors.wamp_session import (
    ApplicationError,
    Login,
    Router,
    Session,
    TransportLost,
    event_loop,
    join,
    refusal_of,
    run,
)
from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout
from serial_runtime.named_tuple import NamedTuple

_STATUS = ".GetPLCstatus"  # every board has it
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Member(NamedTuple):
    """A board that is connected."""

    id: str
    ours: bool  # it takes our own client, else only the IDE's procedures
    state: str  # of the PLC, or why it did not tell
    log: list[int]  # lines per level: critical, warning, info, debug; empty: not told
    round_trip_ms: float


class Fleet:
    """Asks a router; joins again when the connection was lost. For one thread."""

    def __init__(self, router: Router, login: Login, timeout_s: float = 10.0) -> None:
        self._router = router
        self._login = login
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._names: dict[int, str] = {}  # of procedures, by registration

    def boards(self) -> dict[str, bool]:
        """The ID of each board, and whether it takes our own client. Raises as `members`."""
        return run(self._boards())

    def members(self) -> list[Member]:
        """All boards, by ID. Raises LinkError, ConfigError."""
        return run(self._members())

    def close(self) -> None:
        """Leave the realm."""
        if self._session is not None:
            run(leave(self._session))

    async def _members(self) -> list[Member]:
        boards = await self._boards()
        assert self._session is not None
        asked = [self._ask(self._session, board, ours) for board, ours in boards.items()]
        return await asyncio.gather(*asked)

    async def _boards(self) -> dict[str, bool]:
        if self._session is None or self._session.left.done():
            self._session = await join(self._router, self._login, self._timeout_s)
            self._names = {}
        try:
            async with asyncio.timeout(self._timeout_s):
                names = await self._procedures(self._session)
        except TimeoutError as error:
            raise LinkTimeout(f"{self._router.url}: the router does not answer") from error
        except (ApplicationError, TransportLost) as error:
            raise LinkClosed(
                f"{self._router.url}: the router does not tell its procedures: {refusal_of(error)}"
            ) from error
        except (TypeError, LookupError, AttributeError) as error:
            raise LinkError(
                f"{self._router.url}: the router does not tell its procedures in the form of WAMP"
            ) from error
        boards = [name.removesuffix(_STATUS) for name in sorted(names) if name.endswith(_STATUS)]
        return {one: f"{one}.{PREFIX}open" in names for one in boards if _ID.fullmatch(one)}

    async def _procedures(self, session: Session) -> set[str]:
        found = (await session.call("wamp.registration.list"))["exact"]
        new = [number for number in found if number not in self._names]
        answers = await asyncio.gather(
            *(session.call("wamp.registration.get", number) for number in new),
            return_exceptions=True,  # one may have gone meanwhile
        )
        told = {
            number: answer["uri"]
            for number, answer in zip(new, answers, strict=True)
            if isinstance(answer, dict) and isinstance(answer.get("uri"), str)
        }
        self._names = {n: name for n, name in (self._names | told).items() if n in set(found)}
        return set(self._names.values())

    async def _ask(self, session: Session, board: str, ours: bool) -> Member:
        began_s = event_loop().time()
        try:
            async with asyncio.timeout(self._timeout_s):
                state, log = _status(await session.call(board + _STATUS))
        except TimeoutError:
            state, log = "does not answer", []
        except (ApplicationError, TransportLost) as error:
            state, log = str(refusal_of(error)), []
        took_ms = round((event_loop().time() - began_s) * 1e3, 1)
        return Member(board, ours, state, log, took_ms)


def _status(answer: Any) -> tuple[str, list[int]]:
    """Of a board, which may be anybody's."""
    match answer:
        case [str(state), [int(), int(), int(), int()] as log]:
            return state, list(log)
    return "answers in another form than a runtime", []
