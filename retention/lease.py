"""One at a time: whoever archives, prunes or erases holds the lease, so that two never work at once.

A chain of keys in `logs-state`, of which the first value written stands: who writes `retention-lease/<n+1>` first, has
it. Each says until when it holds; a process that was killed is waited for no longer than that. Only the last key is of
use: those before it are forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from os import getpid
from typing import Any

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.state import StateLog

HELD_SECONDS = 600.0
_RENEWALS = 5  # within the time that it holds
_LOST_SECONDS = 30
_PREFIX = "retention-lease/"


class LeaseTaken(Unavailable):
    """Come back later: another process is at it. retry_after_seconds: when its lease ends, should it have died."""


class LeaseLost(Unavailable):
    """Stop: the lease ran out before it could be renewed, and another may hold it."""


class Lease:
    """Held while it is open. `check` says whether it still is, before each step that cannot be taken back.

    now: epoch ms, which the others compare; steady: seconds that no change of the clock moves, for the holder itself.
    """

    def __init__(
        self,
        state: StateLog,
        now: Callable[[], int],
        held_seconds: float = HELD_SECONDS,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._now, self._steady = state, now, steady
        self._held_ms = round(held_seconds * 1000)
        self._holder = f"{socket.gethostname()}/{getpid()}/{uuid.uuid4().hex[:12]}"
        self._number = self._until = 0
        self._steady_until = 0.0

    async def take(self) -> None:
        """Raises LeaseTaken, Unavailable."""
        number, held = _last(await self._state.read())
        if held and held["until"] > self._now():
            left = (held["until"] - self._now()) / 1000
            raise LeaseTaken(
                f"{held['holder']} is at it; should it have died, its lease ends in {left:.0f} s",
                retry_after_seconds=max(1, math.ceil(left)),
            )
        await self._write(number + 1, self._held_ms)

    async def renew(self) -> None:
        """Raises LeaseTaken when another has it."""
        await self._write(self._number + 1, self._held_ms)

    async def give_back(self) -> None:
        """The next one need not wait."""
        await self._write(self._number + 1, 0)

    def check(self) -> None:
        """Raises LeaseLost."""
        # By both clocks: one does not go while the machine sleeps, the other may be set back.
        if self._now() > self._until or self._steady() > self._steady_until:
            raise LeaseLost(
                "the lease of the retention has run out before it could be renewed; the next run goes on from here "
                "(should it happen again: a longer LOGSYNC_RETENTION__LEASE_SECONDS)",
                retry_after_seconds=_LOST_SECONDS,
            )

    async def _write(self, number: int, milliseconds: int) -> None:
        until, steady_until = self._now() + milliseconds, self._steady() + milliseconds / 1000
        mine = orjson.dumps({"holder": self._holder, "until": until})
        while (stands := await self._state.decide(f"{_PREFIX}{number}", mine)) != mine:
            if orjson.loads(stands)["holder"] != self._holder:
                raise self._taken()
            number += 1  # an attempt of ours of which nothing was heard: it has the key, and an older end
        found = await self._state.read()
        # Who slept since it looked may have written a key that was used and forgotten: others are further then.
        if _last(found)[0] != number:
            raise self._taken()
        self._number, self._until, self._steady_until = number, until, steady_until
        await self._state.forget(key for key in found if key.startswith(_PREFIX) and _number(key) < number)

    def _taken(self) -> LeaseTaken:
        self._steady_until = -math.inf
        return LeaseTaken("another process has taken the lease of the retention")


def _number(key: str) -> int:
    return int(key.removeprefix(_PREFIX))


def _last(found: dict[str, bytes]) -> tuple[int, dict[str, Any] | None]:
    numbers = [_number(key) for key in found if key.startswith(_PREFIX)]
    if not numbers:
        return 0, None
    return max(numbers), orjson.loads(found[f"{_PREFIX}{max(numbers)}"])


@asynccontextmanager
async def held(state: StateLog, now: Callable[[], int], held_seconds: float = HELD_SECONDS) -> AsyncIterator[Lease]:
    """The lease, renewed until the block ends. Raises LeaseTaken."""
    lease, over = Lease(state, now, held_seconds), asyncio.Event()
    await lease.take()

    async def renewing() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), held_seconds / _RENEWALS)
                return
            try:
                await lease.renew()
            except LeaseTaken:  # `check` tells
                return
            except Unavailable:  # `check` tells when it is too late
                continue

    task = asyncio.create_task(renewing())
    try:
        yield lease
    finally:
        over.set()  # not cancelled: a renewal that is half done would keep the others out
        await task
        with contextlib.suppress(Unavailable):
            await lease.give_back()
