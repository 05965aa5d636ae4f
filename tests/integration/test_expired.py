"""What Kafka removes before it was read is counted: on a real broker, over a restart of the worker."""

from __future__ import annotations

import asyncio

import httpx
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline

EXPIRED = "logsync_expired_unread_events_total"


def send(collector: Child, number: int) -> None:
    for i in range(number):
        answer = httpx.post(f"{collector.url}/api/logs", json={"message": f"log {i}", "service": "shop"}, timeout=20)
        assert answer.status_code == 202, answer.text


def remove_everything(bootstrap: str) -> int:
    """As the end of a topic's retention would; the number of records of `logs` ever."""

    async def run() -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            (topic,) = await admin.describe_topics(["logs"])
            numbers = [one["partition"] for one in topic["partitions"]]
            whole = {TopicPartition("logs", number): RecordsToDelete(before_offset=-1) for number in numbers}
            return sum((await admin.delete_records(whole)).values())
        finally:
            await admin.close()

    return asyncio.run(run())


def test_what_expired_while_no_worker_ran_is_counted_and_said(pipeline: Pipeline):
    collector, worker = pipeline.collector(), pipeline.worker()
    for child in (collector, worker):
        child.wait_until_ready()
    send(collector, 40)
    eventually(lambda: worker.metric("log_volume_total") == 40, 60, "all partitions to be read")
    assert 0 == worker.metric(EXPIRED)
    worker.stop()
    send(collector, 30)
    removed = remove_everything(pipeline.bootstrap)
    assert removed > 0

    again = pipeline.worker()
    again.wait_until_ready()
    eventually(lambda: again.metric(EXPIRED, group="logsync-process", topic="logs") > 0, 60, "the count")

    assert 0 < again.metric(EXPIRED) <= 30
    assert "expired before they were read" in again.log.read_text()
