"""The ids of logs that were erased: no topic, and no archive, may bring one of them back.

They are in `logs-state`, some in a record, each record under the last day on which it counts: as long as a topic may
hold the log. Whoever writes logs asks here before each write; what is said is never older than MAX_AGE_SECONDS, so that
after so long the one who erases knows that nobody writes them any more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import date

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.events import receive_day

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 10.0
_REFRESH_SECONDS = 4.0
IDS_IN_A_RECORD = 10_000  # of up to 43 bytes each: a record of `logs-state` has at most 1 MiB
_PREFIX = "erased/"

Among = Callable[[Collection[str]], Awaitable[Collection[str]]]  # ids -> those of them that were erased
Read = Callable[[], Awaitable[Mapping[str, bytes]]]


async def nobody_erased(ids: Collection[str]) -> Collection[str]:
    """Where there is no erasing."""
    return ()


def erased_records(ids: Iterable[str], last_day: date) -> dict[str, bytes]:
    """What to write to `logs-state`, so that these ids are refused until the end of that day: key -> value."""
    ordered, records = sorted(ids), {}
    for start in range(0, len(ordered), IDS_IN_A_RECORD):
        value = orjson.dumps(ordered[start : start + IDS_IN_A_RECORD])
        records[f"{_PREFIX}{last_day.isoformat()}/{hashlib.sha256(value).hexdigest()[:32]}"] = value
    return records


def last_day_of(key: str) -> date | None:
    """The last day on which the record of this key counts; None when it is another kind of record."""
    return date.fromisoformat(key.removeprefix(_PREFIX).partition("/")[0]) if key.startswith(_PREFIX) else None


def ids_in_force(state: Mapping[str, bytes], today: date) -> set[str]:
    """All ids that are refused today, by what `logs-state` says."""
    found: set[str] = set()
    for key, value in state.items():
        last_day = last_day_of(key)
        if last_day is not None and last_day >= today:
            found.update(orjson.loads(value))
    return found


class ErasedIds:
    """Which ids were erased. read() gives all keys of `logs-state`, and raises Unavailable; now: epoch ms.

    monotonic and sleep: passed in for tests.
    """

    def __init__(
        self,
        read: Read,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read, self._now, self._monotonic, self._sleep = read, now, monotonic, sleep
        self._ids: set[str] = set()
        self._read_at: float | None = None
        self._asked = False
        self._reading = asyncio.Lock()

    async def among(self, ids: Collection[str]) -> set[str]:
        """Those of `ids` that were erased, as of MAX_AGE_SECONDS ago or later. Raises Unavailable."""
        self._asked = True
        if self._age() > MAX_AGE_SECONDS:
            await self.refresh()
        return self._ids.intersection(ids) if self._ids else set()

    async def refresh(self) -> None:
        """Read again. Raises Unavailable."""
        async with self._reading:
            begun = self._monotonic()  # what is written while we read may be missed
            self._ids = ids_in_force(await self._read(), receive_day(self._now()))
            self._read_at = begun

    async def keep_up(self) -> None:
        """Until cancelled: read again in time, while somebody asks, so that nobody has to wait for it."""
        while True:
            await self._sleep(_REFRESH_SECONDS)
            if self._asked:
                self._asked = False
                try:
                    await self.refresh()
                except Unavailable as error:  # `among` reads itself, and raises, when what is known has become too old
                    log.debug("the erased ids were not read: %s", error)

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._monotonic() - self._read_at
