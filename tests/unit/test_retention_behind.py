"""How far the streams are behind, when one partition alone has more than is read at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from logsync_streams.enriched import Counts, Enriched, encode
from logsync_streams.settings import KafkaSettings
from logsync_streams.storage.naming import alias_name
from retention import settled
from retention.plan import DAY_MS, day_end
from tests.contract.documents import DAY

RAW, ALIAS = "raw", alias_name("auth", DAY)
OLD, NEW = day_end(DAY) - 1, day_end(DAY) + DAY_MS


class Broker:
    """As a consumer sees it. held: each partition's timestamps; one is drained before the next, as aiokafka does."""

    def __init__(self, held):
        self.held = {TopicPartition(RAW, number): times for number, times in enumerate(held)}

    async def start(self):
        self.at = dict.fromkeys(self.held, 0)

    async def stop(self):
        self.at.clear()

    def assign(self, partitions):
        assert set(partitions) <= self.held.keys()

    async def end_offsets(self, partitions):
        return {one: len(self.held[one]) for one in partitions}

    async def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    async def committed(self, partition):
        return None

    def seek(self, partition, offset):
        self.at[partition] = offset

    async def position(self, partition):
        return self.at[partition]

    async def getmany(self, *partitions, timeout_ms, max_records):
        for one in partitions or self.held:
            start = self.at[one]
            if times := self.held[one][start : start + max_records]:
                self.at[one] += len(times)
                return {one: [SimpleNamespace(timestamp=time, value=b"", headers=()) for time in times]}
        return {}


@pytest.fixture
def raw(monkeypatch):
    """Tell what the partitions of the raw topic have; nothing waits in logs-enriched."""

    def tell(*held):
        async def partitions(kafka, topic):
            return list(broker.held) if topic == RAW else []

        broker = Broker(held)
        monkeypatch.setattr(settled, "AIOKafkaConsumer", lambda **_: broker)
        monkeypatch.setattr(settled, "_partitions", partitions)

    return tell


@pytest.mark.parametrize("newer", [0, 1, 10_000])
async def test_an_old_record_holds_its_day_however_many_newer_ones_another_partition_has(raw, newer):
    raw([NEW] * newer, [OLD], [])

    assert [ALIAS] == list((await settled.behind(KafkaSettings(raw_topics=[RAW]))).holds([ALIAS]))


async def test_newer_records_alone_hold_no_older_day_however_many_they_are(raw):
    raw([NEW] * 10_000, [NEW] * 10_000, [])

    assert {} == (await settled.behind(KafkaSettings(raw_topics=[RAW]))).holds([ALIAS])


async def test_logs_that_go_on_coming_to_the_embedded_broker_do_not_keep_the_plan_waiting(monkeypatch):
    clock = [0.0]

    class Busy(Broker):
        async def getmany(self, *partitions, timeout_ms, max_records):
            clock[0] += 0.5
            self.at = dict.fromkeys(self.at, self.at[TopicPartition(RAW, 0)] + 1)
            value, headers = encode(Enriched(ALIAS, "logs", 0, 0, 0, False, 0, 1, Counts(1), (b"{}",)))
            return {TopicPartition(RAW, 0): [SimpleNamespace(timestamp=NEW, value=value, headers=headers)]}

    async def partitions(kafka, topic):
        return [TopicPartition(RAW, 0)]

    monkeypatch.setattr(settled, "AIOKafkaConsumer", lambda **_: Busy([[NEW]]))
    monkeypatch.setattr(settled, "_partitions", partitions)
    monkeypatch.setattr(settled, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    found = await settled.behind(KafkaSettings(raw_topics=[RAW], embedded=True))

    assert not found.index_far
    assert clock[0] < 60
