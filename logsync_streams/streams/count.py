"""The group `logsync-count`: keeps the inventory of services, a Faust table with idempotent updates."""

from __future__ import annotations

from typing import Any

from logsync_streams import counts, metrics
from logsync_streams.errors import DeadLetter
from tables.services import update


class CountStream:
    """Takes records of `logs-counts` one by one: a table's change needs its message at hand (faust.md 1.10)."""

    def __init__(self, services: Any) -> None:
        self._services = services

    async def run(self, stream: Any) -> None:
        """Keep the inventory of services (the error rates are folded from the same topic in streams/rates.py)."""
        async for event in stream.events():
            try:
                record = counts.decode(event.message.value)
            except DeadLetter as reason:
                metrics.dropped.labels("count", reason.category).inc()
                continue
            row = update(self._services.get(record.service), record)
            if row is not None:
                self._services[record.service] = row
