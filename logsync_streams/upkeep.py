"""What a worker does beside its streams: the fold of the error rates, the gauges of lag and of what is in hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from logsync_streams import metrics
from logsync_streams.consumer import GuardedApp
from logsync_streams.storage.factory import Store
from logsync_streams.streams.rates import RatesFold

_EVERY_SECONDS = 5.0


class Upkeep(faust.Service):
    """Runs until the worker stops; closes the store then, after the streams that use it."""

    def __init__(
        self,
        apps: Mapping[str, GuardedApp],
        fold: RatesFold,
        store: Store | None,
        now: Callable[[], int],
    ) -> None:
        super().__init__()
        self._apps, self._fold, self._store, self._clock = apps, fold, store, now
        self._measured: dict[str, set[TP]] = {}
        self._folding: asyncio.Task[None] | None = None

    def is_ready(self) -> bool:
        """Whether every app has partitions and the last hour of counts has been read."""
        return self._fold.ready and all(app.consumer.assignment() for app in self._apps.values())

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
                except KafkaError as error:  # the broker is away; the streams say so themselves
                    self.log.debug("lag of %s is not known: %r", role, error)
            await self.sleep(_EVERY_SECONDS)

    async def _measure_app(self, role: str, app: GuardedApp) -> None:
        group, consumer = app.conf.id, app.guarded
        unacked = consumer.handed_out_unacked()
        metrics.unacked_records.labels(group).set(len(unacked))
        ages = [self._clock() / 1000 - message.timestamp for message in unacked if message.timestamp]
        metrics.oldest_unacked_seconds.labels(group).set(max(ages, default=0.0))
        if not app.ends_are_known:
            return
        assigned: set[TP] = {tp for tp in consumer.assignment() if app.topics.acks_enabled_for(tp.topic)}
        ends = await consumer.highwaters(*assigned) if assigned else {}
        begins = await consumer.earliest_offsets(*assigned) if assigned else {}
        positions = consumer.settled_positions()
        for tp in assigned:
            lag = max(0, ends[tp] - positions.get(tp, begins[tp]))
            metrics.lag_records.labels(group, tp.topic, str(tp.partition)).set(lag)
        for tp in self._measured.get(role, set()) - assigned:  # another worker tells of it now
            metrics.lag_records.remove(group, tp.topic, str(tp.partition))
        self._measured[role] = assigned
