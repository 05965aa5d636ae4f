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

    def add(self, origin: Origin, received_at: int, service: str, level: str) -> None:
        """Count one event."""
        entries = self.services.get(service)
        if entries is None:
            entries = self.services[service] = {}
        entry = entries.get(origin.offset)
        if entry is None:
            entry = entries[origin.offset] = Entry(origin.offset, origin.append_time, received_at // _MINUTE_MS, {})
        levels = entry.levels
        levels[level] = levels.get(level, 0) + 1

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
    add = tally.add
    async for event in events:
        add(event.origin, event.received_at, event.service or NO_SERVICE, counted_level(event))
        yield event
