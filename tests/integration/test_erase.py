"""`logsync erase` on Kafka and Elasticsearch: what is erased stays away, though every topic gives it out again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import aiokafka
import httpx
import orjson
from aiokafka.structs import TopicPartition

from logsync_streams.query.language import parse
from logsync_streams.settings import StoreSettings
from logsync_streams.state import FileState
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from retention.erase import Eraser
from retention.erase_find import Where
from retention.objects import MemoryObjects
from tests.index_path import Path, record
from tests.pipeline.kafka_truth import GROUPS, in_flight
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.retention import AUTH_TARGET, DUE, POLICIES, archived, archiver, documents, fill, stored_ids
from tests.servers.wiping import request
from tests.unit.test_retention_late import archive_all, drop_all

USERS, EACH = 6, 25
WHERE = 'labels.user:u3 OR "user u3"'
WITHIN_SECONDS = 60.0
TIMEOUT = {"LOGSYNC_STORE__REQUEST_TIMEOUT_SECONDS": "5"}  # so much longer an erasure waits


def logsync(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", *arguments],
        env={**pipeline.environment, **TIMEOUT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def stored_users(url: str) -> Counter[str]:
    """User -> logs, as Elasticsearch has them; whoever else found the doors open has no user."""
    request("POST", f"{url}/logsync-*/_refresh")
    status, page = request("GET", f"{url}/logsync-*/_search?size=1000&_source=labels.user")
    assert status in (200, 404), page
    hits = page["hits"]["hits"] if status == 200 else []
    users = [hit["_source"].get("labels", {}).get("user") for hit in hits]
    return Counter(user for user in users if user)


def open_letters(pipeline: Pipeline) -> int:
    done = logsync(pipeline, "dlq", "list", "--json")
    assert done.returncode == 0, done.stderr
    number: int = json.loads(done.stdout)["open"]
    return number


def send(collector: Child, bootstrap: str) -> None:
    logs = [
        {
            "message": f"log {i}",
            "service": "shop",
            "environment": "production",
            "level": level,
            "metadata": {"user": f"u{user}"},
        }
        for user in range(USERS)
        for i, level in enumerate(["INFO"] * EACH + ["DEBUG"])  # the last one is filtered
    ]
    body = "\n".join(json.dumps(log) for log in logs)
    answer = httpx.post(f"{collector.url}/api/logs", content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text

    async def poison() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            for user in ("u3", "u4"):
                await producer.send_and_wait("logs", f'{{"broken: user {user}'.encode())
        finally:
            await producer.stop()

    asyncio.run(poison())


def rewind(bootstrap: str) -> int:
    """Both groups back to the begin, as an operator's reset; how many records they get again."""

    async def run() -> int:
        number = 0
        for group, topic in GROUPS.items():
            consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
            await consumer.start()
            try:
                await consumer._client.force_metadata_update()
                partitions = [TopicPartition(topic, one) for one in consumer.partitions_for_topic(topic) or ()]
                consumer.assign(partitions)
                await consumer.commit(dict.fromkeys(partitions, 0))
                number += sum((await consumer.end_offsets(partitions)).values())
            finally:
                await consumer.stop()
        return number

    return asyncio.run(run())


def test_what_is_erased_stays_away_when_every_topic_gives_it_out_again(pipeline: Pipeline):
    url = pipeline.elasticsearch_url
    collector, worker = pipeline.collector(), pipeline.worker(**TIMEOUT)
    for child in (collector, worker):
        child.wait_until_ready()
    send(collector, pipeline.bootstrap)
    everything = Counter({f"u{user}": EACH for user in range(USERS)})
    eventually(lambda: stored_users(url) == everything, WITHIN_SECONDS, "all logs are stored")
    eventually(lambda: open_letters(pipeline) == 2, WITHIN_SECONDS, "both broken ones are dead letters")

    shown = logsync(pipeline, "erase", "--where", WHERE)
    assert (1, everything) == (shown.returncode, stored_users(url)), shown.stderr
    assert f"{EACH + 1} logs are meant" in shown.stdout
    done = logsync(pipeline, "erase", "--where", WHERE, "--yes")

    left = everything - Counter({"u3": EACH})
    assert (0, left, 1) == (done.returncode, stored_users(url), open_letters(pipeline)), done.stdout + done.stderr

    assert 0 == worker.stop(), worker.log_end()
    assert rewind(pipeline.bootstrap) > 0
    again = pipeline.worker(**TIMEOUT)
    again.wait_until_ready()
    eventually(
        lambda: again.metric("log_volume_total", service="shop") == USERS * (EACH + 1),
        WITHIN_SECONDS,
        "all is read again",
    )
    eventually(lambda: not any(in_flight(pipeline.bootstrap).values()), WITHIN_SECONDS, "all is settled again")

    assert left == stored_users(url)
    assert 1 == open_letters(pipeline)
    # logs-enriched holds each document twice now: from before, and from the second reading of `logs`.
    refused = again.metric("log_dropped_total", stage="index", reason="erased")
    assert EACH <= refused <= 2 * EACH
    assert 1 == again.metric("log_dropped_total", stage="process", reason="erased")
    filtered = again.metric("log_dropped_total", stage="filter")
    accepted = USERS * (EACH + 1) + 2
    assert accepted == left.total() + EACH + filtered + 2  # stored, erased, filtered; a dead letter, and an erased one
    assert 0 == again.stop(), again.log_end()


async def test_an_archived_day_is_erased_from_and_a_late_log_meanwhile_is_archived_in_its_turn(
    elasticsearch: Any, tmp_path: Any
):
    connection = connect(StoreSettings(elasticsearch_urls=[elasticsearch.url], replicas=0))
    store = Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))
    objects, state = MemoryObjects(), FileState(tmp_path / "state.ndjson")
    logs, (late,) = documents(300, AUTH_TARGET, "auth"), documents(1, AUTH_TARGET, "auth")
    gone = {log.id for log in logs if orjson.loads(log.body)["user"]["id"] in ("7", "42")}
    await fill(store, logs)
    one = archiver(store.admin, objects, tmp_path)
    await archive_all(one)
    path = Path(store, DUE)

    class NoLetters:
        async def find(self, takes: Any, held: Any, ids: Any) -> tuple[dict[str, Any], int]:
            return {}, 0

        async def erase(self, ids: Any) -> int:
            await path.index([record(AUTH_TARGET, late.body)])
            return 0

    async def no_wait(seconds: float) -> None:
        pass

    try:
        eraser = Eraser(
            store, lambda _: objects, POLICIES, NoLetters(), state, lambda: DUE, tmp_path, 1000, 14, 0, sleep=no_wait
        )
        receipt = await eraser.run(await eraser.find(Where(parse("user.id:7 OR user.id:42"))), "a@b", "")

        assert ({f"{AUTH_TARGET}-000001": 2}, []) == (receipt.store, receipt.problems)
        left = {log.id for log in [*logs, late]} - gone
        assert left == await stored_ids(store.admin)
        await archive_all(one)
        await drop_all(one)
        assert set() == await stored_ids(store.admin)
        assert left == archived(objects).keys()
    finally:
        await connection.close()
