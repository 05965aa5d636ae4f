"""Ends the process when a group has something to do and gets nowhere: what restarts it, starts it well.

A stalled consumer looks alive: its socket is open and its heartbeats go out (faust.md 1.5, 1.6 of the design notes).
Only progress tells. What counts as progress: an offset settled, a table's recovery getting on, a write to the store
tried again. What waits for Kafka's acknowledgement, and what waits while Kafka does not answer, is not judged: a
server that is down is not mended by our restart. A loop that is blocked by code that does not yield cannot run a
watchdog; for that the interpreter's own timer is wound up at each look, which ends the process with all tracebacks.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import KafkaError

from logsync_streams import metrics
from logsync_streams.consumer import GuardedApp
from logsync_streams.errors import Stalled
from logsync_streams.streams import sending

log = logging.getLogger(__name__)

LONGEST_LOOK_SECONDS = 5.0
_STDERR = 2  # the descriptor: Faust puts an object in the place of sys.stderr that has none
_ANSWER_SECONDS = 20.0  # Kafka's time to say where a partition ends
_STOP_SECONDS = 30.0  # an order to stop that takes longer is itself a stall


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at a group shows. busy: it has something to do; None: nobody can say. progress: any value that
    changes when it gets on.
    """

    busy: bool | None
    progress: Hashable


class Stall:
    """How long a group has been busy without progress, from looks at known times.

    A look counts for no more than twice the pause between looks: a process that was frozen for a while has not
    stalled for that while.
    """

    def __init__(self, every_seconds: float) -> None:
        self._most = 2 * every_seconds
        self._last: tuple[float, Hashable] | None = None
        self.seconds = 0.0

    def look(self, now: float, sight: Sight) -> float:
        """Seconds of stall up to now. now: monotonic."""
        before, self._last = self._last, (now, sight.progress)
        if not sight.busy or before is None or before[1] != sight.progress:
            self.seconds = 0.0
        else:
            self.seconds += min(now - before[0], self._most)
        return self.seconds


class Watchdog(faust.Service):
    """Looks at each app until the worker stops. timeout_seconds: how long a stall may last; clock: monotonic."""

    def __init__(self, apps: Mapping[str, GuardedApp], timeout_seconds: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._apps, self._timeout, self._clock = apps, timeout_seconds, clock
        self._every = min(LONGEST_LOOK_SECONDS, timeout_seconds / 4)
        self._stalls = {role: Stall(self._every) for role in apps}

    async def on_stop(self) -> None:
        faulthandler.cancel_dump_traceback_later()

    @faust.Service.task
    async def _watch(self) -> None:
        while not self.should_stop:
            faulthandler.dump_traceback_later(self._timeout, exit=True, file=_STDERR)
            for role, app in self._apps.items():
                seconds = self._stalls[role].look(self._clock(), await see(app))
                metrics.stalled_seconds.labels(app.conf.id).set(seconds)
                if seconds >= self._timeout:
                    await self._end(app, seconds)
                    return
            await self.sleep(self._every)

    async def _end(self, app: GuardedApp, seconds: float) -> None:
        reason = Stalled(
            f"{app.conf.id}: something to do and no progress for {seconds:.0f} s, and neither Kafka nor the store is "
            f"what it waits for; ending, so that a restart begins at the last commit. {where(app)}"
        )
        log.critical("%s", reason)
        # In order if it can; a process that hangs may hang in its stop, too.
        overdue = threading.Timer(_STOP_SECONDS, os._exit, [1])
        overdue.daemon = True
        overdue.start()
        await self.crash(reason)


async def see(app: GuardedApp) -> Sight:
    """One look at an app. Raises nothing: a broker that does not answer gives a sight that is not judged."""
    consumer = app.guarded
    # A table's changelog is written, and read only while it is recovered: its end is always ahead.
    assigned = {tp for tp in app.assigned if app.topics.acks_enabled_for(tp.topic)}
    positions = consumer.settled_positions()
    tables: Any = app.tables  # Faust's interface does not name its recovery
    progress = (
        tuple(sorted(positions.items())),
        tuple(sorted(tables.recovery.active_offsets.items())),
        _retries(),
    )
    if sending.waiting():
        return Sight(None, progress)
    if not assigned:
        return Sight(False, progress)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            ends = await consumer.highwaters(*assigned)
            # Not the committed offsets: they never reach the end of a topic that ends with a transaction's marker.
            reads = {tp: await consumer.position(tp) for tp in assigned}
    except (KafkaError, TimeoutError, OSError) as error:
        log.debug("%s: Kafka does not say where its partitions end: %r", app.conf.id, error)
        return Sight(None, progress)
    unread = any((reads[tp] or 0) < end for tp, end in ends.items()) and app.ends_are_known
    return Sight(unread or bool(consumer.handed_out_unacked()), progress)


def where(app: GuardedApp) -> str:
    """What is in hand, for the one who reads why the process ended."""
    unacked = app.guarded.handed_out_unacked()
    if not unacked:
        return "No message is in hand: it is not fetching."
    first = unacked[0]
    return f"{len(unacked)} messages in hand, the first is {first.topic}/{first.partition} at offset {first.offset}."


def _retries() -> float:
    """How often anything was tried again at the store: a sink that retries is alive."""
    return sum(
        sample.value
        for metric in metrics.retries.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )
