"""One at a time: whoever archives, prunes or erases holds the lease, so that two never work at once.

A chain of keys in `logs-state`, of which the first value written stands: who writes `lease/<n+1>` first, has it. Each
says until when it holds; a process that was killed is waited for no longer than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from os import getpid
from typing import Any

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.state import StateLog

HELD_MS = 600_000
_RENEW_SECONDS = 120.0
_PREFIX = "retention-lease/"


class LeaseTaken(Unavailable):
    """Come back later: another process is at it."""


class LeaseLost(Unavailable):
    """Stop: the lease ran out before it could be renewed, and another may hold it."""


class Lease:
    """Held while it is open. `check` says whether it still is, before each step that cannot be taken back."""

    def __init__(self, state: StateLog, now: Callable[[], int]) -> None:
        self._state, self._now = state, now
        self._holder = f"{socket.gethostname()}/{getpid()}/{id(self)}"
        self._number = self._until = 0

    async def take(self) -> None:
        """Raises LeaseTaken, Unavailable."""
        number, held = await self._last()
        if held and held["until"] > self._now():
            left = (held["until"] - self._now()) / 1000
            raise LeaseTaken(f"{held['holder']} is at it; should it have died, its lease ends in {left:.0f} s")
        await self._write(number + 1, HELD_MS)

    async def renew(self) -> None:
        """Raises LeaseTaken when another has it."""
        await self._write(self._number + 1, HELD_MS)

    async def give_back(self) -> None:
        """The next one need not wait."""
        await self._write(self._number + 1, 0)

    def check(self) -> None:
        """Raises LeaseLost."""
        if self._now() > self._until:
            raise LeaseLost("the lease of the retention has run out; the next run goes on from here")

    async def _last(self) -> tuple[int, dict[str, Any] | None]:
        found = await self._state.read()
        numbers = [int(key.removeprefix(_PREFIX)) for key in found if key.startswith(_PREFIX)]
        if not numbers:
            return 0, None
        return max(numbers), orjson.loads(found[f"{_PREFIX}{max(numbers)}"])

    async def _write(self, number: int, milliseconds: int) -> None:
        until = self._now() + milliseconds
        mine = orjson.dumps({"holder": self._holder, "until": until})
        if await self._state.decide(f"{_PREFIX}{number}", mine) != mine:
            raise LeaseTaken("another process has taken the lease of the retention")
        self._number, self._until = number, until


@asynccontextmanager
async def held(state: StateLog, now: Callable[[], int]) -> AsyncIterator[Lease]:
    """The lease, renewed until the block ends. Raises LeaseTaken."""
    lease = Lease(state, now)
    await lease.take()

    async def renewing() -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            with contextlib.suppress(Unavailable):  # `check` tells when it is too late
                await lease.renew()

    task = asyncio.create_task(renewing())
    try:
        yield lease
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(Unavailable):
            await lease.give_back()
