"""What a worker does beside its streams: the fold of the error rates, the gauges of lag and of what is in hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from logsync_streams import metrics
from logsync_streams.consumer import GuardedApp, GuardedConsumer
from logsync_streams.storage.factory import Store
from logsync_streams.streams.rates import RatesFold
from tables.services import Seen

_EVERY_SECONDS = 5.0


class Upkeep(faust.Service):
    """Runs until the worker stops; closes the store then, after the streams that use it."""

    def __init__(
        self,
        apps: Mapping[str, GuardedApp],
        fold: RatesFold,
        store: Store | None,
        now: Callable[[], int],
        services: Inventory | None = None,
    ) -> None:
        super().__init__()
        self._apps, self._fold, self._store, self._clock = apps, fold, store, now
        self._services = services
        self._measured: dict[str, set[TP]] = {}
        self._waiting = {role: Waiting() for role in apps}
        self._folding: asyncio.Task[None] | None = None

    def is_ready(self) -> bool:
        """Whether every app is in its group, the last hour of counts has been read, and no stop has begun.

        A worker that has no partition, because there are more workers than partitions, is ready: it stands by.
        """
        apps = self._apps.values()
        return self._fold.ready and all(app.guarded.joined and not app.should_stop for app in apps)

    async def on_start(self) -> None:
        self._folding = asyncio.create_task(self._fold.run(), name="error-rates")

    async def on_stop(self) -> None:
        if self._folding is not None:
            self._folding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._folding
        if self._store is not None:
            await self._store.close()

    @faust.Service.task
    async def _measure(self) -> None:
        while not self.should_stop:
            for role, app in self._apps.items():
                try:
                    await self._measure_app(role, app)
                except (KafkaError, ConsumerNotStarted) as error:  # the broker is away, or the group is still starting
                    self.log.debug("lag of %s is not known: %r", role, error)
            if self._services is not None:
                self._services.measure()
            await self.sleep(_EVERY_SECONDS)

    async def _measure_app(self, role: str, app: GuardedApp) -> None:
        group, consumer = app.conf.id, app.guarded
        unacked = consumer.handed_out_unacked()
        metrics.unacked_records.labels(group).set(len(unacked))
        now = self._clock() / 1000
        ages = oldest(unacked, now)
        metrics.oldest_unacked_seconds.labels(group).set(max(ages.values(), default=0.0))
        assigned = {tp for tp in app.assigned if app.topics.acks_enabled_for(tp.topic)}
        if app.ends_are_known:
            ends = await consumer.highwaters(*assigned) if assigned else {}
            begins = await consumer.earliest_offsets(*assigned) if assigned else {}
            positions = {tp: begins[tp] for tp in assigned} | consumer.settled_positions()
            for tp in assigned:
                lag = max(0, ends[tp] - positions[tp])
                metrics.lag_records.labels(group, tp.topic, str(tp.partition)).set(lag)
                await self._expired(consumer, tp, begins[tp])
            unread = {tp: positions[tp] for tp in assigned if positions[tp] < ends[tp]}
            for tp, seconds in self._waiting[role].look(unread, now).items():
                ages[tp] = max(ages.get(tp, 0.0), seconds)
        for topic in {tp.topic for tp in assigned}:
            age = max((seconds for tp, seconds in ages.items() if tp.topic == topic), default=0.0)
            metrics.oldest_unprocessed_seconds.labels(group, topic).set(age)
        for tp in self._measured.get(role, set()) - assigned:  # another worker tells of it now
            metrics.lag_records.remove(group, tp.topic, str(tp.partition))
        self._measured[role] = assigned

    @staticmethod
    async def _expired(consumer: GuardedConsumer, tp: TP, begin: int) -> None:
        # While a store that is away holds up the reading, Kafka may pass us by.
        reads = await consumer.position(tp)
        if reads is not None:
            consumer.count_expired(tp, reads, begin)


class Waiting:
    """How long the next offset to be settled has been the same while there was something to settle.

    For what is in hand its record's time says more; this is for a group that does not even fetch.
    """

    def __init__(self) -> None:
        self._since: dict[TP, tuple[int, float]] = {}

    def look(self, unread: Mapping[TP, int], now: float) -> dict[TP, float]:
        """Seconds by partition. unread: the next offset of the partitions that have more; now: seconds."""
        self._since = {
            tp: known if (known := self._since.get(tp)) is not None and known[0] == offset else (offset, now)
            for tp, offset in unread.items()
        }
        return {tp: now - since for tp, (_, since) in self._since.items()}


class Inventory:
    """The inventory of services as a metric. table: service -> Seen; max_services: further ones are left out."""

    def __init__(self, table: Mapping[str, Seen], max_services: int) -> None:
        self._table, self._label = table, metrics.BoundedLabels(max_services)

    def measure(self) -> None:
        for service, row in list(self._table.items()):
            label = self._label(service)
            if label != metrics.OTHER:  # of many together nobody can say that one is silent
                metrics.service_last_seen.labels(label).set(row["last_minute"] * 60)


def oldest(unacked: Iterable[ConsumerMessage], now: float) -> dict[TP, float]:
    """The age of the oldest message by partition. now: seconds."""
    ages: dict[TP, float] = {}
    for message in unacked:
        if message.timestamp:
            age = max(0.0, now - message.timestamp)
            ages[message.tp] = max(ages.get(message.tp, 0.0), age)
    return ages
