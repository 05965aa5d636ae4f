"""Events of the doors -> envelopes -> Kafka, with a bound on what waits and an account of what was acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from logsync_streams import envelope as wire
from logsync_streams import metrics
from logsync_streams.collector.producer import Producer
from logsync_streams.collector.publisher import EVENT_OVERHEAD_BYTES, Clock, Sender, Status, envelopes
from logsync_streams.envelope import Envelope, Headers
from logsync_streams.errors import Unavailable
from logsync_streams.events import uuid7_hex
from logsync_streams.settings import Settings

log = structlog.get_logger(__name__)

# What an event costs in memory beside its bytes, so that many tiny ones are bounded as well.
_MEMORY_OVERHEAD_BYTES = 64
_HAND_OVER_SHARE = 0.8  # of the time to stop; the rest is for closing the connections
_RETRY_FIRST_SECONDS = 0.2
_RETRY_LONGEST_SECONDS = 2.0


class Link(Protocol):
    """What is needed of `Producer`."""

    ready: bool
    reason: str

    async def start(self) -> None: ...

    async def send(self, key: bytes | None, value: bytes, headers: Headers) -> tuple[int, int]: ...

    async def close(self, timeout_seconds: float) -> None: ...


class _Batch:
    """One envelope in the making or on its way. `done` gets None or the reason why nobody knows that it arrived.

    kept: some of its events were offered, so it is sent until Kafka has it.
    """

    __slots__ = ("done", "events", "id", "kept", "received_at", "sender", "size", "timer")

    def __init__(self, sender: Sender, id: str, received_at: int, done: asyncio.Future[str | None]) -> None:
        self.sender, self.id, self.received_at, self.done = sender, id, received_at, done
        self.events: list[bytes] = []
        self.size = 0
        self.kept = False
        self.timer: asyncio.TimerHandle | None = None

    def answer(self, failure: str | None) -> None:
        """What those who wait for it get; the first answer stands."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if not self.done.done():
            self.done.set_result(failure)


class KafkaPublisher:
    """The Publisher on a raw topic (the first of `kafka.raw_topics`).

    Events of one sender that come within `kafka.linger_ms` share an envelope, whose record key is the sender's
    address (a keyed request's: its key). An offered event is sent until it is acknowledged, always in the same
    envelope, so that a lost answer doubles nothing; a published one is given up when its sender has been told so.
    """

    def __init__(self, settings: Settings, clock: Clock, *, link: Link | None = None) -> None:
        self._topic = settings.kafka.raw_topics[0]
        self._timeout = settings.collector.publish_timeout_seconds
        self._linger = settings.kafka.linger_ms / 1000
        self._max_waiting_bytes = settings.collector.max_waiting_bytes
        self._clock = clock
        self._link: Link = link or Producer(settings.kafka, self._topic, timeout_seconds=self._timeout)
        self._open: dict[Sender, _Batch] = {}
        self._flush_handle: asyncio.TimerHandle | None = None
        self._deliveries: dict[asyncio.Task[None], _Batch] = {}
        self._waiting_bytes = self._waiting_events = self._accepted = self._dropped = 0
        self._highest: dict[int, int] = {}
        metrics.waiting_bytes.set_function(lambda: self._waiting_bytes)

    async def start(self) -> None:
        await self._link.start()

    async def publish(self, sender: Sender, events: Sequence[bytes], *, key: str = "") -> list[str]:
        if not self._link.ready:
            raise Unavailable(self._link.reason)
        self._admit(sum(map(len, events)), len(events))
        batches = self._keyed(sender, events, key) if key else self._join(sender, events)
        if not batches:
            return []
        for batch in batches:
            # Shielded: others wait for the same future, and one who gives up must not take it from them.
            failure = await asyncio.shield(batch.done)
            if failure is not None:
                raise Unavailable(failure)
        return [batch.id for batch in batches]

    def offer(self, sender: Sender, event: bytes) -> None:
        self._admit(len(event), 1)
        batch = self._open.get(sender)
        size = len(event) + EVENT_OVERHEAD_BYTES
        if batch is not None and len(batch.events) < wire.MAX_EVENTS - 1 and batch.size + size <= wire.MAX_BYTES:
            # What `_join` does for nearly every event of a busy sender, without its loop.
            batch.events.append(event)
            batch.size += size
            batch.kept = True
            return
        for batch in self._join(sender, (event,)):
            batch.kept = True

    def unavailable(self) -> str:
        return "" if self._link.ready else self._link.reason

    def status(self) -> Status:
        return Status(self._accepted, {self._topic: dict(self._highest)}, self._waiting_events, self._dropped)

    async def stop(self, timeout_seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        self._flush()
        if self._deliveries:
            await asyncio.wait(list(self._deliveries), timeout=timeout_seconds * _HAND_OVER_SHARE)
        left = list(self._deliveries.items())
        for task, _ in left:
            task.cancel()
        if left:
            await asyncio.wait([task for task, _ in left])
        lost = sum(len(batch.events) for _, batch in left if batch.kept)
        if lost:
            self._dropped += lost
            metrics.dropped.labels("collector", "stopped").inc(lost)
            log.error("events lost: Kafka did not take them before the stop", events=lost)
        await self._link.close(max(0.0, deadline - asyncio.get_running_loop().time()))

    # ------------------------------------------------------------------------------------------------ from here inside

    def _admit(self, size: int, count: int) -> None:
        size += count * _MEMORY_OVERHEAD_BYTES
        # One request is let in when nothing waits, however large: it is bounded already, by the door.
        if self._waiting_bytes and self._waiting_bytes + size > self._max_waiting_bytes:
            raise Unavailable(f"{self._waiting_bytes} bytes wait for Kafka already, at most {self._max_waiting_bytes}")
        self._waiting_bytes += size
        self._waiting_events += count

    def _join(self, sender: Sender, events: Sequence[bytes]) -> list[_Batch]:
        """Put events into the sender's open envelope, and into new ones as each is full."""
        batch = self._open.get(sender)
        touched: list[_Batch] = []
        for data in events:
            cost = len(data) + EVENT_OVERHEAD_BYTES
            if batch is not None and (len(batch.events) >= wire.MAX_EVENTS or batch.size + cost > wire.MAX_BYTES):
                self._dispatch(batch)
                batch = None
            if batch is None:
                batch = self._open_batch(sender)
            if not touched or touched[-1] is not batch:
                touched.append(batch)
            batch.events.append(data)
            batch.size += cost
        if batch is not None and len(batch.events) >= wire.MAX_EVENTS:
            self._dispatch(batch)
        return touched

    def _keyed(self, sender: Sender, events: Sequence[bytes], key: str) -> list[_Batch]:
        """Envelopes of their own, on their way at once."""
        batches = []
        for envelope in envelopes(sender, events, received_at=self._clock(), key=key):
            batch = _Batch(sender, envelope.id, envelope.received_at, asyncio.get_running_loop().create_future())
            batch.events = list(envelope.events)
            self._give_up_later(batch)
            batches.append(batch)
            self._deliver_soon(batch, envelope)
        return batches

    def _open_batch(self, sender: Sender) -> _Batch:
        loop = asyncio.get_running_loop()
        now = self._clock()
        batch = self._open[sender] = _Batch(sender, uuid7_hex(now), now, loop.create_future())
        self._give_up_later(batch)
        if self._flush_handle is None:
            self._flush_handle = loop.call_later(self._linger, self._flush)
        return batch

    def _give_up_later(self, batch: _Batch) -> None:
        """Answer those who wait for the batch when Kafka does not; one timer for all of them."""
        why = f"no answer from Kafka in {self._timeout:g} s"
        batch.timer = asyncio.get_running_loop().call_later(self._timeout, batch.answer, why)

    def _flush(self) -> None:
        self._flush_handle = None
        for batch in list(self._open.values()):
            self._dispatch(batch)

    def _dispatch(self, batch: _Batch) -> None:
        del self._open[batch.sender]
        source, format_, peer = batch.sender
        self._deliver_soon(
            batch, Envelope(batch.id, batch.received_at, source, format_, peer, events=tuple(batch.events))
        )

    def _deliver_soon(self, batch: _Batch, envelope: Envelope) -> None:
        task = asyncio.create_task(self._deliver(batch, envelope))
        self._deliveries[task] = batch
        task.add_done_callback(self._deliveries.pop)

    async def _deliver(self, batch: _Batch, envelope: Envelope) -> None:
        value, headers = wire.encode(envelope)
        # A retry of a keyed request goes behind its first try, wherever it comes from: `index` looks for that in
        # yesterday's index only (DESIGN §4, Identity).
        key = (envelope.key or envelope.peer).encode() or None
        pause = _RETRY_FIRST_SECONDS
        failure: str | None = "this collector was stopped"
        try:
            while True:
                try:
                    partition, offset = await self._link.send(key, value, headers)
                except Unavailable as error:
                    failure = error.detail
                    if not batch.kept:
                        return
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, _RETRY_LONGEST_SECONDS)
                else:
                    failure = None
                    self._acknowledged(batch, partition, offset)
                    return
        finally:
            self._waiting_events -= len(batch.events)
            self._waiting_bytes -= sum(map(len, batch.events)) + len(batch.events) * _MEMORY_OVERHEAD_BYTES
            batch.answer(failure)

    def _acknowledged(self, batch: _Batch, partition: int, offset: int) -> None:
        self._accepted += len(batch.events)
        self._highest[partition] = max(offset, self._highest.get(partition, offset))
        metrics.accepted.labels(batch.sender.source).inc(len(batch.events))
