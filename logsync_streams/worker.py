"""The topology on one page: which agent reads which topic and feeds which.

    logs (raw topics) ──▶ process ──▶ logs-enriched ──▶ index ──▶ store
                             │  └───▶ logs-counts ───▶ count ──▶ services (table)
                             │             └────────▶ the fold of the error rates (no group)
                             └──────▶ logs-dlq ◀───── index

Three Faust apps in one process, each with its own consumer: a store that is down stops indexing, but neither
filtering nor counting (docs/adr/0003). The exported app is the first of the chosen roles and owns the web.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import faust
import uvloop

from agents.enrich import configured_enrichments
from agents.filter import Rule
from agents.filter_file import rule_set
from agents.horizon import by_append_time, clamped
from agents.index import Limits
from agents.process import Processor
from agents.redact import redactor
from agents.targets import Targets
from logsync_streams import faust_commands, logs, metrics, topics, views
from logsync_streams.configuration import load
from logsync_streams.consumer import GuardedApp
from logsync_streams.errors import ConfigurationError, LogSyncError, Unavailable
from logsync_streams.faust_app import add_agent, make_app, serve_query, start_with, topic_of
from logsync_streams.parsing import PARSERS
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings
from logsync_streams.state import StateLog, open_state
from logsync_streams.storage.factory import Store, check_store, command_socket, open_reader, open_store
from logsync_streams.store_commands import StoreCommands
from logsync_streams.streams.count import CountStream
from logsync_streams.streams.index import IndexStream
from logsync_streams.streams.process import ProcessStream
from logsync_streams.streams.rates import RatesFold
from logsync_streams.upkeep import Inventory, Upkeep
from logsync_streams.version import VERSION
from logsync_streams.watchdog import Watchdog
from retention.policy import Assignment, assignment, datasets, read_policies, state_key
from retention.shown import View
from tables.assignments import Assignments
from tables.erased import ErasedIds
from tables.tombstones import Tombstones

KEY_WINDOW_MS = 3_600_000
STORE_CHECK_SECONDS = 5.0

log = logging.getLogger(__name__)


def now_ms() -> int:
    """The clock of the whole worker: epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Worker:
    """Everything that one worker process runs. `build` makes it; nothing in it has started yet."""

    settings: Settings
    apps: dict[str, GuardedApp] = field(default_factory=dict)
    process: ProcessStream | None = None
    index: IndexStream | None = None
    store: Store | None = None

    @property
    def app(self) -> GuardedApp:
        """The exported app: the first of the chosen roles."""
        return self.apps[self.settings.roles[0]]


def build(settings: Settings) -> Worker:
    """The apps of the chosen roles, wired. Raises ConfigurationError; connects to nothing."""
    worker = Worker(settings)
    state = open_state(settings)
    policies = read_policies(settings.retention.policies_file)
    rules = rule_set(settings.process, datasets(policies))
    erased = ErasedIds(state.read, now_ms)
    assignments = Assignments(partial(_decide, state, assignment(policies, rules.routes)))
    fold = RatesFold(settings.kafka, settings.web.max_services, now_ms)
    inventory: Inventory | None = None

    if "process" in settings.roles:
        app = worker.apps["process"] = make_app("process", settings, coalesced=frozenset(settings.kafka.raw_topics))
        worker.process = ProcessStream(
            processor(settings, rules.rules),
            assignments,
            enriched_topic=topic_of(app, topics.ENRICHED),
            counts_topic=topic_of(app, topics.COUNTS),
            dead_topic=topic_of(app, topics.DEAD_LETTERS),
            partitions=settings.kafka.partitions,
            max_services=settings.web.max_services,
            erased=erased,
        )
        raw = topic_of(app, *settings.kafka.raw_topics, value_serializer="as_is")
        add_agent(app, raw, "process", worker.process.run)

    if "index" in settings.roles:
        app = worker.apps["index"] = make_app("index", settings)
        store = worker.store = open_store(settings)
        tombstones = Tombstones(state.read)
        worker.index = IndexStream(
            store.writer,
            Targets(
                store.admin,
                store.reader,
                settings.kafka.raw_retention_days,
                now_ms,
                tombstone=tombstones.stands,
                reload=tombstones.reload,
            ),
            assignments,
            _limits(settings),
            dead_topic=topic_of(app, topics.DEAD_LETTERS),
            now=now_ms,
            key_window_ms=KEY_WINDOW_MS,
            erased=erased,
        )
        add_agent(app, topic_of(app, topics.ENRICHED), "index", worker.index.run)

    if "count" in settings.roles:
        app = worker.apps["count"] = make_app("count", settings)
        services = app.Table(
            "services", key_type=str, partitions=settings.kafka.partitions, help="First and last seen."
        )
        add_agent(app, topic_of(app, topics.COUNTS), "count", CountStream(services).run)
        inventory = Inventory(services, settings.web.max_services)

    upkeep = Upkeep(worker.apps, fold, worker.store, now_ms, inventory)
    for topic in (*settings.kafka.raw_topics, topics.ENRICHED):
        metrics.topic_retention_seconds.labels(topic).set(settings.kafka.raw_retention_days * 86_400)
    first, *others = [worker.apps[role] for role in settings.roles]
    first.stopped_with = others
    if worker.store is not None:
        first.before_start = partial(_check_store, settings, datasets(policies), first.before_start)
    # A store that hangs shows by a retry when its time to answer is over, not before.
    stalled_after = max(settings.kafka.stall_timeout_seconds, 2 * settings.store.request_timeout_seconds)
    watchdog = Watchdog(worker.apps, stalled_after, time.monotonic)
    socket = command_socket(worker.store, settings) if worker.store else None
    commands = [StoreCommands(socket)] if socket else []
    start_with(first, [upkeep, *commands, *others, watchdog])  # stopped from the last to the first
    ready = [upkeep.is_ready]
    if settings.query.enabled:
        reader = worker.store.reader if worker.store else open_reader(settings)
        hub = Hub(settings.query.max_tail_waiting_logs)
        api = create_app(reader, settings, rates=fold.view, hub=hub, retention=View(state.read, now_ms), now=now_ms)
        views.mount_search(first, api)
        ready.append(serve_query(first, settings, api, hub))
    views.mount(
        first, rates=fold.view, status=partial(status, worker), ready=lambda: all(is_ready() for is_ready in ready)
    )
    faust_commands.show_all(worker.apps.values())
    return worker


async def _check_store(settings: Settings, names: Iterable[str], then: Callable[[], Awaitable[None]]) -> None:
    """Raises ConfigurationError when the store may not be written to. One that is away is looked at again by `index`,
    before its first write.
    """
    try:
        async with asyncio.timeout(STORE_CHECK_SECONDS):
            await check_store(settings, names)
    except (Unavailable, TimeoutError) as error:
        log.warning("the store could not be looked at before the start: %s", error or "it does not answer")
    await then()


def processor(settings: Settings, rules: Sequence[Rule]) -> Processor:
    """The stages of `process` as the settings want them. Raises ConfigurationError."""
    kafka = settings.kafka
    receive_time: Callable[[int, int], int] = by_append_time
    if kafka.embedded:  # it keeps the producer's timestamps
        receive_time = lambda received_at, _: clamped(received_at, now_ms(), kafka.raw_retention_days)  # noqa: E731  # a two-line function would say no more
    steps = configured_enrichments(settings.process)
    return Processor(
        parsers=PARSERS,
        rules=rules,
        reading=steps.reading,
        steps=steps.enriching,
        keep_original=settings.process.keep_original,
        max_enriched_bytes=settings.process.max_enriched_bytes,
        receive_time=receive_time,
        redactor=redactor(settings.process),
    )


def status(worker: Worker) -> dict[str, Any]:
    """What `/status` answers: how far each group is. Offsets are the next ones, except `produced`, the highest."""
    answer: dict[str, Any] = {"roles": worker.settings.roles, "version": VERSION}
    for role, app in worker.apps.items():
        positions: dict[str, dict[str, int]] = {}
        for tp, offset in app.guarded.settled_positions().items():
            positions.setdefault(tp.topic, {})[str(tp.partition)] = offset
        answer[role] = {
            "positions": positions,
            "assigned_partitions": sum(app.topics.acks_enabled_for(tp.topic) for tp in app.assigned),
            "unacked_messages": len(app.guarded.handed_out_unacked()),
        }
    if worker.process is not None:
        progress = worker.process.progress
        answer["process"] |= {
            "received_events": progress.received_events,
            "foreign_events": progress.foreign_events,
            "filtered_events": progress.filtered_events,
            "dead_events": progress.dead_events,
        }
        answer["produced"] = {topics.ENRICHED: {str(p): offset for p, offset in progress.produced.items()}}
    if worker.index is not None:
        answer["index"] |= {"settled_events": worker.index.progress.settled_events}
    return answer


async def _decide(state: StateLog, current: Assignment, day: date) -> Assignment:
    """The assignment in force on a receive day: the one recorded, else the current one, recorded for ever."""
    return Assignment.from_value(await state.decide(state_key(day), current.as_value()))


def _limits(settings: Settings) -> Limits:
    index = settings.index
    return Limits(
        bulk_bytes=index.bulk_bytes,
        bulk_documents=index.bulk_documents,
        retry_first_seconds=index.retry_first_seconds,
        retry_longest_seconds=index.retry_longest_seconds,
        poison_share=index.poison_share,
        bulks_in_flight=index.bulks_in_flight,
    )


def app_from_environment() -> faust.App:
    """`logsync_streams.app`, from this process's settings. Exits 2 with readable sentences when they are wrong."""
    try:
        settings = load()
        logs.configure(settings.log_format, settings.log_level)
        worker = build(settings)
    except LogSyncError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return worker.app


__all__ = ["ConfigurationError", "Worker", "app_from_environment", "build"]
