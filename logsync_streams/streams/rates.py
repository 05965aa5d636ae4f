"""The fold of the error rates: every process reads the last hour of `logs-counts` for itself, no group, no commits.

So each worker and each query process can answer for every service, and a process that dies takes nothing with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from logsync_streams import counts, topics
from logsync_streams.errors import DeadLetter
from logsync_streams.settings import KafkaSettings
from tables.error_rates import MINUTES, ErrorRates

log = logging.getLogger(__name__)

_MINUTE_MS = 60_000
_RETRY_SECONDS = 2.0


class RatesFold:
    """Keeps `rates` up to date while `run` runs. now: epoch ms."""

    def __init__(self, kafka: KafkaSettings, max_services: int, now: Callable[[], int]) -> None:
        self._kafka, self._max_services, self._now = kafka, max_services, now
        self.rates = ErrorRates(max_services)
        self.ready = False  # True once the hour before the start has been read

    def view(self) -> dict[str, object]:
        """For `/rates` and `GET /api/error-rates`; complete: whether the last hour has been read whole."""
        return {"complete": self.ready, **self.rates.view(self._now())}

    async def run(self) -> None:
        """Read for ever; begin again from the hour before when Kafka was away, with an empty fold."""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                self.ready = False
                log.warning("error rates: reading logs-counts failed, trying again: %r", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            topics.COUNTS,  # without a group: all partitions are ours
            bootstrap_servers=self._kafka.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            rates = ErrorRates(self._max_services)
            ends = await self._seek(consumer, await _partitions(consumer))
            self.rates = rates
            while True:
                fetched = await consumer.getmany(timeout_ms=500, max_records=2000)
                self._fold(rates, fetched.values())
                if not self.ready:
                    self.ready = await _caught_up(consumer, ends, idle=not fetched)
        finally:
            await consumer.stop()

    async def _seek(self, consumer: Any, partitions: list[Any]) -> dict[Any, int]:
        since = self._now() - MINUTES * _MINUTE_MS
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        beginnings = await consumer.beginning_offsets(partitions)
        ends: dict[Any, int] = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, _start(starts.get(partition), beginnings[partition], ends[partition]))
        return ends

    def _fold(self, rates: ErrorRates, batches: Iterable[list[Any]]) -> None:
        now_minute = self._now() // _MINUTE_MS
        for records in batches:
            for record in records:
                try:
                    rates.apply(counts.decode(record.value), now_minute)
                except DeadLetter:
                    log.warning("error rates: a record of logs-counts at offset %d is none of ours", record.offset)


def _start(found: Any, beginning: int, end: int) -> int:
    if found is None:
        return end  # nothing is that young
    # The embedded broker answers timestamp -1: from the beginning; the minutes of the entries decide anyway.
    return int(found.offset) if found.timestamp >= 0 else beginning


async def _partitions(consumer: Any) -> list[Any]:
    while not consumer.assignment():  # noqa: ASYNC110  # aiokafka has no event for it
        await asyncio.sleep(0.05)
    return sorted(consumer.assignment())


async def _caught_up(consumer: Any, ends: Mapping[Any, int], *, idle: bool) -> bool:
    if idle:
        return True
    return all([await consumer.position(partition) >= end for partition, end in ends.items()])
