"""F13-F17: records that cannot be read, fields that contradict each other, and the same events again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import aiokafka
import httpx
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from agents.aside import MOVED_TAG
from deploy.servers import ElasticsearchServer
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.kafka_truth import GROUPS, dead_letters, in_flight
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Pipeline
from tests.servers.wiping import request

DISTINCT_KEYS = 5000
MAPPED_FIELDS = 1000  # Elasticsearch's own limit
AGAIN_SECONDS = 120.0


def test_f13_a_field_that_does_not_fit_the_mapping_is_moved_aside_and_the_log_is_stored(
    pipeline: Pipeline, elasticsearch: ElasticsearchServer, oracle: Oracle
):
    scene = Scene("F13 1 % of fields against the mapping", pipeline, oracle)
    # What an operator's own template says; ours alone makes no number of a text.
    own = {"template": {"mappings": {"properties": {"user": {"properties": {"id": {"type": "long"}}}}}}}
    assert request("PUT", f"{elasticsearch.url}/_component_template/logsync-custom", own)[0] == 200
    misfits = 0

    with scene:
        for _ in range(10):
            numbers, events = oracle.events(500)
            for number, event in zip(numbers, events, strict=True):
                misfit = number % 100 == 0
                event["user"] = {"id": f"u-{number}" if misfit else str(number)}
                misfits += misfit and number not in oracle.to_be_filtered
            post(scene, numbers, events)
    verdict = scene.settle(misfits=misfits)

    assert_kept(verdict)
    assert verdict.dead == 0
    assert misfits > 0
    flagged = {"query": {"term": {"tags": MOVED_TAG}}}
    status, found = request("POST", f"{elasticsearch.url}/logsync-*/_count", flagged)
    assert (200, misfits) == (status, found["count"])
    # The others feel nothing: each misfit was written once more, at once; none waited for a retry, or with the others.
    assert misfits == scene.worker.metric("logsync_moved_fields_events_total")
    for refusal in ("mapper_parsing_exception", "document_parsing_exception"):
        assert 0 == scene.worker.metric("logsync_index_retried_events_total", reason=refusal)


def test_f14_five_thousand_distinct_keys_do_not_grow_the_mapping(
    pipeline: Pipeline, elasticsearch: ElasticsearchServer, oracle: Oracle
):
    scene = Scene(f"F14 {DISTINCT_KEYS} distinct keys", pipeline, oracle)

    with scene:
        numbers, events = oracle.events(DISTINCT_KEYS // 10)
        for number, event in zip(numbers, events, strict=True):
            keys = {f"key_{number}_{at}": at if number % 2 else {"nested": [at, str(at)]} for at in range(10)}
            event["metadata"] = {"number": number, **keys}
        post(scene, numbers, events)
    verdict = scene.settle()
    fields = mapped_fields(elasticsearch)
    print(f"F14: {fields} fields in the mapping")

    assert_kept(verdict)
    assert verdict.dead == 0
    assert 0 < fields <= MAPPED_FIELDS


def test_f15_poison_in_the_raw_topic_is_passed_by(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("F15 poison records", pipeline, oracle)
    deep = b"[" * 400_000 + b"]" * 400_000
    envelope = [("logsync-envelope", b"9"), ("logsync-id", b"\xff"), ("logsync-received-at", b"yesterday")]
    poison: list[tuple[bytes | None, Sequence[tuple[str, bytes]]]] = [
        (None, ()),  # a tombstone
        (b"", ()),
        (b'{"message": "cut', ()),
        (b"\x00\xff\xfe" * 1000, ()),
        (deep, ()),
        (b"\x00", envelope),
        (b'{"message": ["not", {"a": "text"}], "timestamp": {"a": [1]}, "level": 7, "service": [null]}', ()),
        (json.dumps({"message": "m", "a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {}}}}}}}}}}).encode(), ()),
    ]

    with scene:
        for _ in range(3):
            produce(pipeline.bootstrap, poison)
            scene.acknowledge(1000)
        eventually(lambda: in_flight(pipeline.bootstrap)["logsync-process"] < 100, 60, "the poison is passed")
    verdict = scene.settle(dead_letters=len(dead_letters(pipeline.bootstrap)))

    assert_kept(verdict)
    assert scene.worker.alive
    eventually(lambda: in_flight(pipeline.bootstrap)["logsync-process"] == 0, 60, "every offset is passed")
    categories = {headers["logsync-category"] for _, _, headers in dead_letters(pipeline.bootstrap)}
    assert {"undecodable"} == categories
    # The tombstone, the empty one, the cut, the deep one and the envelope of no known form; the rest is text or fits.
    assert 3 * 5 == len(dead_letters(pipeline.bootstrap))


def test_f16_a_group_set_back_to_the_start_twice_stores_nothing_again_nor_in_the_next_index(
    pipeline: Pipeline, elasticsearch: ElasticsearchServer, oracle: Oracle
):
    scene = Scene("F16 offsets reset twice, over the boundary of an index", pipeline, oracle)
    replayed = []

    with scene:
        scene.acknowledge(2500)
        eventually(lambda: len(generations(elasticsearch)) == 1, AGAIN_SECONDS, "there is an index to block")
        [first_index] = generations(elasticsearch)
        status, _ = request("PUT", f"{elasticsearch.url}/{first_index}/_block/write")  # as our archive does
        assert status == 200
        scene.acknowledge(2500)
    first = scene.settle()
    before = generations(elasticsearch)
    assert [f"{first_index[:-1]}{number}" for number in (1, 2)] == sorted(before)
    assert all(before.values()), "one of the two has nothing: no boundary was crossed"
    assert_kept(first)
    for _ in range(2):
        eventually(lambda: not any(in_flight(pipeline.bootstrap).values()), AGAIN_SECONDS, "all is committed")
        assert scene.worker.stop() == 0
        set_back(pipeline.bootstrap, "logsync-index")
        worker = scene.add_worker()
        expected = first.stored + first.dead
        eventually(
            lambda worker=worker, expected=expected: (  # type: ignore[misc]  # defaults of a lambda
                worker.metric("logsync_duplicate_events_total") >= expected
            ),
            AGAIN_SECONDS,
            "everything came again",
        )
        eventually(lambda: not any(in_flight(pipeline.bootstrap).values()), AGAIN_SECONDS, "all is committed again")
        replayed.append(worker.metric("logsync_duplicate_events_total"))
    assert scene.worker.stop() == 0
    set_back(pipeline.bootstrap, "logsync-process")  # and once from the very beginning
    worker = scene.add_worker()
    eventually(lambda: worker.metric("logsync_duplicate_events_total") >= first.stored, AGAIN_SECONDS, "all came again")
    verdict = scene.settle(duplicates_recognised=replayed, documents=before)

    assert_kept(verdict)
    assert str(first) == str(verdict)
    assert before == generations(elasticsearch)
    assert [first.stored, first.stored] == replayed


def test_f17_a_request_sent_five_times_with_one_key_is_stored_once(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("F17 Idempotency-Key ×5", pipeline, oracle)

    with scene:
        for key in range(5):
            numbers, events = oracle.events(50)
            for _ in range(5):
                post(scene, numbers, events, {"idempotency-key": f"key-{key}"})
        scene.acknowledge(1000)
    eventually(lambda: not any(in_flight(pipeline.bootstrap).values()), AGAIN_SECONDS, "all is committed")
    verdict = scene.settle(recognised=scene.worker.metric("logsync_duplicate_events_total"))

    assert_kept(verdict)
    assert scene.worker.metric("logsync_duplicate_events_total") > 0


def post(
    scene: Scene, numbers: list[int], events: list[dict[str, object]], headers: dict[str, str] | None = None
) -> None:
    """One request that must be accepted."""
    body = "\n".join(json.dumps(event) for event in events)
    kind = {"content-type": "application/x-ndjson"}
    answer = httpx.post(f"{scene.collector.url}/api/logs", content=body, headers=kind | (headers or {}), timeout=30)
    assert answer.status_code == 202, answer.text
    scene.oracle.acknowledged.update(numbers)


def produce(bootstrap: str, records: Sequence[tuple[bytes | None, Sequence[tuple[str, bytes]]]]) -> None:
    """As any Kafka producer would."""

    async def run() -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for value, headers in records:
                key = b"tombstone" if value is None else None
                await producer.send_and_wait("logs", value, key=key, headers=list(headers))

    asyncio.run(run())


def set_back(bootstrap: str, group: str) -> None:
    """Commit the start of each partition for a group without members."""

    async def run() -> None:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(GROUPS[group], number) for number in range(4)]
            consumer.assign(partitions)
            starts = await consumer.beginning_offsets(partitions)
            await consumer.commit({partition: OffsetAndMetadata(starts[partition], "") for partition in partitions})
        finally:
            await consumer.stop()

    asyncio.run(run())


def generations(elasticsearch: ElasticsearchServer) -> dict[str, int]:
    """The documents of each of our indices, once they are visible."""
    request("POST", f"{elasticsearch.url}/logsync-*/_refresh")
    status, rows = request("GET", f"{elasticsearch.url}/_cat/indices/logsync-*?h=index,docs.count&format=json")
    assert status == 200
    found: list[dict[str, str]] = list(rows)  # type: ignore[arg-type]  # a list here, `request` promises an object
    return {row["index"]: int(row["docs.count"]) for row in found}


def mapped_fields(elasticsearch: ElasticsearchServer) -> int:
    """Fields in the largest mapping of our indices, objects and multi-fields counted as Elasticsearch does."""
    status, found = request("GET", f"{elasticsearch.url}/logsync-*/_mapping")
    assert status == 200
    mappings: list[Any] = [index["mappings"] for index in found.values()]
    return max(map(_count, mappings), default=0)


def _count(node: Any) -> int:
    return sum(1 + _count(child) for group in ("properties", "fields") for child in (node.get(group) or {}).values())
