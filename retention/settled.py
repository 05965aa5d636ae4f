"""Which days may be closed: those that the streams have committed past, as Kafka tells it.

Read, not computed from end offsets, which the embedded broker does not report exactly: the first record that a group
has not committed says from when on it is behind, and what waits in `logs-enriched` says for which days.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from logsync_streams import enriched, topics
from logsync_streams.errors import ConfigurationError, DeadLetter, Unavailable
from logsync_streams.settings import KafkaSettings
from logsync_streams.storage.naming import parse_index
from retention.plan import day_end

_MOST_RECORDS = 2000  # a group that is further behind holds every day
_QUIET_SECONDS = 2.0  # a partition that sends nothing for so long has nothing more
# The embedded broker counts its last batch as one record: once that one was read, the others come at once, and what
# comes for longer was sent since.
_LAST_BATCH_SECONDS = 4.0
PROCESS, INDEX = "logsync-process", "logsync-index"


@dataclass
class Behind:
    """What the streams have not settled yet. process_from: receive time of the oldest raw record that is not
    committed, epoch ms, None = none. waiting: alias -> records of logs-enriched for it. index_far: more than were read.
    """

    process_from: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    index_far: bool = False

    def holds(self, aliases: Iterable[str]) -> dict[str, list[str]]:
        """alias -> why its day may not be closed yet; those that may are left out."""
        found: dict[str, list[str]] = {}
        for alias in aliases:
            name = parse_index(alias)
            reasons = []
            if name is not None and self.process_from is not None and self.process_from < day_end(name.day):
                reasons.append(f"{PROCESS} has not committed past the end of the day")
            if self.index_far:
                reasons.append(f"{INDEX} is more than {_MOST_RECORDS} records behind")
            elif alias in self.waiting:
                reasons.append(f"{INDEX} has {self.waiting[alias]} records for it still to store")
            if reasons:
                found[alias] = reasons
        return found


async def behind(kafka: KafkaSettings) -> Behind:
    """How far the streams are behind now. Raises Unavailable, ConfigurationError.

    `process` is looked at first: what it had not committed then, may be in `logs-enriched` when that is read.
    """
    found = Behind()
    try:
        for topic in kafka.raw_topics:
            async for timestamp, _, _ in _uncommitted(kafka, PROCESS, topic, heads=True):
                found.process_from = min(timestamp, found.process_from or timestamp)
        number = 0
        async for _, value, headers in _uncommitted(kafka, INDEX, topics.ENRICHED):
            number += 1
            try:
                target = enriched.decode(value, headers).target
            except DeadLetter:
                continue  # `index` will say so: it belongs to no day
            found.waiting[target] = found.waiting.get(target, 0) + 1
        found.index_far = number >= _MOST_RECORDS
    except KafkaError as error:
        where = ",".join(kafka.bootstrap)
        raise Unavailable(f"LOGSYNC_KAFKA__BOOTSTRAP: {where!r}: {str(error) or type(error).__name__}") from error
    return found


async def _uncommitted(kafka: KafkaSettings, group: str, topic: str, *, heads: bool = False):  # type: ignore[no-untyped-def]  # an async generator of aiokafka's untyped values
    """(timestamp, value, headers) of the records that a group has not committed, _MOST_RECORDS at most. heads: instead
    the first ones of each partition, however many the others have: the oldest are among them.
    """
    # The group's name is only for its offsets: partitions are assigned by hand, and nothing is committed.
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        client_id="logsync-retention",
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    try:
        await consumer.start()
        partitions = await _partitions(kafka, topic)
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        for partition in partitions:
            committed = await consumer.committed(partition)
            consumer.seek(partition, max(starts[partition], committed or 0))
        number = 0
        heard = time.monotonic()
        passed: float | None = None  # when all that was there had been read
        left = list(partitions)
        while left and (heads or number < _MOST_RECORDS):
            positions = [await consumer.position(partition) for partition in left]
            now = time.monotonic()
            if all(position >= ends[one] for position, one in zip(positions, left, strict=True)):
                passed = passed or now
                if not kafka.embedded or now - heard > _QUIET_SECONDS or now - passed > _LAST_BATCH_SECONDS:
                    return
            # One partition is given whole before the next: what has spoken is not asked again.
            for partition, records in (await consumer.getmany(*left, timeout_ms=500, max_records=500)).items():
                heard = time.monotonic()
                if heads and records:
                    left.remove(partition)
                for record in records:
                    number += 1
                    yield record.timestamp, record.value, record.headers
            if time.monotonic() - heard > 15 * _QUIET_SECONDS:
                raise KafkaError("a broker that has records does not send them")
    finally:
        await consumer.stop()


async def _partitions(kafka: KafkaSettings, topic: str) -> list[TopicPartition]:
    # Asked of the broker itself: a consumer without a subscription may know no partition yet, and "none" would mean
    # that nothing is waiting.
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            raise ConfigurationError([f"topic {topic} does not exist; run `logsync topics create`"])
        [described] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    numbers = sorted(partition["partition"] for partition in described["partitions"])
    if not numbers:
        raise Unavailable(f"the broker names no partition of {topic}")
    return [TopicPartition(topic, number) for number in numbers]
