"""Live tail over a broker: what is written to logs-enriched reaches a client before anything is stored."""

from __future__ import annotations

import asyncio
import json
import uuid

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from logsync_streams import enriched, kafka_topics, topics
from logsync_streams.enriched import Counts, Enriched
from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.streams.tail import feeding
from tests.browser import serving
from tests.query import TARGET, log


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("real", marks=pytest.mark.real)]
)
def settings(request: pytest.FixtureRequest) -> Settings:
    embedded = request.param == "embedded"
    bootstrap = request.getfixturevalue("embedded_broker") if embedded else request.getfixturevalue("kafka").bootstrap
    kafka = {
        "bootstrap": bootstrap,
        "replication_factor": 1,
        "min_insync_replicas": 1,
        "embedded": embedded,
    }
    return Settings(kafka=kafka)


async def broker_up(settings: Settings) -> None:
    """Wait until the topics are there."""
    async with asyncio.timeout(60):
        while True:
            try:
                await kafka_topics.create(settings)
                return
            except Unavailable:
                await asyncio.sleep(0.2)


def record(*bodies: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    return enriched.encode(
        Enriched(TARGET, "logs", 0, 0, 0, False, 0, 1, Counts(received=len(bodies)), documents=tuple(bodies))
    )


async def test_what_passes_through_kafka_reaches_a_tail_once_and_a_second_connection_goes_on(settings: Settings):
    await broker_up(settings)
    run = uuid.uuid4().hex[:8]  # other tests write to this topic, too
    hub = Hub(100)
    app = create_app(MemoryStore(), settings, hub=hub)
    documents = [log(n, message=f"run {run} {n}").body for n in range(2000, 2012)]
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap)
    await producer.start()

    async def send(*bodies: bytes) -> None:
        value, headers = record(*bodies)
        # One partition, so that they come in the order in which they are sent.
        await producer.send_and_wait(topics.ENRICHED, value, headers=headers, partition=0)

    async def sending_until(seen: list[str]) -> None:
        # The consumer begins with what comes after it has found its place: a log a moment until one arrives.
        number = 0
        while not seen:
            await send(log(3000 + number, message=f"run {run} first").body)
            number += 1
            await asyncio.sleep(0.2)

    try:
        async with (
            feeding(settings.kafka, hub),
            serving(app) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as client,
            asyncio.timeout(90),
        ):
            query = {"q": f'"run {run}"'}
            seen: list[str] = []
            last = ""
            async with client.stream("GET", "/api/logs/tail", params=query) as response:
                first = asyncio.create_task(sending_until(seen))
                async for line in response.aiter_lines():
                    if not line.startswith("data: "):
                        continue
                    message = json.loads(line.removeprefix("data: "))["message"].split()[-1]
                    seen.append(message)
                    if not first.done():
                        await first
                        await send(*documents[:6])
                        await send(*documents[:3])  # again: redelivered after a crash
                        await send(*documents[6:10])
                    if message == "2005":
                        last = json.loads(line.removeprefix("data: "))["id"]
                    if message == "2009":
                        break
            numbers = [message for message in seen if message != "first"]
            resumed: list[str] = []
            headers = {"Last-Event-ID": last}
            async with client.stream("GET", "/api/logs/tail", params=query, headers=headers) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        resumed.append(json.loads(line.removeprefix("data: "))["message"].split()[-1])
                    if len(resumed) == 4:
                        break
    finally:
        await producer.stop()

    assert numbers == [str(n) for n in range(2000, 2010)]
    assert resumed == ["2006", "2007", "2008", "2009"]
