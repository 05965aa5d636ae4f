"""Where documents may be written: makes a day's index inside the write horizon, and finds what is stored elsewhere.

A write never creates an index by itself. A document that may be in another day's index already (yesterday's, for a
retried request) is looked up there first (DESIGN §4, Target, Identity); the generations of one day are the writer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import date, timedelta

from agents.horizon import write_horizon
from logsync_streams.storage.api import EventReader, IndexAdmin
from logsync_streams.storage.naming import IndexName, parse_index


class Targets:
    """The aliases known to exist and their generations. now: epoch ms; tombstone(alias): the day was dropped, as of the
    last `reload`, which is called before anything is made (default: there is nothing to read).
    """

    def __init__(
        self,
        admin: IndexAdmin,
        reader: EventReader,
        retention_days: int,
        now: Callable[[], int],
        tombstone: Callable[[str], bool],
        reload: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._admin, self._reader = admin, reader
        self._retention_days, self._now, self._tombstone = retention_days, now, tombstone
        self._reload = reload
        self._generations: dict[str, list[IndexName]] | None = None
        self._blocked: set[str] = set()
        self._opening = asyncio.Lock()

    async def _known(self) -> dict[str, list[IndexName]]:
        if self._generations is not None:
            return self._generations
        await self._admin.prepare()  # an index made before the templates are would have a wrong mapping for ever
        return await self.refresh()

    async def refresh(self) -> dict[str, list[IndexName]]:
        """Read again which indices there are: alias -> its indices, oldest first. Raises Unavailable."""
        found: dict[str, list[IndexName]] = {}
        indices = await self._admin.indices()
        for info in indices:
            found.setdefault(info.name.alias, []).append(info.name)
        for names in found.values():
            names.sort(key=lambda name: name.generation)
        self._blocked = {str(info.name) for info in indices if info.write_blocked}
        self._generations = found
        return found

    async def ensure(self, targets: Iterable[str]) -> list[str]:
        """Make the targets that are missing inside the write horizon; returns those that were dropped for ever.

        A target outside the horizon is left as it is: the write then says that it is missing, and waits. Raises
        Unavailable, ConfigurationError.
        """
        known = await self._known()
        first, last = write_horizon(self._now(), self._retention_days)
        expired = []
        missing = [target for target in targets if target not in known]
        if missing and self._reload is not None:
            await self._reload()
        for target in missing:
            name = parse_index(target)
            if self._tombstone(target):
                expired.append(target)
            elif name is not None and first <= name.day <= last:
                await self._admin.create(target)
                known[target] = [IndexName(name.dataset, name.day, 1)]
        return expired

    async def closed(self, targets: Collection[str]) -> set[str]:
        """Those of the targets that do not exist and are not made: their day is outside the write horizon. Raises
        Unavailable.
        """
        first, last = write_horizon(self._now(), self._retention_days)
        known = await self._known()
        if any(target not in known for target in targets):
            known = await self.refresh()  # another process may have made them
        names = {target: parse_index(target) for target in targets if target not in known}
        return {target for target, name in names.items() if name is None or not first <= name.day <= last}

    async def open_next(self, target: str) -> bool:
        """The archive blocked the target's index: open the next generation unless another worker has. True: the day is
        being dropped for ever, nothing is opened. Raises Unavailable.
        """
        async with self._opening:  # two bulks may be told of the same block
            if self._reload is not None:
                await self._reload()
            if self._tombstone(target):
                return True
            generations = (await self.refresh()).get(target, [])
            if generations and str(generations[-1]) in self._blocked:
                await self._admin.next_generation(target)
                await self.refresh()
            return False

    async def dropped(self, target: str) -> bool:
        """A write found the target missing: true when its day was dropped for ever. Raises Unavailable."""
        await self.refresh()
        if self._reload is not None:
            await self._reload()
        return self._tombstone(target)

    async def stored_under(self, alias: str, ids: Collection[str]) -> set[str]:
        """Those of `ids` that another day's target holds, for requests retried over midnight. Raises Unavailable."""
        return await self._reader.existing([alias], ids)


def yesterday_of(day: date) -> date:
    """The receive day before."""
    return day - timedelta(days=1)
