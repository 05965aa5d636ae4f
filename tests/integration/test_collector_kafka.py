"""The collector with a broker: what it acknowledged is in the raw topic, once an id."""

import asyncio
import contextlib
import socket

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from logsync_streams import envelope as wire
from logsync_streams import kafka_topics
from logsync_streams.collector.server import serve
from logsync_streams.settings import Settings

TOPIC = "logs-collector-test"


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("real", marks=pytest.mark.real)]
)
def settings(request):
    embedded = request.param == "embedded"
    bootstrap = request.getfixturevalue("embedded_broker") if embedded else request.getfixturevalue("kafka").bootstrap
    return Settings(
        kafka={
            "bootstrap": bootstrap,
            "raw_topics": TOPIC,
            "replication_factor": 1,
            "min_insync_replicas": 1,
            "embedded": embedded,
        },
        collector={"http_port": free_port(), "syslog_udp_port": free_port(socket.SOCK_DGRAM), "forward_port": 0},
    )


@contextlib.asynccontextmanager
async def collector(settings):
    """A client of a running collector, and a task that has its exit code after `stop`."""
    stop = asyncio.Event()
    running = asyncio.create_task(serve(settings, stop=stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.collector.http_port}", timeout=30) as client:
        try:
            yield client, stop, running
        finally:
            stop.set()
            await running


async def until_status(client, path, wanted):
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(path)).status_code == wanted:
                    return
            await asyncio.sleep(0.1)


async def raw_topic(settings):
    """Each event's bytes by its id, of every record in the raw topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        # How many records there are is known by what a collector says, not by end offsets: not all brokers tell.
        consumer.assign([TopicPartition(TOPIC, partition) for partition in range(settings.kafka.partitions)])
        found: dict[str, bytes] = {}
        quiet = 0
        while quiet < 5:
            fetched = await consumer.getmany(timeout_ms=500)
            quiet = 0 if fetched else quiet + 1
            for records in fetched.values():
                for r in records:
                    raw = wire.RawRecord(r.topic, r.partition, r.offset, r.timestamp, r.value, r.headers)
                    decoded = wire.decode(raw)
                    found.update(zip(decoded.ids, decoded.events, strict=True))
        return found
    finally:
        await consumer.stop()


async def test_what_was_acknowledged_is_in_the_raw_topic_once_an_id(settings):
    async with collector(settings) as (client, stop, running):
        await until_status(client, "/readyz", 503)  # no topic yet, and none is made by asking
        assert 503 == (await client.post("/api/logs", content=b"{}")).status_code
        await kafka_topics.create(settings)
        await until_status(client, "/readyz", 200)

        before = len(await raw_topic(settings))
        lines = [b'{"n":%d}' % n for n in range(1200)]
        plain = await client.post("/api/logs", content=b"\n".join(lines))
        for _ in range(2):
            keyed = await client.post("/api/logs", content=b'{"n":"keyed"}', headers={"idempotency-key": "once"})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for n in range(20):
                sender.sendto(b"<13>1 - host app - - - %d" % n, ("127.0.0.1", settings.collector.syslog_udp_port))
        stop.set()  # what is still on its way is handed over
        code = await running

    events = await raw_topic(settings)
    assert (202, 202, 0) == (plain.status_code, keyed.status_code, code)
    assert before + 1200 + 1 + 20 == len(events)
    assert {*lines, b'{"n":"keyed"}'} <= set(events.values())
