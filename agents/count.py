"""Counting, before the filter: what each raw record held of each service and level, and what is left in the end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

from logsync_streams.counts import NO_LEVEL, NO_SERVICE, Entry, ServiceCounts
from logsync_streams.events import ERROR_LEVELS, SEVERITIES, Event, Origin
from logsync_streams.metrics import OTHER

_MINUTE_MS = 60_000
# Senders invent levels; counting every word of theirs would let them grow our tables and metrics.
_COUNTED_AS = {level: level for level in SEVERITIES} | {"": NO_LEVEL}


def counted_level(event: Event) -> str:
    """The level under which an event is counted: ours, "_unknown" where it has none, "_other" for any other word."""
    return _COUNTED_AS.get(event.level, OTHER)


@dataclass(slots=True)
class Tally:
    """Counts of one batch of one partition: service -> source offset -> entry, in the order of arrival."""

    services: dict[str, dict[int, Entry]] = field(default_factory=dict)

    def levels(self, origin: Origin, received_at: int, service: str) -> dict[str, int]:
        """Where to count the events of one raw record and service, by level."""
        entries = self.services.get(service)
        if entries is None:
            entries = self.services[service] = {}
        entry = entries.get(origin.offset)
        if entry is None:
            entry = entries[origin.offset] = Entry(origin.offset, origin.append_time, received_at // _MINUTE_MS, {})
        return entry.levels

    def records(self, topic: str, partition: int) -> list[ServiceCounts]:
        """One record a service, its entries in source order."""
        return [
            ServiceCounts(service, topic, partition, tuple(entries[offset] for offset in sorted(entries)))
            for service, entries in self.services.items()
        ]

    def totals(self) -> dict[tuple[str, bool], int]:
        """(service, whether an error) -> events."""
        totals: dict[tuple[str, bool], int] = {}
        for service, entries in self.services.items():
            for entry in entries.values():
                for level, number in entry.levels.items():
                    key = (service, level in ERROR_LEVELS)
                    totals[key] = totals.get(key, 0) + number
        return totals


async def count(events: AsyncIterable[Event], *, tally: Tally) -> AsyncIterator[Event]:
    """Every event unchanged, counted by its service and level in `tally`."""
    origin: Origin | None = None
    by_service: dict[str, dict[str, int]] = {}  # of this origin: what a record's events share is looked up once
    async for event in events:
        if event.origin is not origin:
            origin, by_service = event.origin, {}
        service = event.service or NO_SERVICE
        levels = by_service.get(service)
        if levels is None:
            levels = by_service[service] = tally.levels(origin, event.received_at, service)
        level = _COUNTED_AS.get(event.level, OTHER)
        levels[level] = levels.get(level, 0) + 1
        yield event
