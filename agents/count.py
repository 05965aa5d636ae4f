"""Counting, before the filter: what each raw record held of each service and level, and what is left in the end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

from logsync_streams.counts import NO_LEVEL, NO_SERVICE, Run, ServiceCounts
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
    """Counts of one batch of one partition by service, in the order of arrival, which is the source's."""

    services: dict[str, list[Run]] = field(default_factory=dict)

    def levels(self, service: str, append_time: int, minute: int) -> dict[str, list[int]]:
        """Where to count what comes next of a service: see counts.Run."""
        runs = self.services.setdefault(service, [])
        if not runs or (runs[-1].append_time, runs[-1].minute) != (append_time, minute):
            runs.append(Run(append_time, minute, {}))
        return runs[-1].levels

    def add(self, later: Tally) -> None:
        """Take in the counts of a later part of the same batch; it may begin within the raw record that ends ours."""
        for service, runs in later.services.items():
            for run in runs:
                levels = self.levels(service, run.append_time, run.minute)
                for level, numbers in run.levels.items():
                    mine = levels.setdefault(level, [])
                    if mine and mine[-2] == numbers[0]:
                        mine[-1] += numbers[1]
                        mine += numbers[2:]
                    else:
                        mine += numbers

    def records(self, topic: str, partition: int) -> list[ServiceCounts]:
        """One record a service, its raw records in source order."""
        return [ServiceCounts(service, topic, partition, tuple(runs)) for service, runs in self.services.items()]

    def totals(self) -> dict[tuple[str, bool], int]:
        """(service, whether an error) -> events."""
        totals: dict[tuple[str, bool], int] = {}
        for service, runs in self.services.items():
            for run in runs:
                for level, numbers in run.levels.items():
                    key = (service, level in ERROR_LEVELS)
                    totals[key] = totals.get(key, 0) + sum(numbers[1::2])
        return totals


async def count(events: AsyncIterable[Event], *, tally: Tally) -> AsyncIterator[Event]:
    """Every event unchanged, counted by its service and level in `tally`."""
    origin: Origin | None = None
    offset = append_time = minute = -1
    by_service: dict[str, dict[str, list[int]]] = {}  # what neighbours have in common is looked up once
    async for event in events:
        if event.origin is not origin:
            origin = event.origin
            offset = origin.offset
            if (origin.append_time, event.received_at // _MINUTE_MS) != (append_time, minute):
                append_time, minute = origin.append_time, event.received_at // _MINUTE_MS
                by_service = {}
        service = event.service or NO_SERVICE
        levels = by_service.get(service)
        if levels is None:
            levels = by_service[service] = tally.levels(service, append_time, minute)
        numbers = levels.get(level := counted_level(event))
        if numbers is None:
            levels[level] = [offset, 1]
        elif numbers[-2] == offset:
            numbers[-1] += 1
        else:
            numbers += (offset, 1)
        yield event
