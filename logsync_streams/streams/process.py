"""The group `logsync-process`: raw records in; documents, counts and dead letters out, all awaited, then the ack."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import faust
from aiokafka.structs import RecordMetadata

from agents.process import Outcome, Processor
from logsync_streams import counts, enriched, metrics
from logsync_streams.consumer import Records
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.envelope import RawRecord
from logsync_streams.errors import Unavailable
from logsync_streams.events import receive_days
from logsync_streams.streams.sending import acknowledged, send, send_dead
from tables.assignments import Assignments
from tables.erased import ErasedIds

log = logging.getLogger(__name__)

# A message is a batch of up to a mebibyte; more of them at once would only make the pauses longer.
TAKE_MESSAGES = 4
TAKE_WITHIN_SECONDS = 0.02
_WAIT_SECONDS = 2.0


@dataclass(slots=True)
class Progress:
    """What this process has done since its start, for `/status` and the drain of `logsync dev`."""

    received_events: int = 0
    foreign_events: int = 0
    filtered_events: int = 0
    dead_events: int = 0
    produced: dict[int, int] = field(default_factory=dict)  # partition of logs-enriched -> highest offset


class ProcessStream:
    """Takes batches, runs the stages, sends the results."""

    def __init__(
        self,
        processor: Processor,
        assignments: Assignments,
        *,
        enriched_topic: faust.TopicT,
        counts_topic: faust.TopicT,
        dead_topic: faust.TopicT,
        partitions: int,
        max_services: int,
        erased: ErasedIds,
    ) -> None:
        self._processor, self._assignments, self._erased = processor, assignments, erased
        self._enriched_topic, self._counts_topic, self._dead_topic = enriched_topic, counts_topic, dead_topic
        self._partitions = partitions
        self._service_label = metrics.BoundedLabels(max_services)
        self.progress = Progress()

    async def run(self, stream: Any) -> None:
        """Parse, count, filter and enrich raw records; documents, counts and dead letters out, all awaited.

        Leaves only by cancellation: an exception here ends the process with nothing acknowledged.
        """
        async for events in stream.noack_take(TAKE_MESSAGES, within=TAKE_WITHIN_SECONDS):
            started = perf_counter()
            number = 0
            for (topic, partition), records in by_partition(events).items():
                number += await self._batch(topic, partition, records)
            for event in events:
                await stream.ack(event)
            metrics.batch_events.labels("process").observe(number)
            metrics.batch_seconds.labels("process").observe(perf_counter() - started)

    async def _batch(self, topic: str, partition: int, records: list[RawRecord]) -> int:
        outcome = Outcome()
        decoded = self._processor.decode(records, outcome)
        days = receive_days(record.received_at for record in decoded)
        outcome = await self._processor.run(decoded, outcome, await self._assignments.of(days))
        # Counts first and awaited alone: a source partition's entries must reach `logs-counts` in source order, and a
        # failure must stop what comes after (tables/error_rates.py skips lower offsets as seen).
        await acknowledged(
            [await self._send_counts(record) for record in self._processor.counts(outcome, topic, partition)]
        )
        if outcome.dead:
            await send_dead(self._dead_topic, await self._not_erased(outcome.dead))
        first, last = records[0].offset, records[-1].offset
        sent = [
            await self._send_enriched(record)
            for record in self._processor.enriched(outcome, topic, partition, first, last)
        ]
        for metadata in await acknowledged(sent):
            self.progress.produced[metadata.partition] = metadata.offset
        self._account(outcome)
        return outcome.received

    async def _not_erased(self, dead: list[DeadLetterRecord]) -> list[DeadLetterRecord]:
        """Without the letters that were erased: a redelivery makes each of them anew."""
        while True:
            try:
                erased = await self._erased.among([letter.event_id for letter in dead])
            except Unavailable as error:
                log.warning("waiting for the erased ids: %s", error)
                await asyncio.sleep(_WAIT_SECONDS)
            else:
                metrics.dropped.labels("process", "erased").inc(len(erased))
                return [letter for letter in dead if letter.event_id not in erased]

    async def _send_counts(self, record: counts.ServiceCounts) -> Awaitable[RecordMetadata]:
        key, value = counts.encode(record)
        return await send(self._counts_topic, value, key=key)

    async def _send_enriched(self, record: enriched.Enriched) -> Awaitable[RecordMetadata]:
        value, headers = enriched.encode(record)
        # The source's partition: documents of one source partition stay in order.
        return await send(self._enriched_topic, value, partition=record.partition % self._partitions, headers=headers)

    def _account(self, outcome: Outcome) -> None:
        progress = self.progress
        progress.received_events += outcome.received
        progress.foreign_events += outcome.foreign
        progress.filtered_events += outcome.dropped.total()
        progress.dead_events += len(outcome.dead)
        for (service, level), number in outcome.processed.items():
            metrics.processed.labels(self._service_label(service), level).inc(number)
        for (service, is_error), number in outcome.tally.totals().items():
            label = self._service_label(service)
            metrics.volume.labels(label).inc(number)
            metrics.errors.labels(label).inc(number if is_error else 0)
        for rule, number in outcome.redacted.items():
            metrics.redacted.labels(rule).inc(number)
        for rule, number in outcome.dropped.items():
            metrics.dropped.labels("filter", rule).inc(number)


def by_partition(events: Sequence[Any]) -> dict[tuple[str, int], list[RawRecord]]:
    """The fetched records of several messages, by topic and partition, in offset order."""
    found: dict[tuple[str, int], list[RawRecord]] = {}
    for event in events:
        value = event.value
        if isinstance(value, Records) and value:
            # A message's records are of one partition; what was fetched has all that a RawRecord has.
            found.setdefault((value[0].topic, value[0].partition), []).extend(value)
    return found
