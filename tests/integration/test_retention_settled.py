"""Which days may be closed, as real Kafka and the embedded broker tell it."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from logsync_streams import topics
from logsync_streams.enriched import Counts, Enriched, encode
from logsync_streams.settings import KafkaSettings
from logsync_streams.storage.naming import alias_name
from retention import settled

TODAY = datetime.now(UTC).date()
ALIAS, OTHER = alias_name("auth", TODAY), alias_name("default", TODAY)
DAY = 86_400_000


@asynccontextmanager
async def streams_on(bootstrap, monkeypatch, **settings):
    """Topics and groups of this test alone; (settings, producer, commit)."""
    own = uuid.uuid4().hex[:8]
    raw, documents = f"raw-{own}", f"enriched-{own}"
    monkeypatch.setattr(topics, "ENRICHED", documents)
    monkeypatch.setattr(settled, "PROCESS", f"process-{own}")
    monkeypatch.setattr(settled, "INDEX", f"index-{own}")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    config = {"message.timestamp.type": "LogAppendTime"}
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=config) for name in (raw, documents)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()

    async def commit(group, topic, partition, offset):
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        consumer.assign([TopicPartition(topic, partition)])
        await consumer.commit({TopicPartition(topic, partition): offset})
        await consumer.stop()

    yield KafkaSettings(bootstrap=[bootstrap], raw_topics=[raw], **settings), producer, commit
    await producer.stop()


@pytest.fixture
async def streams(kafka, monkeypatch):
    async with streams_on(kafka.bootstrap, monkeypatch) as made:
        yield made


async def test_a_day_is_held_until_both_groups_have_committed_past_it(streams):
    kafka, producer, commit = streams
    raw = kafka.raw_topics[0]

    assert {} == (await settled.behind(kafka)).holds([ALIAS])

    await producer.send_and_wait(raw, b"a log", partition=1)
    held = (await settled.behind(kafka)).holds([ALIAS, alias_name("auth", datetime.fromtimestamp(0, UTC).date())])

    assert {ALIAS: [f"{settled.PROCESS} has not committed past the end of the day"]} == held

    await commit(settled.PROCESS, raw, 1, 1)
    value, headers = encode(Enriched(ALIAS, raw, 1, 0, 0, False, 0, 1, Counts(1), (b"{}",)))
    await producer.send_and_wait(topics.ENRICHED, value, partition=0, headers=headers)
    held = (await settled.behind(kafka)).holds([ALIAS, OTHER])

    assert {ALIAS: [f"{settled.INDEX} has 1 records for it still to store"]} == held

    await commit(settled.INDEX, topics.ENRICHED, 0, 1)

    assert {} == (await settled.behind(kafka)).holds([ALIAS, OTHER])
