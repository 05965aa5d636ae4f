"""Our Faust consumer: commits only up to the first message that is not acknowledged, and fetches records in batches.

Faust 0.15.3 computes the offset to commit from the acknowledged offsets alone and skips holes of one message, holes
before the first commit, and holes after compaction or transactions (faust #606): what was in flight there is lost by
a crash. The guard keeps the messages handed out, in order, and commits past one only when it was acknowledged.

It overrides `_to_message`, `_new_offset`, `_add_gap` and two public hooks, which is why Faust's version is pinned
exactly. docs/adr/0003; tests/faults has the kill tests that fail without it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from logsync_streams import metrics

log = logging.getLogger(__name__)


class Records(tuple[Any, ...]):
    """The fetched records of one partition that travel as one Faust message; keys, headers and offsets intact."""

    __slots__ = ()


def coalesce(records: list[Any], max_records: int, max_bytes: int) -> Iterator[Any]:
    """Fetched records of one partition as few records that each carry several.

    Each result stands at the last record's offset, so that acknowledging it commits past the whole part, and
    redelivery begins at its first. A record larger than `max_bytes` is a part of its own.
    """
    part: list[Any] = []
    size = 0
    for record in records:
        length = len(record.value or b"")
        if part and (len(part) >= max_records or size + length > max_bytes):
            yield _as_one(part)
            part, size = [], 0
        part.append(record)
        size += length
    if part:
        yield _as_one(part)


def _as_one(part: list[Any]) -> Any:
    return dataclasses.replace(part[-1], key=None, value=Records(part), headers=())


def coalescing_scheduler(topics: frozenset[str], max_records: int, max_bytes: int) -> type[DefaultSchedulingStrategy]:
    """A scheduler (Faust's documented ConsumerScheduler setting) that coalesces the records of these topics.

    Faust costs about 80 µs a message; with a batch a message a one-event record costs as much as a hand-written loop.
    """

    class CoalescingScheduler(DefaultSchedulingStrategy):
        def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
            batches = {
                tp: list(coalesce(part, max_records, max_bytes)) if tp.topic in topics else part
                for tp, part in records.items()
            }
            return super().iterate(batches)

    return CoalescingScheduler


class GuardedConsumer(driver.Consumer):
    """Commits up to the first handed-out message that is not acknowledged, whatever the order of acknowledgements."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Strong references: a message that its agent dropped without acknowledging must hold the commit back.
        self._handed_out: dict[TP, deque[ConsumerMessage]] = defaultdict(deque)
        self.positions: dict[TP, int] = {}  # the next offset to be processed, by partition: all before are settled
        self.joined = False  # True once the group has said which partitions are ours, even when none is
        self._compared: set[TP] = set()  # since they were assigned, with the log's start
        self._expired_to: dict[TP, int] = {}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        message = super()._to_message(tp, record)
        if self.app.topics.acks_enabled_for(message.topic):  # a table's changelog is never acknowledged
            queue = self._handed_out[tp]
            while queue and queue[-1].offset >= message.offset:
                queue.pop()  # read again after a seek
            queue.append(message)
        return message

    def _new_offset(self, tp: TP) -> int | None:
        queue, offset = self._handed_out[tp], None
        while queue and queue[0].acked:
            offset = queue.popleft().offset + 1
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        if offset is not None:
            self.positions[tp] = offset
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        # The stock one counts `offset_to` itself, the first message after a gap, as acknowledged.
        return None

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.commit()  # fewer redeliveries
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        metrics.rebalances.labels(self.app.conf.id).inc()
        self._compared.clear()
        self._expired_to.clear()
        self._handed_out.clear()  # Faust seeks to the committed offsets next
        self.positions.clear()  # another worker may have gone on from them meanwhile
        await super().on_partitions_assigned(assigned, generation_id)
        self.joined = True

    async def perform_seek(self) -> None:
        await super().perform_seek()
        # Before the first fetch: it would move on to the log's start without a word.
        new = {tp for tp in self.assignment() - self._compared if self.app.topics.acks_enabled_for(tp.topic)}
        if not new:
            return
        try:
            begins = await self.earliest_offsets(*new)
        except KafkaError as error:
            log.warning("%s: what may have expired unread is not known: %r", self.app.conf.id, error)
            return
        for tp in new:
            metrics.expired_unread.labels(self.app.conf.id, tp.topic)  # visible as 0
            committed = self._read_offset[tp]
            if committed is not None:
                self.count_expired(tp, committed, begins[tp])
        self._compared |= new

    def count_expired(self, tp: TP, next_offset: int, begin: int) -> None:
        """Count what Kafka removed before it was read, once. next_offset: what would be read next; begin: the log's
        start.
        """
        next_offset = max(next_offset, self._expired_to.get(tp, 0))
        if begin <= next_offset:
            return
        self._expired_to[tp] = begin
        log.error("%s: %d records of %s/%d expired before they were read", self.app.conf.id, begin - next_offset, *tp)
        metrics.expired_unread.labels(self.app.conf.id, tp.topic).inc(begin - next_offset)

    def handed_out_unacked(self) -> list[ConsumerMessage]:
        """The messages handed out and not acknowledged yet, oldest first within a partition."""
        return [message for queue in self._handed_out.values() for message in queue if not message.acked]

    def settled_positions(self) -> dict[TP, int]:
        """The next unsettled offset by partition: what `commit` would commit now, or has committed."""
        positions = {
            tp: offset
            for tp, offset in self._committed_offset.items()
            if offset is not None and self.app.topics.acks_enabled_for(tp.topic)
        }
        positions |= self.positions
        for tp, queue in self._handed_out.items():
            for message in queue:
                if not message.acked:
                    break
                positions[tp] = message.offset + 1
        return positions


class GuardedTransport(driver.Transport):
    Consumer = GuardedConsumer


class GuardedApp(faust.App):
    """A Faust app with the guarded consumer and a bounded drain at stop and at a rebalance.

    drain_seconds: how long a batch in hand may take to end before its partitions are given up. It stays below the
    session timeout, else a rebalance would evict this worker for being thorough.
    """

    drain_seconds: float = 5.0
    # The other apps of this process. Stopped one after the other they would take as many drains.
    stopped_with: Sequence[GuardedApp] = ()
    ends_are_known = True  # False where the broker's end offsets cannot be trusted (the embedded one)
    clock: Callable[[], float] = staticmethod(monotonic)
    # What must hold before a worker starts, e.g. the topics' settings; raises what says what to do.
    before_start: Callable[[], Awaitable[None]]
    configure_logs: Callable[[], None]

    @property
    def guarded(self) -> GuardedConsumer:
        """The consumer, by its own type."""
        consumer = self.consumer
        if not isinstance(consumer, GuardedConsumer):
            raise TypeError(f"{consumer!r} is not the guarded consumer")
        return consumer

    @property
    def assigned(self) -> set[TP]:
        """The partitions that this app has now; none before its consumer runs."""
        try:
            partitions: set[TP] = self.guarded.assignment()
        except ConsumerNotStarted:
            return set()
        return partitions

    def _new_transport(self) -> GuardedTransport:
        return GuardedTransport(self.conf.broker_consumer, self)

    async def _stop_consumer(self) -> None:
        # Whole, not their consumers alone: a fetcher that is cancelled in a rebalance ends its app with an error unless
        # that app is stopping. Faust stops them again later, which does nothing.
        ended = await asyncio.gather(
            super()._stop_consumer(), *(app.stop() for app in self.stopped_with), return_exceptions=True
        )
        for app, error in zip((self, *self.stopped_with), ended, strict=True):
            if isinstance(error, BaseException):
                log.error("%s: its stop failed", app.conf.id, exc_info=error)

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        deadline = self.clock() + self.drain_seconds
        # `consumer.unacked`: what an agent has in hand; what waited in a queue was cleared and comes again.
        while any(not message.acked for message in consumer.unacked):
            if self.clock() > deadline:
                log.warning(
                    "%s: a batch did not end within %s s; it will be redelivered", self.conf.id, self.drain_seconds
                )
                break
            await asyncio.sleep(0.02)
        await consumer.commit()
