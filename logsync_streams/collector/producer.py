"""A connection to Kafka that is kept up: made in the background, watched, and made anew when it is of no more use."""

from __future__ import annotations

import asyncio
import contextlib

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from logsync_streams.envelope import Headers
from logsync_streams.errors import Unavailable
from logsync_streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

_BATCH_BYTES = 900_000  # several envelopes a request, and below the raw topic's limit of 1 MiB even uncompressed
_PROBE_SECONDS = 2.0  # pause between two looks at the broker
_PROBE_TIMEOUT_SECONDS = 3.0
_START_TIMEOUT_SECONDS = 8.0
_STOP_GRACE_SECONDS = 1.0
_CANCEL_AGAIN_SECONDS = 2 * _STOP_GRACE_SECONDS


class Producer:
    """One topic's producer. `start` returns at once; while Kafka is away, `ready` is False and `send` refuses.

    acks=all always. Idempotent unless the broker is the embedded one or does not grant a producer id: then events
    can be written twice when an answer is lost, which their ids put right in the store.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, *, timeout_seconds: float) -> None:
        self._kafka, self._topic, self._timeout = kafka, topic, timeout_seconds
        self._idempotent = not kafka.embedded
        self._producer: AIOKafkaProducer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._broken = asyncio.Event()
        self.ready = False
        self.reason = "not connected to Kafka yet"

    async def start(self) -> None:
        """Begin to connect; and go on, whatever happens, until `close`."""
        self._keeper = asyncio.create_task(self._keep(), name="kafka-producer")

    async def send(self, key: bytes | None, value: bytes, headers: Headers) -> tuple[int, int]:
        """Partition and offset of the record, once all in-sync replicas have it.

        Raises Unavailable when Kafka refused it or cannot be reached; the record may have been written all the same.
        """
        producer = self._producer
        if producer is None or not self.ready:
            raise Unavailable(self.reason)
        try:
            written = await producer.send_and_wait(self._topic, value, key, headers=list(headers))
        except KafkaError as error:
            # A producer may be of no more use after a refusal (a gap in its sequence numbers): begin afresh.
            self._broken.set()
            raise Unavailable(f"Kafka did not take the record: {error!r}") from error
        return written.partition, written.offset

    async def close(self, timeout_seconds: float) -> None:
        """Wait at most so long for what was sent, then close the connection."""
        self.ready, self.reason = False, "this collector is stopping"
        if self._keeper is not None:
            # Once is not enough: `wait_for` of Python 3.11 swallows a cancellation that comes as what it awaits ends.
            while not self._keeper.done():
                self._keeper.cancel()
                await asyncio.wait([self._keeper], timeout=_CANCEL_AGAIN_SECONDS)
        if self._producer is not None:
            await _stop(self._producer, timeout_seconds)
            self._producer = None

    async def _keep(self) -> None:
        while True:
            producer = await self._connect()
            self._producer = producer
            self._broken.clear()
            while not self._broken.is_set():
                self._set_state(await self._probe(producer))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._broken.wait(), _PROBE_SECONDS)
            self._set_state("the connection to Kafka is being made anew")
            self._producer = None
            await _stop(producer, _STOP_GRACE_SECONDS)

    async def _connect(self) -> AIOKafkaProducer:
        pause = 0.2
        while True:
            producer = self._make()
            try:
                await asyncio.wait_for(producer.start(), _START_TIMEOUT_SECONDS)
                return producer
            except (KafkaError, OSError, TimeoutError) as error:
                await _stop(producer, _STOP_GRACE_SECONDS)
                await self._connect_failed(error)
            except asyncio.CancelledError:
                await _stop(producer, _STOP_GRACE_SECONDS)
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PROBE_SECONDS)

    async def _connect_failed(self, error: Exception) -> None:
        # No brokers at all, or brokers that grant no producer id? The same without one tells.
        if self._idempotent:
            plain = self._make(idempotent=False)
            try:
                await asyncio.wait_for(plain.start(), _START_TIMEOUT_SECONDS)
                self._idempotent = False
                log.warning("the broker grants no producer id: going on without idempotence", error=repr(error))
                return
            except (KafkaError, OSError, TimeoutError) as second:
                error = second
            finally:
                await _stop(plain, _STOP_GRACE_SECONDS)
        brokers = ",".join(self._kafka.bootstrap)
        self._set_state(f"Kafka cannot be reached at {brokers}: {str(error) or type(error).__name__}")

    def _make(self, *, idempotent: bool | None = None) -> AIOKafkaProducer:
        compression = self._kafka.compression
        return AIOKafkaProducer(
            bootstrap_servers=self._kafka.bootstrap,
            client_id="logsync-collector",
            acks="all",
            enable_idempotence=self._idempotent if idempotent is None else idempotent,
            compression_type=None if compression == "none" else compression,
            max_batch_size=_BATCH_BYTES,
            linger_ms=0,  # the envelopes have waited already
            request_timeout_ms=max(1000, int(self._timeout * 1000)),
        )

    async def _probe(self, producer: AIOKafkaProducer) -> str:
        """Why nothing can be sent now, "" when it can.

        It asks for all topics: asking for one by name would create it on a broker that creates topics by itself.
        """
        try:
            cluster = await asyncio.wait_for(producer.client.fetch_all_metadata(), _PROBE_TIMEOUT_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            return f"Kafka does not answer: {str(error) or type(error).__name__}"
        if not cluster.partitions_for_topic(self._topic):
            return f"the topic {self._topic!r} does not exist: run `logsync topics create`"
        return ""

    def _set_state(self, reason: str) -> None:
        if reason and (self.ready or reason != self.reason):
            log.warning("kafka unavailable", reason=reason)
        elif not reason and not self.ready:
            log.info("kafka connected", topic=self._topic, idempotent=self._idempotent)
        self.ready, self.reason = not reason, reason


async def _stop(producer: AIOKafkaProducer, timeout_seconds: float) -> None:
    # `stop` waits for what was sent as long as it takes; after its time the connections are closed under it.
    try:
        await asyncio.wait_for(producer.stop(), max(timeout_seconds, 0.01))
    except (KafkaError, OSError, TimeoutError) as error:
        log.debug("kafka producer stopped", error=repr(error))
        await producer.client.close()
