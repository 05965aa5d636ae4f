"""What Kafka itself says: offsets committed, ends, dead letters. Read with plain aiokafka, none of our code."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

GROUPS = {"logsync-process": "logs", "logsync-index": "logs-enriched"}
TOPICS = ["logs", "logs-enriched", "logs-counts", "logs-dlq", "logs-state", "logsync-count-services-changelog"]


def reset(bootstrap: str) -> None:
    """Remove our topics, and with them the groups' offsets, from a broker that tests share."""
    asyncio.run(_reset(bootstrap))


async def _reset(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        ours = [name for name in await admin.list_topics() if name in TOPICS]
        if ours:
            await admin.delete_topics(ours)
        deadline = time.monotonic() + 60
        while set(await admin.list_topics()) & set(TOPICS):
            if time.monotonic() > deadline:
                raise AssertionError("Kafka did not delete our topics within 60 s")
            await asyncio.sleep(0.2)
    finally:
        await admin.close()


def in_flight(bootstrap: str) -> dict[str, int]:
    """Records between the committed offsets and the end, by group: what a kill now leaves to be done again."""
    return asyncio.run(_in_flight(bootstrap))


async def _in_flight(bootstrap: str) -> dict[str, int]:
    found = {}
    for group, topic in GROUPS.items():
        consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            ends = await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
        found[group] = sum(
            end - max(0, committed[partition].offset if partition in committed else 0)
            for partition, end in ends.items()
        )
    return found


def dead_letters(bootstrap: str) -> list[tuple[str, bytes, dict[str, str]]]:
    """(event id, bytes, headers) of every dead letter."""
    found = []
    for record in records(bootstrap, "logs-dlq"):
        headers = {name: value.decode() for name, value in record.headers}
        if "logsync-event-id" in headers:  # else it is the mark that a letter was handled
            found.append((headers["logsync-event-id"], record.value or b"", headers))
    return found


def records(bootstrap: str, topic: str) -> list[Any]:
    """Everything that a topic holds now, as aiokafka's ConsumerRecords; each partition in order."""
    return asyncio.run(_records(bootstrap, topic))


async def _records(bootstrap: str, topic: str) -> list[Any]:
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found: list[Any] = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                for fetched in (await consumer.getmany(partition, timeout_ms=500)).values():
                    found += fetched
        return found
    finally:
        await consumer.stop()
