"""The whole path on Apache Kafka and Elasticsearch: three doors in, found by search, and the identity of DESIGN §5."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial
from typing import Any

import aiokafka
import httpx

from tests.pipeline.kafka_truth import dead_letters
from tests.pipeline.oracle import SERVICES, Load, Oracle, eventually
from tests.pipeline.processes import Child, Pipeline

FOUND_SECONDS = 30.0


def search(query: Child, text: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{query.url}/api/logs/search", params={"q": text}, timeout=20)
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, Any]] = answer.json()["hits"]
    return hits


def found_once(query: Child, text: str) -> bool:
    return len(search(query, text)) == 1


def produce(bootstrap: str, *values: bytes | None) -> None:
    """As any Kafka producer would, with none of our headers."""

    async def run() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait("logs", value, key=None if value else b"tombstone")
        finally:
            await producer.stop()

    asyncio.run(run())


def test_logs_of_three_doors_are_found_and_nothing_is_unaccounted(pipeline: Pipeline, oracle: Oracle):
    collector, worker, query = pipeline.collector(), pipeline.worker(), pipeline.query()
    for child in (collector, worker, query):
        child.wait_until_ready()
    boom = {"service": "auth-service", "level": "ERROR", "message": "boom httpdoor"}

    answer = httpx.post(f"{collector.url}/api/logs", json=boom, timeout=20)
    assert answer.status_code == 202, answer.text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"<11>Nov 24 22:00:00 web-1 sshd[42]: syslogdoor failed", ("127.0.0.1", pipeline.syslog_port))
        udp.sendto(b"no syslog at all, unparseddoor", ("127.0.0.1", pipeline.syslog_port))
    produce(
        pipeline.bootstrap,
        json.dumps({"message": "kafkadoor says hello", "service": "shop"}).encode(),
        b"plainline of a legacy producer",
        b'{"poison',
        None,
    )

    for word in ("httpdoor", "syslogdoor", "unparseddoor", "kafkadoor", "plainline"):
        eventually(partial(found_once, query, word), FOUND_SECONDS, f"{word} is found once")
    [hit] = search(query, "httpdoor")
    assert ("auth-service", "error") == (hit["service"]["name"], hit["log"]["level"])
    [hit] = search(query, "syslogdoor")
    assert ("error", "web-1", "sshd") == (hit["log"]["level"], hit["host"]["name"], hit["log"]["syslog"]["appname"])
    [hit] = search(query, "unparseddoor")
    assert ["unparsed"] == hit["tags"]
    assert "syslog" not in hit.get("log", {})
    eventually(
        lambda: len(dead_letters(pipeline.bootstrap)) == 2, FOUND_SECONDS, "both poison records are dead letters"
    )
    assert ["undecodable"] * 2 == [headers["logsync-category"] for _, _, headers in dead_letters(pipeline.bootstrap)]

    with Load(oracle, collector.url, events_per_second=1000):
        eventually(lambda: len(oracle.acknowledged) >= 5000, 60, "5,000 events are acknowledged")
    verdict = oracle.settled(pipeline.elasticsearch_url, pipeline.bootstrap, 60)
    print(f"real path: {verdict}")
    assert (0, 0, 0) == (verdict.missing, verdict.twice, verdict.spurious)
    assert verdict.identity_holds

    rates = httpx.get(f"{query.url}/api/error-rates", timeout=20).json()
    counted = {row["service"]: row["windows"]["1h"]["events"] for row in rates["services"]}
    by_hand = 2  # "boom" of auth-service and the Kafka producer's of shop
    assert len(oracle.acknowledged) + by_hand == sum(counted[service] for service in SERVICES)
    assert worker.status()["process"]["received_events"] == len(oracle.acknowledged) + 7
    for child in (collector, worker, query):
        assert 0 == child.stop(), child.log_end()


def test_a_store_that_is_down_stops_neither_filtering_nor_counting(pipeline, oracle, elasticsearch):
    collector, worker = pipeline.collector(), pipeline.worker()
    collector.wait_until_ready()
    worker.wait_until_ready()
    elasticsearch.pause()
    try:
        with Load(oracle, collector.url, events_per_second=1000):
            eventually(lambda: len(oracle.acknowledged) >= 3000, 60, "3,000 events are acknowledged")
        acknowledged = len(oracle.acknowledged)
        eventually(
            lambda: worker.status()["process"]["received_events"] >= acknowledged, 60, "process has taken them all"
        )

        def counted() -> int:
            rows = httpx.get(f"{worker.url}/rates", timeout=10).json()["services"]
            return sum(row["windows"]["1h"]["events"] for row in rows)

        eventually(lambda: counted() == acknowledged, 60, "the error rates know them all")
        assert worker.status()["index"]["settled_events"] < acknowledged
    finally:
        elasticsearch.resume()
    verdict = oracle.settled(pipeline.elasticsearch_url, pipeline.bootstrap, 90)

    assert (0, 0) == (verdict.missing, verdict.twice)
