"""The ways in which Faust's own consumer commits past a message in flight, each with our guard and without it.

A worker holds one message of each topic, commits, is killed, and starts again. With the guard the message comes again.
Without it, it never does: should a Faust upgrade mend one of them, its test here says so, and the guard can shrink.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from deploy.servers import KafkaServer, free_port
from tests.faults.guard_scenarios import COALESCED, COMPACTED, HELD, PROBE, TRANSACTIONAL
from tests.pipeline.oracle import eventually
from tests.servers.shared import SharedServers

_ROOT = Path(__file__).parents[2]
_WITHIN_SECONDS = 120.0


@dataclass(frozen=True)
class Run:
    """What one kind of consumer did. first, second: deliveries before and after the kill, as (topic, offset).
    committed: by topic, at the kill; 0 when nothing was.
    """

    first: set[tuple[str, int]]
    committed: dict[str, int]
    second: set[tuple[str, int]]


@pytest.fixture(scope="module")
def shared_kafka(servers: SharedServers) -> KafkaServer:
    return servers.kafka()


@pytest.fixture(scope="module", params=["guarded", "stock"])
def run(request: pytest.FixtureRequest, shared_kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    bootstrap = shared_kafka.bootstrap
    asyncio.run(_fill(bootstrap))
    eventually(lambda: 8 not in offsets(bootstrap, COMPACTED), _WITHIN_SECONDS, "Kafka compacts the topic")
    with worker(request.param, bootstrap, folder / "first", hold=True) as (process, delivered):
        eventually(lambda: (COALESCED, 4) in delivered(), _WITHIN_SECONDS, "the first records are delivered")
        asyncio.run(_send(bootstrap, {COALESCED: 5}))
        eventually(lambda: (COALESCED, 9) in delivered(), _WITHIN_SECONDS, "the held records are delivered")
        asyncio.run(_send(bootstrap, {COALESCED: 1}))
        everything = {(topic, offset) for topic in HELD for offset in offsets(bootstrap, topic)}
        eventually(lambda: everything <= delivered(), _WITHIN_SECONDS, f"{request.param}: all is delivered")
        _probe(bootstrap, request.param)
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = delivered()
    at_kill = {topic: committed(bootstrap, request.param, topic) for topic in HELD}
    asyncio.run(_send(bootstrap, dict.fromkeys(HELD, 1)))  # partitions are in order: what came again came before these
    last = {(topic, max(offsets(bootstrap, topic))) for topic in HELD}
    with worker(request.param, bootstrap, folder / "second", hold=False) as (process, delivered):
        eventually(lambda: last <= delivered(), _WITHIN_SECONDS, f"{request.param}: the restart reads to the end")
        return Run(first, at_kill, delivered())


@pytest.mark.real
@pytest.mark.parametrize("topic", HELD)
def test_a_message_in_flight_at_a_kill_comes_again_with_the_guard_and_never_without(run: Run, topic, request):
    held = HELD[topic]
    guarded = request.node.callspec.params["run"] == "guarded"

    assert (topic, held) in run.first, "it was not in flight at the kill: nothing is proven"
    assert guarded == (run.committed[topic] <= held)
    assert guarded == ((topic, held) in run.second)


class worker:
    """The app of guard_app.py as a process; gives the process and what it has noted as delivered."""

    def __init__(self, consumer: str, bootstrap: str, delivered: Path, *, hold: bool) -> None:
        port = free_port()
        environment = os.environ | {
            "GUARD_CONSUMER": consumer,
            "GUARD_BOOTSTRAP": bootstrap,
            "GUARD_HOLD": str(int(hold)),
            "GUARD_DELIVERED": str(delivered),
            "GUARD_WEB_PORT": str(port),
        }
        command = [sys.executable, "-m", "faust", "--datadir", f"{delivered}.data", "-A", "tests.faults.guard_app"]
        self._delivered, self._log = delivered, delivered.with_suffix(".log")
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "worker", "--without-web", "-l", "info"],
                cwd=_ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> tuple[subprocess.Popen[bytes], Callable[[], set[tuple[str, int]]]]:
        return self._process, self._read

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> set[tuple[str, int]]:
        if self._process.poll() not in (None, -signal.SIGKILL):
            raise AssertionError(f"the worker ended:\n{self._log.read_text(errors='replace')[-4000:]}")
        lines = self._delivered.read_text().split("\n")[:-1] if self._delivered.exists() else []
        return {(topic, int(offset)) for topic, _, offset in (line.partition(" ") for line in lines)}


def _probe(bootstrap: str, consumer: str) -> None:
    """Return when a commit was made after now: what a consumer would commit of the other topics, it has."""
    asyncio.run(_send(bootstrap, {PROBE: 1}))
    end = max(offsets(bootstrap, PROBE)) + 1
    eventually(lambda: committed(bootstrap, consumer, PROBE) == end, _WITHIN_SECONDS, f"{consumer} commits")


async def _fill(bootstrap: str) -> None:
    names = [*HELD, PROBE]
    compacted = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001"}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if there := set(names) & set(await admin.list_topics()):
            await admin.delete_topics(list(there))
            while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110  # Kafka has no event for it
                await asyncio.sleep(0.1)
        made = [NewTopic(name, 1, 1, topic_configs=compacted if name == COMPACTED else {}) for name in names]
        for _, code, *_ in (await admin.create_topics(made)).topic_errors:
            assert code == 0
    finally:
        await admin.close()
    await _send(bootstrap, {name: 10 for name in names if name not in (COMPACTED, TRANSACTIONAL, COALESCED)})
    await _send(bootstrap, {COALESCED: 5})
    await _fill_transactional(bootstrap)
    await _fill_compacted(bootstrap)


async def _send(bootstrap: str, numbers: dict[str, int]) -> None:
    # What is sent within the linger travels as one batch, and is fetched as one.
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=100) as producer:
        for topic, number in numbers.items():
            for _ in range(number):
                await producer.send(topic, b"x", key=None if topic != COMPACTED else os.urandom(8), partition=0)


async def _fill_transactional(bootstrap: str) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="guard") as producer:
        for _ in range(2):  # offsets 0-4, the marker at 5; 6-10, the marker at 11
            async with producer.transaction():
                for _ in range(5):
                    await producer.send_and_wait(TRANSACTIONAL, b"x", partition=0)


async def _fill_compacted(bootstrap: str) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for offset in range(10):  # of 5-9 only the last is kept
            await producer.send_and_wait(COMPACTED, b"x", key=b"same" if offset >= 5 else b"%d" % offset, partition=0)
        for offset in range(10, 13):
            await asyncio.sleep(0.3)  # past segment.ms, so that this one begins a segment and the one before is closed
            await producer.send_and_wait(COMPACTED, b"x", key=b"%d" % offset, partition=0)


def offsets(bootstrap: str, topic: str) -> list[int]:
    """The offsets that a topic holds."""
    return asyncio.run(_offsets(bootstrap, topic))


async def _offsets(bootstrap: str, topic: str) -> list[int]:
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        found = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record.offset for record in records]
        return found
    finally:
        await consumer.stop()


def committed(bootstrap: str, consumer: str, topic: str) -> int:
    """What the group of this kind of consumer has committed; 0 when nothing."""
    return asyncio.run(_committed(bootstrap, f"guard-{consumer}", topic))


async def _committed(bootstrap: str, group: str, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = (await admin.list_consumer_group_offsets(group)).get(TopicPartition(topic, 0))
    finally:
        await admin.close()
    return max(0, found.offset) if found else 0
