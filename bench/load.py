"""Topics for one run, and the traffic put into them before anybody may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.generator import Expected, Generated, envelopes, events, expected, with_broken
from logsync_streams.envelope import encode
from logsync_streams.events import event_id, foreign_record_id
from logsync_streams.topics import Topic

Form = Literal["envelopes", "records"]
# Under which id an event is stored: our event.id, or the sender's request_id for a program that makes no ids.
Identity = Literal["event", "request"]

PARTITIONS = 4
_BATCH_BYTES = 512 * 1024
_BATCH_EVENTS = 1000
_IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events made ahead, so that making them is in no measurement. now_ms: the time the doors stamped them at."""

    events: Sequence[Generated]
    seed: int
    now_ms: int

    @classmethod
    def make(cls, number: int, *, seed: int, now_ms: int) -> Traffic:
        return cls(list(events(number, seed=seed, now_ms=now_ms)), seed, now_ms)

    def with_broken(self, one_in: int) -> Traffic:
        """The same traffic, one event in so many of it broken."""
        return replace(self, events=list(with_broken(self.events, one_in=one_in)))


async def create(bootstrap: str, topics: Sequence[Topic]) -> None:
    """Create the topics. Raises RuntimeError naming those that could not be; one that exists is left as it is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
            for topic in topics
            if topic.name not in existing
        ]
        if wanted:
            answer = await admin.create_topics(wanted)
            refused = [error for error in answer.topic_errors if error[1] != 0]
            if refused:
                raise RuntimeError(f"topics could not be created: {refused}")
    finally:
        await admin.close()


async def delete(bootstrap: str, names: Sequence[str]) -> None:
    """Delete topics, so that a long benchmark does not fill the disk."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


async def put(bootstrap: str, topic: str, traffic: Traffic, form: Form, identity: Identity) -> Expected:
    """Write the traffic into the topic, spread over its partitions; returns what must come out at the other end."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=5,
        max_batch_size=_BATCH_BYTES,
        max_request_size=2 * _BATCH_BYTES,
    )
    await producer.start()
    try:
        if form == "envelopes":
            ids = await _put_envelopes(producer, topic, traffic)
        else:
            ids = await _put_records(producer, topic, traffic)
    finally:
        await producer.stop()
    if identity == "request":
        ids = [event.request_id for event in traffic.events]
    return expected(traffic.events, ids)


async def _put_envelopes(producer: AIOKafkaProducer, topic: str, traffic: Traffic) -> list[str]:
    ids: list[str] = []
    waiting: list[asyncio.Future[object]] = []
    for position, envelope in enumerate(envelopes(traffic.events, seed=traffic.seed, now_ms=traffic.now_ms)):
        value, headers = encode(envelope)
        waiting.append(await producer.send(topic, value, headers=headers, partition=position % PARTITIONS))
        ids += envelope.event_ids()
        if len(waiting) == _IN_FLIGHT:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    return ids


async def _put_records(producer: AIOKafkaProducer, topic: str, traffic: Traffic) -> list[str]:
    ids: list[str] = []
    left = list(traffic.events)
    partition = 0
    position = 0
    while position < len(left):
        batch = producer.create_batch()
        begin = position
        while position < len(left) and position - begin < _BATCH_EVENTS:
            if batch.append(key=None, value=left[position].data, timestamp=None) is None:
                break  # full
            position += 1
        batch.close()
        sent = await (await producer.send_batch(batch, topic, partition=partition))
        for i, event in enumerate(left[begin:position]):
            # LogAppendTime: the broker gives one time to the whole batch.
            record = foreign_record_id(topic, partition, sent.offset + i, sent.timestamp, event.data)
            ids.append(event_id(record, 0))
        partition = (partition + 1) % PARTITIONS
    return ids
