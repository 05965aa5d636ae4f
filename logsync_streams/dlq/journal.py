"""The topic `logs-dlq` itself: read all of it, fetch some letters' bytes, and mark letters as handled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from logsync_streams import dead_letter, topics
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq.letters import Ledger, Letter, Place
from logsync_streams.dlq.replay import Outgoing, Stays
from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.kafka_topics import no_broker
from logsync_streams.settings import KafkaSettings

_SILENCE_SECONDS = 30.0  # a broker that sends nothing for so long, though there is something, is away
_MAX_RECORD_BYTES = 8 * 1024 * 1024
_LARGE_BYTES = 900_000  # from here on a record may be over its topic's limit
_CHUNK_LETTERS, _CHUNK_BYTES = 200, 8 * 1024 * 1024

T = TypeVar("T")


async def read(kafka: KafkaSettings) -> Ledger:
    """Everything that `logs-dlq` holds at this moment. Raises Unavailable, ConfigurationError."""
    ledger = Ledger()
    partitions = await _partitions(kafka)
    async with _consumer(kafka) as consumer:
        starts = await _asked(kafka, consumer.beginning_offsets(partitions))
        ends = await _asked(kafka, consumer.end_offsets(partitions))
        for partition in partitions:
            async for record in _records(kafka, consumer, partition, starts[partition], ends[partition]):
                place = Place(record.partition, record.offset, record.key or b"")
                ledger.add(place, record.timestamp, record.value, record.headers)
    return ledger


async def chunks(
    kafka: KafkaSettings, letters: Sequence[Letter]
) -> AsyncIterator[list[tuple[Letter, DeadLetterRecord]]]:
    """The letters with their bytes, some at a time; one that is gone meanwhile is left out. Raises Unavailable."""
    wanted: dict[int, dict[int, Letter]] = {}
    for letter in letters:
        wanted.setdefault(letter.place.partition, {})[letter.place.offset] = letter
    async with _consumer(kafka) as consumer:
        for number, by_offset in sorted(wanted.items()):
            partition = TopicPartition(topics.DEAD_LETTERS, number)
            chunk: list[tuple[Letter, DeadLetterRecord]] = []
            size = 0
            async for record in _records(kafka, consumer, partition, min(by_offset), max(by_offset) + 1):
                found = by_offset.get(record.offset)
                if found is None:
                    continue
                chunk.append((found, dead_letter.decode(record.key, record.value, record.headers)))
                size += found.size
                if len(chunk) >= _CHUNK_LETTERS or size >= _CHUNK_BYTES:
                    yield chunk
                    chunk, size = [], 0
            if chunk:
                yield chunk


class Journal:
    """Sends records back and marks letters. `open_journal` makes it."""

    def __init__(self, kafka: KafkaSettings, producer: AIOKafkaProducer, for_large: AIOKafkaProducer) -> None:
        self._kafka, self._producer, self._for_large = kafka, producer, for_large

    async def replay(
        self, going: Sequence[tuple[Letter, DeadLetterRecord, Outgoing]]
    ) -> list[tuple[Letter, Stays | None]]:
        """Send, and mark what Kafka has as replayed; which letters had to stay. Raises Unavailable.

        Marked after the acknowledgement: a crash between the two leaves a letter that is replayed once more, which its
        id puts right in the store.
        """
        answers = await asyncio.gather(*(self._send(out) for _, _, out in going), return_exceptions=True)
        sent = [
            (letter, record)
            for (letter, record, _), answer in zip(going, answers, strict=True)
            if not isinstance(answer, BaseException)
        ]
        await self.mark(sent, dead_letter.REPLAYED)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Stays):
                raise answer
        return [
            (letter, answer if isinstance(answer, Stays) else None)
            for (letter, _, _), answer in zip(going, answers, strict=True)
        ]

    async def mark(self, letters: Iterable[tuple[Letter, DeadLetterRecord]], how: str) -> None:
        """Write that these letters are handled: REPLAYED, DROPPED or ERASED. Raises Unavailable."""
        marks = []
        for letter, record in letters:
            _, value, headers = dead_letter.encode_handled(record, how)
            marks.append(Outgoing(topics.DEAD_LETTERS, letter.place.key, value, headers, letter.place.partition))  # type: ignore[arg-type]  # a mark may be without a value
            for place in letter.superseded:
                _, value, headers = dead_letter.encode_handled(record, dead_letter.REPLAYED)
                marks.append(Outgoing(topics.DEAD_LETTERS, place.key, value, headers, place.partition))  # type: ignore[arg-type]  # as above
        await asyncio.gather(*(self._send(mark) for mark in marks))

    async def _send(self, out: Outgoing) -> None:
        producer = self._producer if len(out.value or b"") < _LARGE_BYTES else self._for_large
        try:
            await producer.send_and_wait(
                out.topic, out.value, key=out.key, partition=out.partition, headers=out.headers
            )
        except MessageSizeTooLargeError as error:
            raise Stays("with what a replay adds it is too large for its topic: drop it") from error
        except KafkaError as error:
            raise _away(self._kafka, error) from error


@asynccontextmanager
async def open_journal(kafka: KafkaSettings) -> AsyncIterator[Journal]:
    """A journal on a connection of its own. Raises Unavailable."""
    # An idempotent producer is of no use any more after a record that the broker refuses for its size.
    async with (
        _producer(kafka, idempotent=not kafka.embedded) as producer,
        _producer(kafka, idempotent=False) as for_large,
    ):
        yield Journal(kafka, producer, for_large)


@asynccontextmanager
async def _producer(kafka: KafkaSettings, *, idempotent: bool) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        client_id="logsync-dlq",
        acks="all",
        enable_idempotence=idempotent,
        compression_type=None if kafka.compression == "none" else kafka.compression,
        max_request_size=_MAX_RECORD_BYTES,
    )
    try:
        await _asked(kafka, producer.start())
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consumer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        client_id="logsync-dlq",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await _asked(kafka, consumer.start())
        yield consumer
    finally:
        await consumer.stop()


async def _partitions(kafka: KafkaSettings) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        await _asked(kafka, admin.start())
        # Asked for by name, a topic that is missing would be created on a broker that creates topics by itself.
        if topics.DEAD_LETTERS not in await _asked(kafka, admin.list_topics()):
            raise ConfigurationError([f"topic {topics.DEAD_LETTERS} does not exist; run `logsync topics create`"])
        [described] = await _asked(kafka, admin.describe_topics([topics.DEAD_LETTERS]))
    finally:
        await admin.close()
    numbers = sorted(partition["partition"] for partition in described["partitions"])
    return [TopicPartition(topics.DEAD_LETTERS, number) for number in numbers]


async def _records(
    kafka: KafkaSettings, consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
) -> AsyncIterator[Any]:
    """The records from `start` to the end of what is fetched with the last one before `end`; compaction leaves gaps.

    Not cut at `end`: the embedded broker reports as the end the offset after the first record of the last batch.
    """
    if start >= end:
        return
    consumer.assign([partition])
    consumer.seek(partition, start)
    heard = time.monotonic()
    while await consumer.position(partition) < end:
        for records in (await _asked(kafka, consumer.getmany(partition, timeout_ms=1000))).values():
            heard = time.monotonic()
            for record in records:
                yield record
        if time.monotonic() - heard > _SILENCE_SECONDS:
            raise _away(kafka, KafkaConnectionError())


async def _asked(kafka: KafkaSettings, question: Awaitable[T]) -> T:
    try:
        return await question
    except (KafkaError, OSError) as error:
        raise _away(kafka, error) from error


def _away(kafka: KafkaSettings, error: Exception) -> Unavailable:
    if isinstance(error, KafkaConnectionError):
        return no_broker(kafka)
    where, said = ",".join(kafka.bootstrap), str(error) or type(error).__name__
    return Unavailable(f"LOGSYNC_KAFKA__BOOTSTRAP: {where!r}: the broker answered: {said}")
