"""What feeds live tail: `logs-enriched` from now on, in every process that serves it; no group, no commits.

It reads only while somebody listens, and a little longer, so that a client whose connection broke finds its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol

import aiokafka
from aiokafka.errors import KafkaError

from logsync_streams import enriched, topics
from logsync_streams.errors import DeadLetter
from logsync_streams.settings import KafkaSettings

log = logging.getLogger(__name__)

_LINGER_SECONDS = 60.0
_RETRY_SECONDS = 2.0
_MAX_RECORDS = 50  # at a time: a record has up to some hundred logs
_MAX_BEHIND_RECORDS = 2000  # then a tail shows what happens now, and says what it left out
_PARTITION_BYTES = 1024 * 1024


class Listeners(Protocol):
    """What is fed: the hub of the query API."""

    wanted: asyncio.Event

    def publish(self, bodies: Iterable[bytes]) -> None: ...

    def behind(self, records: int) -> None:
        """So many records were left out."""
        ...

    def forget(self) -> None: ...


@contextlib.asynccontextmanager
async def feeding(kafka: KafkaSettings, hub: Listeners) -> AsyncIterator[None]:
    """Feed the hub for the time of the `async with`."""
    task = asyncio.create_task(TailFeed(kafka, hub).run(), name="live-tail")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class TailFeed:
    """Feeds the listeners while `run` runs. sleep: for tests."""

    def __init__(
        self, kafka: KafkaSettings, hub: Listeners, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._kafka, self._hub, self._sleep = kafka, hub, sleep

    async def run(self) -> None:
        """For ever; begins again from what then comes when Kafka was away."""
        while True:
            await self._hub.wanted.wait()
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                log.warning("live tail: reading logs-enriched failed, trying again: %r", error)
                self._hub.behind(0)
                await self._sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            topics.ENRICHED,  # without a group: all partitions are ours
            bootstrap_servers=self._kafka.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            max_partition_fetch_bytes=_PARTITION_BYTES,
        )
        loop = asyncio.get_running_loop()
        try:
            await consumer.start()
            unwanted_since: float | None = None
            while True:
                fetched = await consumer.getmany(timeout_ms=200, max_records=_MAX_RECORDS)
                for records in fetched.values():
                    for record in records:
                        self._hub.publish(_documents(record))
                        await asyncio.sleep(0)  # a record of hundreds of logs must not be two before others have a turn
                await self._keep_up(consumer)
                if self._hub.wanted.is_set():
                    unwanted_since = None
                elif unwanted_since is None:
                    unwanted_since = loop.time()
                elif loop.time() - unwanted_since > _LINGER_SECONDS:
                    self._hub.forget()
                    return
        finally:
            await consumer.stop()

    async def _keep_up(self, consumer: Any) -> None:
        behind = 0
        for partition in consumer.assignment():
            end = consumer.highwater(partition)
            if end is not None:
                behind += max(0, end - await consumer.position(partition))
        if behind > _MAX_BEHIND_RECORDS:
            await consumer.seek_to_end()
            self._hub.behind(behind)


def _documents(record: Any) -> tuple[bytes, ...]:
    try:
        return enriched.decode(record.value, list(record.headers)).documents
    except DeadLetter:
        return ()  # `index` reports it
