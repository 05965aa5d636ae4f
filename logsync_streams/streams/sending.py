"""Sending through a Faust app's producer, awaited: what is not acknowledged by Kafka never counts as sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

import faust
from aiokafka.structs import RecordMetadata

from logsync_streams import dead_letter, metrics
from logsync_streams.dead_letter import DeadLetterRecord

Headers = Sequence[tuple[str, bytes]]


async def send(
    topic: faust.TopicT,
    value: bytes,
    *,
    key: bytes | None = None,
    partition: int | None = None,
    headers: Headers = (),
) -> Awaitable[RecordMetadata]:
    """Hand a record to the producer; await the result for Kafka's acknowledgement."""
    return await topic.send(key=key, value=value, partition=partition, headers=list(headers))


_waiting = 0


def waiting() -> int:
    """Calls that wait for Kafka's acknowledgement now. Kafka, or the producer's own time limit, ends each."""
    return _waiting


async def acknowledged(sent: Iterable[Awaitable[RecordMetadata]]) -> list[RecordMetadata]:
    """Wait for all. Raises what Kafka answered for the first that failed, after all have ended."""
    global _waiting  # one producer's state a process, as Kafka sees it
    _waiting += 1
    try:
        results = await asyncio.gather(*sent, return_exceptions=True)
    finally:
        _waiting -= 1
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def send_dead(topic: faust.TopicT, records: Sequence[DeadLetterRecord]) -> None:
    """Put dead letters in their topic and return when Kafka has them."""
    sent = []
    for record in records:
        key, value, headers = dead_letter.encode(record)
        sent.append(await send(topic, value, key=key, headers=headers))
    await acknowledged(sent)
    for record in records:
        metrics.dead_letters.labels(record.stage, record.category).inc()
        metrics.dropped.labels(record.stage, record.category).inc()
